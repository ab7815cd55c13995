"""What subtasks that run on hear from a new leader, and what it knows of checkpoints that it did not take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from millstream.core.checkpoint.events import ABORTED, COMPLETED, TRIGGER
from millstream.core.checkpoint.storage import open_storage
from millstream.core.clock import ManualClock
from millstream.core.errors import FencedError, MillstreamError
from millstream.core.ids import SubtaskId, VertexId
from millstream.jobmanager.checkpointing.driver import CheckpointDriver
from millstream.jobmanager.checkpointing.settings import CheckpointSettings
from millstream.jobmanager.checkpointing.store import CheckpointStore, manifest_of
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2

ONLY = SubtaskId(VertexId("v"), 0)
GRAPH = job_graph_pb2.JobGraph(
    job_id="j" * 32,
    vertices=[
        job_graph_pb2.Vertex(
            vertex_id="v", name="v", parallelism=1, max_parallelism=8,
            operators=[job_graph_pb2.OperatorPlan(operator_id="o")],
        )
    ],
)  # fmt: skip


class Job:
    """Its one subtask runs, and hears things."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int, bool]] = []
        self.errors: list[MillstreamError] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def running_subtasks(self) -> list[SubtaskId]:
        return [ONLY]

    async def send_to_subtask(self, vertex: str, index: int, operator_id: str, kind: str, payload: bytes) -> None:
        message = checkpoint_pb2.TriggerCheckpoint.FromString(payload)
        self.heard.append((kind, message.checkpoint_id, message.full))

    def spawn(self, action: Callable[[], Awaitable[None]], fails_job: bool = True) -> None:
        self.tasks.add(asyncio.ensure_future(action()))  # type: ignore[arg-type]

    def fail(self, error: MillstreamError) -> None:
        self.errors.append(error)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                turn = asyncio.get_running_loop().create_future()
                turn.get_loop().call_soon(turn.set_result, None)
                await turn


def store(directory: Path) -> CheckpointStore:
    return CheckpointStore(open_storage(str(directory), {}))


def take(at: CheckpointStore, number: int, parent: int) -> None:
    states = {ONLY: checkpoint_pb2.SubtaskState(index=0)}
    at.seal(manifest_of(GRAPH, number, 100 * number, 100 * number + 5, states, {}, savepoint=False, parent_id=parent))


def run(directory: Path, use: Callable[[CheckpointDriver, Job, ManualClock], Awaitable[None]], **settings: Any) -> None:
    async def body(executor: ThreadPoolExecutor) -> None:
        job, clock = Job(), ManualClock()
        chosen = CheckpointSettings(**{"interval_ms": 1000, "retained": 2, **settings})
        await use(CheckpointDriver(GRAPH, chosen, store(directory), clock, executor, job, {}), job, clock)

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(body(executor))


def test_subtasks_hear_what_counts_and_what_does_not(tmp_path: Path) -> None:
    former = store(tmp_path)
    former.lead()
    take(former, 1, 0)
    take(former, 2, 1)

    async def use(driver: CheckpointDriver, job: Job, clock: ManualClock) -> None:
        await driver.take_over()
        history = driver.coordinator.statistics.history
        assert [(known.checkpoint_id, known.triggered_ms, known.ended_ms) for known in history] == [
            (2, 200, 205),
            (1, 100, 105),
        ]
        driver.found(triggered_checkpoint=4)
        assert driver.given_up == [3, 4], "what is cancelled now may drop what it prepared for these"
        driver.started({})
        clock.advance(5000)
        driver._tick()
        driver.reconciled()
        await job.until(lambda: any(kind == TRIGGER for kind, *_ in job.heard))
        assert sorted(job.heard) == [
            (ABORTED, 3, False),
            (ABORTED, 4, False),
            (COMPLETED, 2, False),
            (TRIGGER, 5, False),
        ], "and nothing of what was begun here"
        driver.stopped()

    run(tmp_path, use)


def test_after_a_fall_back_nothing_refers_to_what_is_damaged(tmp_path: Path) -> None:
    former = store(tmp_path)
    former.lead()
    take(former, 1, 0)
    take(former, 2, 1)
    (tmp_path / "chk-2-g1" / "MANIFEST").write_bytes(b"torn")

    async def use(driver: CheckpointDriver, job: Job, clock: ManualClock) -> None:
        await driver.take_over()
        assert (driver.coordinator.latest, driver.coordinator.statistics.fallbacks) == (1, 1)
        driver.found(2)
        driver.started({})
        driver.reconciled()
        for number, full in ((3, True), (4, False)):
            clock.advance(1000)
            driver._tick()
            await job.until(lambda: (TRIGGER, number, full) in job.heard)  # noqa: B023
            state = checkpoint_pb2.SubtaskState(index=0)
            driver.reported(ONLY, checkpoint_pb2.CheckpointReport(checkpoint_id=number, state=state, records=1))
            await job.until(lambda: driver.coordinator.latest == number)  # noqa: B023
        driver.stopped()

    run(tmp_path, use)


@pytest.mark.parametrize("tolerable", [0, 5])
def test_a_leader_that_is_fenced_ends_its_leadership_and_not_its_checkpoint(tmp_path: Path, tolerable: int) -> None:
    async def use(driver: CheckpointDriver, job: Job, clock: ManualClock) -> None:
        await driver.take_over()
        driver.found(0)
        driver.started({})
        clock.advance(1000)
        driver._tick()
        await job.until(lambda: (TRIGGER, 1, False) in job.heard)
        store(tmp_path).take_over()
        state = checkpoint_pb2.SubtaskState(index=0)
        driver.reported(ONLY, checkpoint_pb2.CheckpointReport(checkpoint_id=1, state=state, records=1))
        await job.until(lambda: bool(job.errors))
        (error,) = job.errors
        assert isinstance(error, FencedError) and not any(kind == ABORTED for kind, *_ in job.heard)
        driver.stopped()

    run(tmp_path, use, tolerable_failures=tolerable)
