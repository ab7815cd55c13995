"""Programs for clusters with several JobManagers, and what their leaders go through."""

from __future__ import annotations

from millstream.datastream import StreamExecutionEnvironment
from millstream.testing import MiniCluster


def squares_of(count: int) -> list[int]:
    """By a job on the cluster of this process."""
    environment = StreamExecutionEnvironment.get_execution_environment()
    numbers = environment.from_sequence(1, count).map(lambda n: n * n)
    return sorted(numbers.execute_and_collect())


def check_squares(count: int) -> None:
    """A job runs, and its results are right."""
    assert squares_of(count) == [n * n for n in range(1, count + 1)]


def freeze_the_leader_and_let_it_lead_again(cluster: MiniCluster, slots: int, count: int) -> int:
    """Of two JobManagers: the standby takes over, the frozen one comes back as a standby, and leads when the other is
    killed. A job runs under each. Returns the number of the one that was frozen."""
    first = cluster.leader()
    check_squares(10)
    cluster.freeze_jobmanager(first)
    cluster.wait_until(lambda: cluster.leader() == 1 - first, "the standby to lead")
    cluster.wait_for_slots(slots)
    check_squares(count)
    cluster.thaw_jobmanager(first)
    cluster.wait_until(lambda: "starts over" in cluster.log_of_jobmanager(first), "the frozen one to notice")
    cluster.kill_jobmanager(1 - first)
    cluster.wait_until(lambda: cluster.leader() == first, "the one that was frozen to lead again")
    cluster.wait_for_slots(slots)
    check_squares(count)
    return first
