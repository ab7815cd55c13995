"""Single things that went wrong in simulations, each alone: what the seed draws is fixed where it matters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.world import World

pytestmark = pytest.mark.timeout(600)


def run(**changes: Any) -> World:
    """Without faults but those of ``changes``."""
    world = World(1, **{"jobmanagers": 1, "hiccups": 0.0, "faults_until_s": 0.0, "user": (), **changes})
    outcome = world.run()
    assert not outcome.problem, outcome.problem
    return world


def test_a_job_is_stopped_though_its_client_does_not_wait_for_that() -> None:
    world = run(user=("stop",), user_patience_s=0.05, latency_s=0.02, disk_latency_s=0.02)
    assert world.outcome.faults["resumed"] == 1, "it was stopped, and went on from the savepoint"
