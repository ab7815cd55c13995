"""A test finds the TaskManager that runs a job among those that it can kill."""

from __future__ import annotations

import pytest

from millstream.testing import MiniCluster

pytestmark = pytest.mark.integration


def test_ids_and_numbers_belong_together() -> None:
    with MiniCluster(taskmanagers=2, slots=1) as cluster:
        ids = {
            cluster.number_of(known.taskmanager_id): known.taskmanager_id for known in cluster.describe().taskmanagers
        }
        assert set(ids) == {0, 1}
        cluster.kill_taskmanager(0)
        cluster.wait_for_slots(1)
        (left,) = cluster.describe().taskmanagers
        assert left.taskmanager_id == ids[1]
        with pytest.raises(ValueError, match="no TaskManager of this cluster is called tm-x"):
            cluster.number_of("tm-x")
