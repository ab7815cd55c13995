"""Several JobManagers: one leads, another takes over, and clients and TaskManagers find it."""

from __future__ import annotations

import pytest

from millstream.testing import MiniCluster
from tests.integration.ha.programs import check_squares, freeze_the_leader_and_let_it_lead_again

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def test_when_the_leader_is_killed_the_standby_leads_and_everybody_finds_it() -> None:
    with MiniCluster(taskmanagers=2, slots=1, jobmanagers=2) as cluster:
        first = cluster.leader()
        check_squares(100)
        cluster.kill_jobmanager(first)
        assert cluster.leader() == 1 - first
        cluster.wait_for_slots(2)
        check_squares(100)


def test_a_frozen_leader_is_replaced_and_comes_back_as_a_standby() -> None:
    with MiniCluster(taskmanagers=2, slots=1, jobmanagers=2) as cluster:
        first = freeze_the_leader_and_let_it_lead_again(cluster, slots=2, count=100)
        assert "epoch 3" in cluster.log_of_jobmanager(first)


def test_jobmanagers_can_be_added_and_killed_in_turn() -> None:
    with MiniCluster(taskmanagers=1, slots=1, jobmanagers=2) as cluster:
        for _ in range(2):
            leader = cluster.leader()
            cluster.add_jobmanager()
            cluster.kill_jobmanager(leader)
            assert cluster.leader() != leader
        check_squares(10)
