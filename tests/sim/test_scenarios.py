"""Single things that went wrong in simulations, each alone: what the seed draws is fixed where it matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.sim.election import LEASES
from tests.sim.job import Shape
from tests.sim.slots import SimSlot
from tests.sim.world import World

pytestmark = pytest.mark.timeout(600)


def run(*faults: tuple[float, Callable[[World], object]], **changes: Any) -> World:
    """Without faults but those of ``changes``, and ``faults`` at their seconds."""
    world = World(1, **{"jobmanagers": 1, "hiccups": 0.0, "faults_until_s": 0.0, "user": (), **changes})
    for at_s, fault in faults:
        world.loop.call_later(at_s, fault, world, context=world.loop.world.context)
    outcome = world.run()
    assert not outcome.problem, outcome.problem
    return world


def kill_a_slot(world: World) -> None:
    SimSlot.everyone[0].process.kill()


def kill_the_leader(world: World) -> None:
    lease = LEASES[0].newest()
    assert lease is not None
    world.cluster.kill(lease.address.partition(":")[0], back_s=2.0)


def disk(failing: float) -> Callable[[World], None]:
    return lambda world: setattr(world.disk, "failing", failing)


SLOW: Final = Shape(
    keys=2,
    records_per_key=100,
    splits=2,
    rows_per_second=10,
    batch_rows_max=10,
    source_parallelism=2,
    parallelism=2,
    sink_parallelism=2,
    unchained=False,
    buffer_timeout_ms=10,
)
"""A job of some twenty seconds."""


def test_a_job_is_stopped_though_its_client_does_not_wait_for_that() -> None:
    world = run(user=("stop",), user_patience_s=0.05, latency_s=0.02, disk_latency_s=0.02)
    assert world.outcome.faults["resumed"] == 1, "it was stopped, and went on from the savepoint"


def test_nobody_hears_of_an_attempt_that_could_not_be_recorded() -> None:
    """It is cancelled where nobody knows it, and the next leader gives its number to another one."""
    faults = [(2.0, kill_a_slot), (2.05, disk(failing=1.0)), (6.0, kill_the_leader), (6.5, disk(failing=0.0))]
    world = run(*faults, jobmanagers=2, taskmanagers=1, slots=4, shape=SLOW)
    assert world.outcome.records == 200
