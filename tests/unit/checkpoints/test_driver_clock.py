"""Checkpoints are due, and given up, by a clock that nobody sets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from millstream.core.checkpoint.events import ABORTED, TRIGGER
from millstream.core.checkpoint.storage import open_storage
from millstream.core.clock import ManualClock
from millstream.core.errors import MillstreamError
from millstream.core.ids import SubtaskId, VertexId
from millstream.jobmanager.checkpointing.driver import CheckpointDriver
from millstream.jobmanager.checkpointing.settings import CheckpointSettings
from millstream.jobmanager.checkpointing.store import CheckpointStore
from millstream.proto.v1 import job_graph_pb2

ONLY = SubtaskId(VertexId("v"), 0)
GRAPH = job_graph_pb2.JobGraph(
    job_id="a" * 32, vertices=[job_graph_pb2.Vertex(vertex_id="v", parallelism=1, max_parallelism=128)]
)
HOUR_MS = 3_600_000


class Job:
    """With one subtask, which never answers."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: set[asyncio.Future[None]] = set()

    def running_subtasks(self) -> list[SubtaskId]:
        return [ONLY]

    async def send_to_subtask(self, vertex: str, index: int, operator_id: str, kind: str, payload: bytes) -> None:
        self.sent.put_nowait(kind)

    def spawn(self, action: Callable[[], Awaitable[None]], fails_job: bool = True) -> None:
        task = asyncio.ensure_future(action())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def fail(self, error: MillstreamError) -> None:
        raise error


@pytest.mark.parametrize("set_by_ms", [-HOUR_MS, HOUR_MS])
def test_the_time_of_day_may_be_set(tmp_path: Path, set_by_ms: int) -> None:
    async def run(executor: ThreadPoolExecutor) -> None:
        job, clock = Job(), ManualClock(wall_ms=10 * HOUR_MS)
        store = CheckpointStore(open_storage(str(tmp_path), {}))
        settings = CheckpointSettings(interval_ms=1000, timeout_ms=5000, tolerable_failures=9)
        driver = CheckpointDriver(GRAPH, settings, store, clock, executor, job, {})
        driver.started({})
        clock.set_wall(clock.wall_ms() + set_by_ms)
        assert driver.coordinator.statistics.triggered == 0
        clock.advance(1000)
        async with asyncio.timeout(20):
            assert await job.sent.get() == TRIGGER, "it is due"
        clock.set_wall(clock.wall_ms() + set_by_ms)
        clock.advance(4000)
        clock.advance(1001)
        async with asyncio.timeout(20):
            assert await job.sent.get() == ABORTED, "it has taken too long"
        driver.stopped()

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(run(executor))
