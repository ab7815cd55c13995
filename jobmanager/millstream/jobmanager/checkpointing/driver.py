"""The shell around a job's ``CheckpointCoordinator``: performs its instructions and feeds outcomes back.

Runs on the JobManager's event loop; the disk is left to the job's worker thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from millstream.core.checkpoint.events import ABORTED, COMPLETED, TRIGGER
from millstream.core.checkpoint.manifest import MANIFEST_NAME, write_manifest
from millstream.core.checkpoint.storage import location_of, open_storage
from millstream.core.clock import Clock
from millstream.core.errors import CheckpointError, FencedError, MillstreamError
from millstream.core.failpoints import failpoint
from millstream.core.ids import SubtaskId, VertexId
from millstream.core.protocol_log import record
from millstream.core.rpc.error_info import error_in
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
from millstream.jobmanager.checkpointing.store import CheckpointStore, manifest_of, read_checkpoint
from millstream.jobmanager.coordinators.source import SourceCoordinator
from millstream.jobmanager.scheduling.wiring import producers_of
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2

TICK_S: Final = 0.05
_VOID_MAX: Final = 16
"""Of the checkpoints that a former leader may have begun, subtasks still have something to do with the last ones."""
R = TypeVar("R")

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
        cluster: Mapping[str, Any],
    ) -> None:
        """``cluster``: its settings, of which those for storages count."""
        self._cluster = cluster
        self._claimed = graph.restore_path if settings.claims else ""
        """What the job started from and may delete."""
        self._running = False
        self.given_up: list[int] = []
        """Checkpoints that were under way when the attempt stopped, and never will be: who is cancelled may know."""
        self.ends_with = ""
        """The savepoint with which the job ends: what sinks commit from then on is in no earlier checkpoint, and what
        they have prepared for it must stay. So no attempt may follow."""
        self.recorded_end = ""
        """The same when it is recorded: from then on no leader lets the job go on."""
        self._completed = asyncio.Event()
        """Set by each completed checkpoint, and when the attempt ends."""
        self.settings = settings
        self.coordinator = CheckpointCoordinator(settings, producers(graph))
        self._graph = graph
        self.store = store
        self._clock = clock
        self._origin_ms = clock.wall_ms() - round(clock.monotonic_s() * 1000)
        self._executor = executor
        self._job = job
        self._sources: Mapping[str, SourceCoordinator] = {}
        self._holding: set[str] = set()
        self._enumerators: dict[int, dict[str, bytes]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._void: list[int] = []
        """Begun by a former leader, or not even that."""
        self._refers_to_nothing = False
        """The next checkpoint must not refer to earlier files, since subtasks know of some that are damaged."""
        self._savepoints: deque[Savepoint] = deque()
        """Asked for; the first one may be under way."""

    @property
    def generation(self) -> int:
        """As which the JobManager leads the job; 0 without checkpoints."""
        return self.store.ledger.generation

    @property
    def directory(self) -> str:
        """Where subtasks write."""
        return self.store.storage.location

    # -- the job's life -----------------------------------------------------------------------------------------------

    async def restore(self) -> tuple[Restored, Mapping[str, bytes]]:
        """What the next attempt starts with: pieces of state by subtask, and the state of enumerators by vertex.

        The last checkpoint of this job, else the one that the job was submitted with, else nothing.
        """
        if self.coordinator.is_on:
            await self._beside(self.store.lead)
            await self._beside(self.store.settle)
        latest = self.coordinator.latest
        if latest:
            location, allow = self.store.location(latest), False
        elif self._graph.restore_path:
            location, allow = self._graph.restore_path, self._graph.allow_non_restored_state
        else:
            return NOTHING_RESTORED, {}

        def read() -> checkpoint_pb2.CheckpointManifest:
            return read_checkpoint(open_storage(location, self._cluster))

        manifest = await self._beside(read)
        self.coordinator.restored(manifest.checkpoint_id)
        record(
            "restore.began", job=self._graph.job_id, checkpoint=manifest.checkpoint_id, path=location, own=bool(latest)
        )
        log.info("job %s starts from checkpoint %d in %s", self._graph.job_id, manifest.checkpoint_id, location)
        enumerators = {
            operator_id: vertex.enumerator
            for vertex in manifest.vertices
            if vertex.has_enumerator
            for operator_id in vertex.operator_ids[:1]
        }
        return redistribute(self._graph, manifest, location, allow), enumerators

    async def take_over(self) -> None:
        """The job was another JobManager's: become the leader of its checkpoints. Raises ``MillstreamError``."""
        if not self.coordinator.is_on:
            return
        taken = await self._beside(self.store.take_over)
        self.coordinator.taken_over(taken.kept, taken.next_id, await self._beside(partial(self.store.told, taken.kept)))
        job, latest = self._graph.job_id, self.coordinator.latest
        log.info("job %s: took over its checkpoints, the last of which is %d", job, latest)
        if taken.damage:
            log.warning("job %s: fell back to its checkpoint %d: %s", job, latest, taken.damage)
            self.coordinator.statistics.fallbacks += 1
            self._refers_to_nothing = True

    def found(self, triggered_checkpoint: int) -> None:
        """It is known what runs on. ``triggered_checkpoint``: the highest that any subtask was told to start.

        What the former leader had begun is void. Called before anything is begun here.
        """
        self.coordinator.skip(triggered_checkpoint)
        last = self.coordinator.last_id
        self._void = self.given_up = list(range(max(self.coordinator.latest, last - _VOID_MAX) + 1, last + 1))

    def reconciled(self) -> None:
        """Subtasks that run on hear of it, and that what is complete counts."""
        failpoint("takeover.tell")
        running, latest = self._job.running_subtasks(), self.coordinator.latest
        if latest:
            self._tell(COMPLETED, running, _message(latest))
            self._later(self.store.ledger.committed, latest)
        for checkpoint_id in self._void:
            self._tell(ABORTED, running, _message(checkpoint_id))
        if self.coordinator.is_on:
            self._collect()

    def rescaled(self) -> None:
        """The graph has other numbers of subtasks now; the next attempt begins with them."""
        self.coordinator.rescaled(producers(self._graph))

    def started(self, sources: Mapping[str, SourceCoordinator]) -> None:
        """All subtasks run."""
        self._sources = sources
        self._running = True
        self.given_up = []
        self.coordinator.started(self._now_ms())
        if self.coordinator.is_on or self._savepoints:
            self._tick()

    def stopped(self) -> None:
        """The attempt is over, of the whole job or of a part of it."""
        self._running = False
        self._completed.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        instructions = self.coordinator.stopped(self._now_ms())
        self.given_up = [i.checkpoint_id for i in instructions if isinstance(i, Abandon) and not i.sealing]
        self._perform(instructions)

    def left(self, vertices: Collection[VertexId]) -> None:
        """Nothing of these runs any more, and none of their reports counts."""
        self.coordinator.left(vertices)

    def ended(self) -> None:
        """The job is over."""
        self.coordinator.closed()
        self._fail_savepoints(CheckpointError("the job ended before the savepoint was complete"))

    async def take_savepoint(
        self, directory: str, *, stop: bool = False, drain: bool = False, again: bool = False
    ) -> Savepoint:
        """When it is complete, and what it holds is committed: a new directory below ``directory``. Raises
        ``CheckpointError``.

        ``stop``: the attempt ends with it: no checkpoint follows; ``commit_savepoint`` is to be called next. ``drain``:
        the sources end their input with it, and the job goes on to its end by itself. ``again``: it is not the job
        that ends with the attempt, for the next one starts from the savepoint.
        """
        done: asyncio.Future[Savepoint] = asyncio.get_running_loop().create_future()
        name = f"savepoint-{self._graph.job_id[:6]}-{self._clock.wall_ms():x}"
        location = location_of(directory, name)
        self._savepoints.append(Savepoint(location, drain, stop and not drain, (stop or drain) and not again, done))
        self._request_savepoint()
        if self._timer is None:
            self._tick()
        return await done

    async def commit_savepoint(self, checkpoint_id: int, *, drained: bool = False) -> None:
        """Sinks commit what the savepoint holds; the job fails when they cannot be told. ``drained``: the job goes on
        to its end."""
        if not drained:
            self.coordinator.hold()
        try:
            await self._tell_all(COMPLETED, self._job.running_subtasks(), _message(checkpoint_id))
        except MillstreamError as error:
            self._job.fail(error)

    def will_end_with(self, location: str) -> None:
        """It is recorded that the job ends with this savepoint."""
        self.ends_with = self.recorded_end = location

    def revoke(self, savepoint: Savepoint) -> None:
        """It is not the job's end after all, and the next attempt starts from before it: nobody can from it, then."""
        self.ends_with = ""
        self._remove(savepoint.location)

    async def checkpoint_now(self) -> None:
        """Returns when a checkpoint that starts now is complete, or when the next one after it is."""
        self._completed.clear()
        self.coordinator.request_checkpoint()
        if self._timer is None:
            self._tick()
        await self._completed.wait()

    def subtask_finished(self, subtask: SubtaskId, answered: int = 0) -> None:
        self._perform(self.coordinator.subtask_finished(subtask, answered))

    def awaits_commit(self, subtask: SubtaskId) -> None:
        self._perform(self.coordinator.awaits_commit(subtask))

    def reported(self, subtask: SubtaskId, report: checkpoint_pb2.CheckpointReport) -> None:
        """From a subtask of the current attempt."""
        error = error_in(report)
        if error is None and subtask in self.coordinator.waiting_for(report.checkpoint_id):
            attempt = report.subtask.attempt
            self._record("checkpoint.acknowledged", report.checkpoint_id, subtask=str(subtask), attempt=attempt)
        self._perform(self.coordinator.reported(subtask, report, error, self._now_ms()))
        failpoint("answer.taken")
        waiting = {other.vertex for other in self.coordinator.waiting}
        for vertex in self._holding - waiting:
            self._release(vertex)

    # -- instructions -------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._perform(self.coordinator.tick(self._now_ms()))
        if not self._running or not (self.coordinator.is_on or self._savepoints or self.coordinator.is_wanted):
            self._timer = None
            return
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _perform(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case SnapshotEnumerators():
                    expected = sorted(map(str, self.coordinator.waiting_for(instruction.checkpoint_id)))
                    self._record(
                        "checkpoint.triggered",
                        instruction.checkpoint_id,
                        savepoint=instruction.savepoint,
                        expected=expected,
                    )
                    self._job.spawn(lambda i=instruction: self._copy_enumerators(i.checkpoint_id))  # type: ignore[misc]
                case TriggerSubtasks():
                    failpoint("trigger.send")
                    self._tell(TRIGGER, instruction.subtasks, self._trigger(instruction))
                case Seal():
                    self._job.spawn(lambda i=instruction: self._seal(i))  # type: ignore[misc]
                case Announce():
                    self._announce(instruction)
                case Abandon():
                    self._abandon(instruction)
                case Discard():
                    self._collect()
                case FailJob():
                    self._job.fail(instruction.error)

    def _trigger(self, trigger: TriggerSubtasks) -> checkpoint_pb2.TriggerCheckpoint:
        message = checkpoint_pb2.TriggerCheckpoint(
            checkpoint_id=trigger.checkpoint_id,
            timestamp_ms=trigger.triggered_ms,
            base_id=trigger.base_id,
            generation=self.generation,
            full=trigger.savepoint or self._refers_to_nothing,
        )
        if trigger.savepoint:
            message.savepoint = self._savepoints[0].location
            message.drain = self._savepoints[0].drain
        return message

    def _announce(self, announce: Announce) -> None:
        failpoint("checkpoint.announce")
        self._record(
            "checkpoint.announced",
            announce.checkpoint_id,
            savepoint=announce.savepoint,
            drain=announce.savepoint and self._savepoints[0].drain,
            retained=list(self.coordinator.retained),
        )
        if announce.savepoint:
            savepoint = self._savepoints.popleft()
            savepoint.checkpoint_id = announce.checkpoint_id
            if savepoint.ends_job:
                self.ends_with = savepoint.location
            if savepoint.is_end:
                self.coordinator.hold()
            _answer(savepoint.done, savepoint)
            self._request_savepoint()
        else:
            self._tell(COMPLETED, self._job.running_subtasks(), _message(announce.checkpoint_id))
            self._later(self.store.ledger.committed, announce.checkpoint_id)
            self._drop_claimed()
            self._refers_to_nothing = False
            self._completed.set()
        self._release_all()

    def _abandon(self, abandon: Abandon) -> None:
        told = {"savepoint": abandon.savepoint, "reason": abandon.failure}
        self._record("checkpoint.abandoned", abandon.checkpoint_id, **told)
        if not abandon.sealing:
            self._tell(ABORTED, self._job.running_subtasks(), _message(abandon.checkpoint_id))
        self._release_all()
        if abandon.savepoint:
            savepoint = self._savepoints.popleft()
            self._remove(savepoint.location)
            _answer(savepoint.done, CheckpointError(f"the savepoint was given up: {abandon.failure}"))
            self._request_savepoint()
        else:
            self._collect()

    async def _copy_enumerators(self, checkpoint_id: int) -> None:
        enumerators: dict[str, bytes] = {}
        try:
            for vertex, source in self._sources.items():
                self._holding.add(vertex)
                enumerators[vertex] = await source.snapshot()
            failpoint("enumerators.copied")
        except FencedError as error:
            self._job.fail(error)
            return
        except MillstreamError as error:
            self._perform(self.coordinator.enumerators_failed(checkpoint_id, error, self._now_ms()))
            return
        self._enumerators = {known: e for known, e in self._enumerators.items() if known in self.coordinator.live}
        self._enumerators[checkpoint_id] = enumerators
        self._perform(self.coordinator.enumerators_copied(checkpoint_id))

    async def _seal(self, seal: Seal) -> None:
        manifest = manifest_of(
            self._graph,
            seal.checkpoint_id,
            seal.triggered_ms,
            self._clock.wall_ms(),
            seal.states,
            self._enumerators.pop(seal.checkpoint_id, {}),
            savepoint=seal.savepoint,
            parent_id=seal.base_id if seal.savepoint else self.coordinator.latest,
        )
        try:
            if seal.savepoint:
                path = await self._beside(partial(self._seal_savepoint, manifest, self._savepoints[0].location))
            else:
                path = await self._beside(partial(self.store.seal, manifest))
        except FencedError as error:
            self._job.fail(error)
            return
        except MillstreamError as error:
            self._perform(self.coordinator.not_sealed(seal.checkpoint_id, error, self._now_ms()))
            return
        self._perform(self.coordinator.sealed(seal.checkpoint_id, path, self._now_ms()))

    def _seal_savepoint(self, manifest: checkpoint_pb2.CheckpointManifest, location: str) -> str:
        try:
            write_manifest(open_storage(location, self._cluster), manifest)
        except OSError as error:
            raise CheckpointError(f"cannot write the savepoint {location}: {error.strerror or error}") from error
        self._record(
            "checkpoint.sealed",
            manifest.checkpoint_id,
            savepoint=True,
            parent=manifest.parent_id,
            path=location,
            files=[],
        )
        failpoint("savepoint.sealed")
        return location

    def _request_savepoint(self) -> None:
        """The next one that somebody has asked for, if it is not under way."""
        if self._savepoints and not self.coordinator.has_savepoint:
            first = self._savepoints[0]
            self.coordinator.request_savepoint(ends=first.drain or first.is_end)

    def _fail_savepoints(self, error: MillstreamError) -> None:
        wanted, self._savepoints = self._savepoints, deque()
        for savepoint in wanted:
            _answer(savepoint.done, error)

    def _tell(self, kind: str, subtasks: Sequence[SubtaskId], message: checkpoint_pb2.TriggerCheckpoint) -> None:
        # One that cannot be told is given up by its missing heartbeats, or the checkpoint by its timeout.
        self._job.spawn(lambda: self._tell_all(kind, subtasks, message), fails_job=False)

    async def _tell_all(
        self, kind: str, subtasks: Sequence[SubtaskId], message: checkpoint_pb2.TriggerCheckpoint
    ) -> None:
        payload = message.SerializeToString()
        await asyncio.gather(*(self._job.send_to_subtask(s.vertex, s.index, "", kind, payload) for s in subtasks))

    def _drop_claimed(self) -> None:
        """A checkpoint of the job's own is complete: what it started from, if that was claimed, is not needed now."""
        claimed, self._claimed = self._claimed, ""
        if claimed:
            log.info("job %s removes %s, which it had claimed", self._graph.job_id, claimed)
            self._remove(claimed)

    def _remove(self, location: str) -> None:
        """A checkpoint or savepoint: nobody takes it for one from the first moment on."""
        self._later(lambda: open_storage(location, self._cluster).delete(MANIFEST_NAME))
        self._later(lambda: open_storage(location, self._cluster).delete_tree())

    def _collect(self) -> None:
        """Remove the files of checkpoints that nobody needs any more."""
        retained = frozenset(self.coordinator.retained)
        self._later(lambda: failpoint("discard.begin"))
        self._later(self.store.ledger.collect, retained, self.coordinator.live - retained)
        self._later(lambda: failpoint("discard.end"))

    def _now_ms(self) -> int:
        """The time of day as it goes on from the start of the job: nobody who sets the clock delays a checkpoint."""
        return self._origin_ms + round(self._clock.monotonic_s() * 1000)

    def _record(self, event: str, checkpoint_id: int, **fields: Any) -> None:
        record(event, job=self._graph.job_id, generation=self.generation, checkpoint=checkpoint_id, **fields)

    async def _beside(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _later(self, work: Callable[..., None], *arguments: Any) -> None:
        """On the worker thread; what fails is left for the next sweep."""

        def guarded() -> None:
            try:
                work(*arguments)
            except OSError as error:
                log.warning("job %s: cannot tidy up its checkpoints: %s", self._graph.job_id, error)

        self._executor.submit(guarded)

    def _release_all(self) -> None:
        for vertex in list(self._holding):
            self._release(vertex)

    def _release(self, vertex: str) -> None:
        self._holding.discard(vertex)
        source = self._sources.get(vertex)
        if source is not None:
            self._job.spawn(source.release, fails_job=False)


@dataclass
class Savepoint:
    """One that somebody has asked for."""

    location: str
    drain: bool
    is_end: bool
    """Nothing of the attempt is to be committed but what it holds."""
    ends_job: bool
    done: asyncio.Future[Savepoint]
    checkpoint_id: int = 0


def _message(checkpoint_id: int) -> checkpoint_pb2.TriggerCheckpoint:
    return checkpoint_pb2.TriggerCheckpoint(checkpoint_id=checkpoint_id)


def _answer(done: asyncio.Future[Savepoint], answer: Savepoint | MillstreamError) -> None:
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
