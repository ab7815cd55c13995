"""Several JobManagers: one leads, another takes over, and clients and TaskManagers find it."""

from __future__ import annotations

import pytest

from millstream.datastream import StreamExecutionEnvironment
from millstream.testing import MiniCluster

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def squares_of(count: int) -> list[int]:
    """By a job on the cluster of this process."""
    environment = StreamExecutionEnvironment.get_execution_environment()
    numbers = environment.from_sequence(1, count).map(lambda n: n * n)
    return sorted(numbers.execute_and_collect())


def test_when_the_leader_is_killed_the_standby_leads_and_everybody_finds_it() -> None:
    with MiniCluster(taskmanagers=2, slots=1, jobmanagers=2) as cluster:
        first = cluster.leader()
        assert squares_of(100) == [n * n for n in range(1, 101)]
        cluster.kill_jobmanager(first)
        assert cluster.leader() == 1 - first
        cluster.wait_for_slots(2)
        assert squares_of(100) == [n * n for n in range(1, 101)]
