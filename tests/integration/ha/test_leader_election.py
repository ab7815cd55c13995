"""Several JobManagers: one leads, another takes over, and clients and TaskManagers find it."""

from __future__ import annotations

import pytest

from millstream.testing import MiniCluster
from tests.integration.ha.programs import squares_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def test_when_the_leader_is_killed_the_standby_leads_and_everybody_finds_it() -> None:
    with MiniCluster(taskmanagers=2, slots=1, jobmanagers=2) as cluster:
        first = cluster.leader()
        assert squares_of(100) == [n * n for n in range(1, 101)]
        cluster.kill_jobmanager(first)
        assert cluster.leader() == 1 - first
        cluster.wait_for_slots(2)
        assert squares_of(100) == [n * n for n in range(1, 101)]


def test_a_frozen_leader_is_replaced_and_comes_back_as_a_standby() -> None:
    with MiniCluster(taskmanagers=2, slots=1, jobmanagers=2) as cluster:
        first = cluster.leader()
        assert squares_of(10) == [n * n for n in range(1, 11)]
        cluster.freeze_jobmanager(first)
        cluster.wait_until(lambda: cluster.leader() == 1 - first, "the standby to lead")
        cluster.wait_for_slots(2)
        assert squares_of(100) == [n * n for n in range(1, 101)]
        cluster.thaw_jobmanager(first)
        cluster.wait_until(lambda: "starts over" in cluster.log_of_jobmanager(first), "the frozen one to notice")
        cluster.kill_jobmanager(1 - first)
        cluster.wait_until(lambda: cluster.leader() == first, "the one that was frozen to lead again")
        cluster.wait_for_slots(2)
        assert squares_of(100) == [n * n for n in range(1, 101)]
        assert "epoch 3" in cluster.log_of_jobmanager(first)


def test_jobmanagers_can_be_added_and_killed_in_turn() -> None:
    with MiniCluster(taskmanagers=1, slots=1, jobmanagers=2) as cluster:
        for _ in range(2):
            leader = cluster.leader()
            cluster.add_jobmanager()
            cluster.kill_jobmanager(leader)
            assert cluster.leader() != leader
        assert squares_of(10) == [n * n for n in range(1, 11)]
