"""Clusters for the tests here; the modules beside this one are importable by their full names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if TYPE_CHECKING:
    from tests.chaos.cluster import ChaosCluster

GRACE_S = 10.0


@pytest.fixture(autouse=True)
def nothing_left_running() -> None:
    """Here a cluster outlives a test, and goes on with other processes: it is checked at the cluster's end."""


@pytest.fixture(scope="module")
def chaos() -> Iterator[ChaosCluster]:
    """One with a standby. Ends with the module, and with all its processes."""
    yield from _cluster(jobmanagers=2)


@pytest.fixture
def lone() -> Iterator[ChaosCluster]:
    """One whose JobManager nobody can follow. Ends with the test."""
    yield from _cluster(jobmanagers=1)


def _cluster(jobmanagers: int) -> Iterator[ChaosCluster]:
    from tests.chaos.cluster import chaos_cluster

    process = psutil.Process(os.getpid())
    before = {child.pid for child in process.children(recursive=True)}
    with chaos_cluster(jobmanagers=jobmanagers) as cluster:
        yield cluster
        started = [child for child in process.children(recursive=True) if child.pid not in before]
    _, alive = psutil.wait_procs(started, timeout=GRACE_S)
    for child in alive:
        child.kill()
    assert not alive, f"the cluster left processes running: {alive}"
