"""The shell around a job's ``CheckpointCoordinator``: performs its instructions and feeds outcomes back.

Runs on the JobManager's event loop; the disk is left to the job's worker thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from millstream.core.checkpoint.events import ABORTED, COMPLETED, TRIGGER
from millstream.core.clock import Clock
from millstream.core.errors import CheckpointError, MillstreamError
from millstream.core.ids import SubtaskId, VertexId
from millstream.core.rpc.error_info import from_proto
from millstream.jobmanager.checkpointing.coordinator import (
    Abandon,
    Announce,
    CheckpointCoordinator,
    Discard,
    FailJob,
    Instruction,
    Seal,
    SnapshotEnumerators,
    TriggerSubtasks,
)
from millstream.jobmanager.checkpointing.redistribution import NOTHING_RESTORED, Restored, redistribute
from millstream.jobmanager.checkpointing.settings import CheckpointSettings
from millstream.jobmanager.checkpointing.store import CheckpointStore, manifest_of
from millstream.jobmanager.coordinators.source import SourceCoordinator
from millstream.jobmanager.scheduling.wiring import producers_of
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2

TICK_S: Final = 0.05

log = logging.getLogger("millstream.jobmanager")

Spawn = Callable[[Callable[[], Awaitable[None]], bool], None]
"""Run beside; the flag says whether its failure fails the job."""


class JobServices(Protocol):
    """What the driver needs of the job it belongs to."""

    def running_subtasks(self) -> list[SubtaskId]: ...

    async def send_to_subtask(self, vertex: str, index: int, operator_id: str, kind: str, payload: bytes) -> None: ...

    def spawn(self, action: Callable[[], Awaitable[None]], fails_job: bool = True) -> None: ...

    def fail(self, error: MillstreamError) -> None: ...


class CheckpointDriver:
    """Checkpoints of one job, over all its attempts."""

    def __init__(
        self,
        graph: job_graph_pb2.JobGraph,
        settings: CheckpointSettings,
        store: CheckpointStore,
        clock: Clock,
        executor: ThreadPoolExecutor,
        job: JobServices,
    ) -> None:
        self.settings = settings
        self.coordinator = CheckpointCoordinator(settings, producers(graph))
        self._graph = graph
        self._store = store
        self._clock = clock
        self._executor = executor
        self._job = job
        self._sources: Mapping[str, SourceCoordinator] = {}
        self._holding: set[str] = set()
        self._enumerators: dict[str, bytes] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._savepoints: list[tuple[Path, asyncio.Future[Path]]] = []  # for the next checkpoint
        self._of_checkpoint: list[tuple[Path, asyncio.Future[Path]]] = []  # for the one under way

    @property
    def directory(self) -> str:
        """Where subtasks write."""
        return str(self._store.directory)

    # -- the job's life -----------------------------------------------------------------------------------------------

    async def restore(self) -> tuple[Restored, Mapping[str, bytes]]:
        """What the next attempt starts with: pieces of state by subtask, and the state of enumerators by vertex.

        The last checkpoint of this job, else the one that the job was submitted with, else nothing.
        """
        latest = self.coordinator.latest
        if latest:
            directory, allow = self._store.path(latest), False
        elif self._graph.restore_path:
            directory, allow = Path(self._graph.restore_path), self._graph.allow_non_restored_state
        else:
            return NOTHING_RESTORED, {}
        manifest = await asyncio.get_running_loop().run_in_executor(self._executor, self._store.read, directory)
        self.coordinator.restored(manifest.checkpoint_id)
        log.info("job %s starts from checkpoint %d in %s", self._graph.job_id, manifest.checkpoint_id, directory)
        enumerators = {
            operator_id: vertex.enumerator
            for vertex in manifest.vertices
            if vertex.has_enumerator
            for operator_id in vertex.operator_ids[:1]
        }
        return redistribute(self._graph, manifest, directory, allow), enumerators

    def started(self, sources: Mapping[str, SourceCoordinator]) -> None:
        """All subtasks run."""
        self._sources = sources
        self.coordinator.started(self._clock.wall_ms())
        if self.coordinator.is_on or self._savepoints:
            self._tick()

    def stopped(self) -> None:
        """The attempt is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._perform(self.coordinator.stopped(self._clock.wall_ms()))

    def ended(self, keep: bool) -> None:
        """The job is over."""
        self._fail_savepoints(CheckpointError("the job ended before the savepoint was complete"))
        if not keep:
            self._executor.submit(self._store.discard_all)

    async def take_savepoint(self, directory: Path) -> Path:
        """Where it is, when it is complete: a new directory below ``directory``. Raises ``CheckpointError``."""
        done: asyncio.Future[Path] = asyncio.get_running_loop().create_future()
        target = directory / f"savepoint-{self._graph.job_id[:6]}-{self._clock.wall_ms():x}"
        self._savepoints.append((target, done))
        self.coordinator.request()
        if self._timer is None:
            self._tick()
        return await done

    def subtask_finished(self, subtask: SubtaskId) -> None:
        self._perform(self.coordinator.subtask_finished(subtask))

    def awaits_commit(self, subtask: SubtaskId) -> None:
        self.coordinator.awaits_commit(subtask)

    def reported(self, subtask: SubtaskId, report: checkpoint_pb2.CheckpointReport) -> None:
        """From a subtask of the current attempt."""
        error = from_proto(report.error) if report.HasField("error") else None
        self._perform(self.coordinator.reported(subtask, report, error, self._clock.wall_ms()))
        waiting = {other.vertex for other in self.coordinator.waiting}
        for vertex in self._holding - waiting:
            self._release(vertex)

    # -- instructions -------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._perform(self.coordinator.tick(self._clock.wall_ms()))
        if not self.coordinator.is_on and not self._savepoints and not self._of_checkpoint:
            self._timer = None
            return
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _perform(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case SnapshotEnumerators():
                    self._of_checkpoint, self._savepoints = self._savepoints, []
                    self._job.spawn(lambda i=instruction: self._copy_enumerators(i.checkpoint_id))  # type: ignore[misc]
                case TriggerSubtasks():
                    self._tell(TRIGGER, instruction.checkpoint_id, instruction.subtasks, instruction.triggered_ms)
                case Seal():
                    self._job.spawn(lambda i=instruction: self._seal(i))  # type: ignore[misc]
                case Announce():
                    self._tell(COMPLETED, instruction.checkpoint_id, self._job.running_subtasks())
                    self._release_all()
                case Abandon():
                    failure = self.coordinator.statistics.history[0].failure
                    self._fail_savepoints(CheckpointError(f"the savepoint was given up: {failure}"))
                    self._tell(ABORTED, instruction.checkpoint_id, self._job.running_subtasks())
                    self._release_all()
                    self._executor.submit(self._store.discard, instruction.checkpoint_id)
                case Discard():
                    self._executor.submit(self._store.discard, instruction.checkpoint_id)
                case FailJob():
                    self._job.fail(instruction.error)

    async def _copy_enumerators(self, checkpoint_id: int) -> None:
        enumerators: dict[str, bytes] = {}
        try:
            for vertex, source in self._sources.items():
                self._holding.add(vertex)
                enumerators[vertex] = await source.snapshot()
        except MillstreamError as error:
            self._perform(self.coordinator.enumerators_failed(checkpoint_id, error, self._clock.wall_ms()))
            return
        self._enumerators = enumerators
        self._perform(self.coordinator.enumerators_copied(checkpoint_id))

    async def _seal(self, seal: Seal) -> None:
        now_ms = self._clock.wall_ms()
        manifest = manifest_of(
            self._graph, seal.checkpoint_id, seal.triggered_ms, now_ms, seal.states, self._enumerators
        )
        try:
            path = await asyncio.get_running_loop().run_in_executor(self._executor, self._store.seal, manifest)
        except MillstreamError as error:
            self._perform(self.coordinator.not_sealed(seal.checkpoint_id, error, self._clock.wall_ms()))
            return
        await self._copy_savepoints(manifest)
        self._perform(self.coordinator.sealed(seal.checkpoint_id, str(path), self._clock.wall_ms()))

    async def _copy_savepoints(self, manifest: checkpoint_pb2.CheckpointManifest) -> None:
        wanted, self._of_checkpoint = self._of_checkpoint, []
        for target, done in wanted:
            try:
                copy = self._store.copy_as_savepoint
                path = await asyncio.get_running_loop().run_in_executor(self._executor, copy, manifest, target)
            except MillstreamError as error:
                _answer(done, error)
            else:
                _answer(done, path)

    def _fail_savepoints(self, error: MillstreamError) -> None:
        wanted, self._of_checkpoint, self._savepoints = [*self._of_checkpoint, *self._savepoints], [], []
        for _, done in wanted:
            _answer(done, error)

    def _tell(
        self, kind: str, checkpoint_id: int, subtasks: list[SubtaskId] | tuple[SubtaskId, ...], timestamp_ms: int = 0
    ) -> None:
        message = checkpoint_pb2.TriggerCheckpoint(checkpoint_id=checkpoint_id, timestamp_ms=timestamp_ms)
        payload = message.SerializeToString()

        async def tell_all() -> None:
            sends = [self._job.send_to_subtask(s.vertex, s.index, "", kind, payload) for s in subtasks]
            await asyncio.gather(*sends)

        # One that cannot be told is given up by its missing heartbeats, or the checkpoint by its timeout.
        self._job.spawn(tell_all, fails_job=False)

    def _release_all(self) -> None:
        for vertex in list(self._holding):
            self._release(vertex)

    def _release(self, vertex: str) -> None:
        self._holding.discard(vertex)
        source = self._sources.get(vertex)
        if source is not None:
            self._job.spawn(source.release, fails_job=False)


def _answer(done: asyncio.Future[Path], answer: Path | MillstreamError) -> None:
    """Unless whoever asked has gone."""
    if done.done():
        return
    if isinstance(answer, MillstreamError):
        done.set_exception(answer)
    else:
        done.set_result(answer)


def producers(graph: job_graph_pb2.JobGraph) -> dict[SubtaskId, frozenset[SubtaskId]]:
    """For each subtask those whose output it reads."""
    parallelism = {vertex.vertex_id: vertex.parallelism for vertex in graph.vertices}
    found: dict[SubtaskId, frozenset[SubtaskId]] = {}
    for vertex in graph.vertices:
        edges = [edge for edge in graph.edges if edge.target_vertex == vertex.vertex_id]
        for index in range(vertex.parallelism):
            found[SubtaskId(VertexId(vertex.vertex_id), index)] = frozenset(
                SubtaskId(VertexId(edge.source_vertex), producer)
                for edge in edges
                for producer in producers_of(edge.exchange, index, parallelism[edge.source_vertex], vertex.parallelism)
            )
    return found
