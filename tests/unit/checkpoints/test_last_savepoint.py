"""Savepoints that are asked for, one after the other; and the one with which a job ends: nothing follows it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from millstream.core.checkpoint.events import COMPLETED, TRIGGER
from millstream.core.checkpoint.storage import open_storage
from millstream.core.clock import ManualClock
from millstream.core.errors import CheckpointError, MillstreamError, UnavailableError
from millstream.core.ids import SubtaskId, VertexId
from millstream.jobmanager.checkpointing.driver import CheckpointDriver
from millstream.jobmanager.checkpointing.settings import CheckpointSettings
from millstream.jobmanager.checkpointing.store import CheckpointStore
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2

ONLY = SubtaskId(VertexId("v"), 0)
GRAPH = job_graph_pb2.JobGraph(
    job_id="a" * 32, vertices=[job_graph_pb2.Vertex(vertex_id="v", parallelism=1, max_parallelism=128)]
)


class Job:
    """With one subtask, which hears of completed checkpoints when ``told`` is set, or cannot be reached."""

    def __init__(self, reachable: bool = True) -> None:
        self.sent: list[str] = []
        self.errors: list[MillstreamError] = []
        self.told = asyncio.Event()
        self.changed = asyncio.Event()
        self._reachable = reachable
        self._tasks: set[asyncio.Future[None]] = set()

    def running_subtasks(self) -> list[SubtaskId]:
        return [ONLY]

    async def send_to_subtask(self, vertex: str, index: int, operator_id: str, kind: str, payload: bytes) -> None:
        self.sent.append(kind)
        self.changed.set()
        if kind == COMPLETED:
            await self.told.wait()
            if not self._reachable:
                raise UnavailableError("nobody there")

    def spawn(self, action: Callable[[], Awaitable[None]], fails_job: bool = True) -> None:
        task = asyncio.ensure_future(action())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def fail(self, error: MillstreamError) -> None:
        self.errors.append(error)

    async def until(self, kind: str) -> None:
        async with asyncio.timeout(20):
            while kind not in self.sent:
                self.changed.clear()
                await self.changed.wait()


@pytest.mark.parametrize("drain", [False, True])
@pytest.mark.parametrize("reachable", [True, False])
def test_no_checkpoint_follows_it_while_the_sinks_are_told(tmp_path: Path, reachable: bool, drain: bool) -> None:
    async def run(executor: ThreadPoolExecutor) -> None:
        job, clock = Job(reachable), ManualClock()
        store = CheckpointStore(open_storage(str(tmp_path / "checkpoints"), {}))
        driver = CheckpointDriver(GRAPH, CheckpointSettings(interval_ms=1000), store, clock, executor, job, {})
        driver.started({})

        async def take_and_commit() -> str:
            savepoint = await driver.take_savepoint(str(tmp_path / "kept"), stop=True, drain=drain)
            await driver.commit_savepoint(savepoint.checkpoint_id, drained=drain)
            assert driver.ends_with == savepoint.location, "no attempt may start from before it"
            return savepoint.location

        taking = asyncio.ensure_future(take_and_commit())
        await job.until(TRIGGER)
        state = checkpoint_pb2.SubtaskState(index=0)
        driver.reported(ONLY, checkpoint_pb2.CheckpointReport(checkpoint_id=1, state=state, records=5))
        await job.until(COMPLETED)
        clock.advance(10_000)
        assert bool(driver.coordinator.tick(clock.wall_ms())) == drain, "a job that drains needs another checkpoint"
        job.told.set()
        path = await taking
        driver.stopped()
        assert Path(path, "MANIFEST").exists() and Path(path).parent == tmp_path / "kept"
        assert [str(error) for error in job.errors] == ([] if reachable else ["nobody there"])

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(run(executor))


def test_savepoints_that_are_asked_for_at_a_time_are_taken_one_after_the_other(tmp_path: Path) -> None:
    """The first is given up in the step in which the second one could start."""

    async def run(executor: ThreadPoolExecutor) -> None:
        job, clock = Job(), ManualClock()
        store = CheckpointStore(open_storage(str(tmp_path / "checkpoints"), {}))
        settings = CheckpointSettings(interval_ms=0, timeout_ms=5000)
        driver = CheckpointDriver(GRAPH, settings, store, clock, executor, job, {})
        driver.started({})
        first, second = (asyncio.ensure_future(driver.take_savepoint(str(tmp_path / name))) for name in ("1", "2"))
        await job.until(TRIGGER)
        clock.advance(6000)
        with pytest.raises(CheckpointError, match="it took longer than"):
            await first
        job.sent.clear()
        await job.until(TRIGGER)
        state = checkpoint_pb2.SubtaskState(index=0)
        driver.reported(ONLY, checkpoint_pb2.CheckpointReport(checkpoint_id=2, state=state))
        assert Path((await second).location).parent == tmp_path / "2"
        assert not driver.coordinator.is_wanted, "nobody has asked for another one"
        driver.stopped()

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(run(executor))
