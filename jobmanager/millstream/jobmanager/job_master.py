"""The shell around one job's ``JobMachine``: performs its instructions over the network and feeds events back.

Runs on the JobManager's event loop; nothing here blocks it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from millstream.core import source_events
from millstream.core.api.job import JobStatus
from millstream.core.checkpoint import events
from millstream.core.checkpoint.storage import location_of, open_storage
from millstream.core.clock import Clock
from millstream.core.config.options import FAILOVER_STRATEGY
from millstream.core.errors import (
    ErrorPlace,
    FencedError,
    InsufficientSlotsError,
    MillstreamError,
    TaskManagerLostError,
)
from millstream.core.failpoints import failpoint
from millstream.core.ids import JobId, SlotId, SubtaskId, TaskManagerId, VertexId
from millstream.core.protocol_log import record
from millstream.core.rpc.error_info import error_in
from millstream.core.subtask_names import shown_names, subtask_name
from millstream.jobmanager import describe
from millstream.jobmanager.blob_store import BlobStore
from millstream.jobmanager.checkpointing.driver import CheckpointDriver
from millstream.jobmanager.checkpointing.settings import CheckpointSettings, keeps_checkpoints, savepoint_root
from millstream.jobmanager.checkpointing.store import CheckpointStore
from millstream.jobmanager.coordinators.collect import CollectCoordinator
from millstream.jobmanager.coordinators.job_sources import JobSources
from millstream.jobmanager.deployment import await_deployment, cancellations, deployments
from millstream.jobmanager.ending import RECORD_WAIT_S, JobEnding, remove_leavings
from millstream.jobmanager.ha.job_store import JobStore, StoredJob, record_beside
from millstream.jobmanager.ha.leadership import Leadership
from millstream.jobmanager.job_machine import (
    AskRestart,
    AwaitCause,
    AwaitRestart,
    CancelRequested,
    CancelSubtasks,
    CauseAwaited,
    Deploy,
    Event,
    Finished,
    Instruction,
    JobFailed,
    JobMachine,
    RequestSlots,
    RestartDecided,
    RestartDue,
    SlotsGranted,
    SubtaskReported,
    TaskManagerGone,
)
from millstream.jobmanager.reconciliation import Reconciliation
from millstream.jobmanager.recording import record_deployed, record_job, record_left
from millstream.jobmanager.restart import SAME_FAILURES_MAX, CrashLoop, NoRestart, restart_strategy, why_never
from millstream.jobmanager.scaling import JobScaling
from millstream.jobmanager.scheduling.adaptive import AdaptiveSettings
from millstream.jobmanager.scheduling.placement import place
from millstream.jobmanager.scheduling.regions import one_region, regions_of
from millstream.jobmanager.scheduling.rescaling import Parallelism, apply
from millstream.jobmanager.slot_deaths import SlotDeaths
from millstream.jobmanager.takeover import Takeover, lost_results
from millstream.jobmanager.taskmanagers import TaskManagers
from millstream.proto.v1 import (
    checkpoint_pb2,
    common_pb2,
    job_graph_pb2,
    job_store_pb2,
    jobmanager_pb2,
    taskmanager_pb2,
)

CAUSE_WAIT_S: Final = 0.5

log = logging.getLogger("millstream.jobmanager")


class JobMaster:
    """One job from submission to its end, and after it for whoever asks."""

    def __init__(
        self,
        graph: job_graph_pb2.JobGraph,
        taskmanagers: TaskManagers,
        blobs: BlobStore,
        clock: Clock,
        job_token: bytes,
        slot_timeout_s: float,
        checkpoint_root: str,
        cluster: Mapping[str, Any],
        generator: random.Random,
        store: JobStore,
        leadership: Leadership,
        submitted_ms: int = 0,
    ) -> None:
        """``submitted_ms``: when, of a job that another JobManager accepted."""
        self.graph = graph
        self.job_id = JobId(graph.job_id)
        self.placement = place(graph)
        # The adaptive scheduler starts with the slots there are, so it stops everything first.
        whole = cluster.get(FAILOVER_STRATEGY.key) == "full" or AdaptiveSettings.of_cluster(cluster).is_on
        self._regions = one_region(graph) if whole else regions_of(graph)
        self._recorded_attempt = 0
        """The newest that is in the job store, as the first one is with the job."""
        self.machine = JobMachine(graph.job_id, self.placement.slots, self._regions, submitted_ms or clock.wall_ms())
        self.version = 1
        self.ended = asyncio.Event()
        self.collectors = {
            operator.operator_id: CollectCoordinator(vertex.parallelism)
            for vertex in graph.vertices
            if vertex.collects
            for operator in vertex.operators
            if operator.kind == "collect"
        }
        self._taskmanagers = taskmanagers
        self._blobs = blobs
        self._clock = clock
        self._store = store
        self._leadership = leadership
        self._job_token = job_token
        self._slot_timeout_s = slot_timeout_s
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"job-{graph.job_id[:8]}")
        self.sources = JobSources(graph, blobs, self._executor, self.send_to_subtask, store)
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots: list[SlotId] = []
        self._slots_deadline_s = clock.monotonic_s() + slot_timeout_s
        settings = CheckpointSettings.of_job(graph.configuration)
        checkpoints = CheckpointStore(open_storage(location_of(checkpoint_root, graph.job_id), cluster))
        self.checkpoints = CheckpointDriver(graph, settings, checkpoints, clock, self._executor, self, cluster)
        # Records that a client has fetched cannot be taken back: a job that collects is not started again.
        can_restart = not self.collectors
        self._strategy = (
            restart_strategy(graph.configuration, settings.interval_ms > 0, generator) if can_restart else NoRestart()
        )
        self._crash_loop = CrashLoop()
        self._slot_deaths = SlotDeaths()
        self._restart_delay_s = 0.0
        self._scaling = JobScaling(self, clock, cluster)
        root = savepoint_root(graph.configuration, checkpoint_root)
        self._ending = JobEnding(self, store, self._executor, root)
        self._takeover: Takeover | None = None
        record_job(graph)

    # -- questions ------------------------------------------------------------------------------------------------

    @property
    def status(self) -> JobStatus:
        return self.machine.status

    @property
    def shown_status(self) -> JobStatus:
        """That of which clients may know: an end only when it is recorded."""
        is_known = self.ended.is_set() or not self.status.is_terminal_state()
        return self.status if is_known else self.machine.story.history[-2][0]

    def waiting_for(self) -> str:
        """Why the job does not run yet; empty when it does."""
        if not self.machine.wants_slots:
            return ""
        needed, pool = len(self.machine.missing_slots), self._taskmanagers.pool
        left_s = max(0, round(self._slots_deadline_s - self._clock.monotonic_s()))
        return (
            f"{needed} slots; {pool.free()} of {pool.total()} are free. "
            f"Start TaskManagers or lower the parallelism; gives up in {left_s} s"
        )

    async def wait_beyond(self, version: int, timeout_s: float) -> None:
        """Until the job's version exceeds ``version``, at most ``timeout_s``."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        while self.version <= version:
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0:
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
            except TimeoutError:
                return

    # -- events ---------------------------------------------------------------------------------------------------

    def try_start(self) -> None:
        """Take slots if there are enough; called whenever slots may have become free."""
        if not self.machine.wants_slots:
            return
        former = self.machine.missing_slots
        slots = self._taskmanagers.pool.allocate(self.job_id, len(former), former)
        if slots is not None:
            self._slots += [slot.slot_id for slot in slots]
            self.handle(SlotsGranted(tuple(slots)))

    def check_slots(self) -> None:
        """Now and then: run with what there is, if the scheduler may; fail when the job has waited long enough."""
        if self.takeover is not None:
            self.takeover.check()
        self._scaling.adapt()
        self.try_start()
        if not self.machine.wants_slots or self._clock.monotonic_s() < self._slots_deadline_s:
            return
        pool = self._taskmanagers.pool
        self.handle(
            JobFailed(
                InsufficientSlotsError(
                    f"job {self.graph.name!r} needs {self.placement.slots_needed} slots, but within "
                    f"{self._slot_timeout_s:g} s (slot.request.timeout) no more than {pool.free()} of {pool.total()} "
                    f"were free. Start TaskManagers, or lower the parallelism."
                )
            )
        )

    async def take_savepoint(self, directory: str, *, stop: bool = False, drain: bool = False) -> str:
        """See ``JobEnding.take_savepoint``."""
        return await self._ending.take_savepoint(directory, stop=stop, drain=drain)

    async def rescale(self, parallelism: int, by_vertex: Mapping[str, int]) -> bool:
        """See ``JobScaling.rescale``."""
        return await self._scaling.rescale(parallelism, by_vertex)

    async def cancel(self) -> None:
        """See ``JobEnding.cancel``."""
        await self._ending.cancel()

    def drop(self) -> None:
        """This JobManager ends, and its jobs with it."""
        self.handle(CancelRequested())

    def take_over(self, stored: StoredJob, timeout_s: float) -> None:
        """The job was another JobManager's: wait at most ``timeout_s`` for what of it runs, and go on with that."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        self._recorded_attempt = stored.attempt
        attempts = {vertex: journal.attempt for vertex, journal in stored.sources.items()}
        reconciliation = Reconciliation(self.placement.slots, self._regions, deadline_s, attempts)
        self._takeover = Takeover(self, reconciliation, stored, self._clock)
        self._takeover.begin(lost_results(self.graph.name) if self.collectors else None)

    @property
    def takeover(self) -> Takeover | None:
        """While it is not known what of the job runs."""
        return None if self._takeover is None or self._takeover.is_over else self._takeover

    def taskmanager_lost(self, taskmanager: TaskManagerId, error: MillstreamError) -> None:
        if self.takeover is not None:
            self.takeover.lost(taskmanager)
        gone = [
            execution
            for execution in self.machine.executions.values()
            if execution.slot is not None
            and execution.slot.slot_id.taskmanager == taskmanager
            and not execution.has_ended()
        ]
        for execution in gone:
            record_left(self.job_id, execution, lost=True)
        if gone:
            work = shown_names(self._names([execution.subtask for execution in gone]))
            place = ErrorPlace(operator=work)
            story = f"{error.message.rstrip('.')}. It ran {work} of job {self.graph.name!r}."
            error = TaskManagerLostError(story, place=place)
        self.handle(TaskManagerGone(taskmanager, error))

    def report(self, request: jobmanager_pb2.ReportSubtaskRequest) -> bool:
        """A subtask's status. False when the attempt is not current."""
        subtask = _subtask(request.subtask)
        if self.takeover is not None:
            return self.takeover.reported(subtask, request)
        execution = self.machine.executions.get(subtask)
        if execution is None or execution.attempt != request.subtask.attempt or execution.was_given_up(request.status):
            return False
        if request.HasField("final_metrics"):
            execution.metrics.CopyFrom(request.final_metrics)
        error = error_in(request)
        if request.process_end and not execution.has_ended():
            progress = self.checkpoints.coordinator.progress
            self._slot_deaths.died(subtask, request.process_end, progress, self._clock.monotonic_s())
        attempt, answered = request.subtask.attempt, request.answered_checkpoint
        self.handle(SubtaskReported(subtask, attempt, request.status, error, answered))
        if execution.has_ended():
            record_left(self.job_id, execution)
        return True

    def checkpoint_reported(self, report: checkpoint_pb2.CheckpointReport) -> None:
        """A subtask's part of a checkpoint, which may come after its end; those of former attempts are ignored."""
        subtask = _subtask(report.subtask)
        execution = self.machine.executions.get(subtask)
        if execution is None or execution.attempt != report.subtask.attempt:
            return
        if not execution.has_ended() or execution.status == common_pb2.SUBTASK_STATUS_FINISHED:
            self.checkpoints.reported(subtask, report)
            self._touch()

    def take_metrics(self, metrics: common_pb2.SubtaskMetrics) -> None:
        """A reading of a running subtask."""
        execution = self.machine.executions.get(_subtask(metrics.subtask))
        if execution is not None and execution.attempt == metrics.subtask.attempt and not execution.has_ended():
            execution.metrics.CopyFrom(metrics)
            self._touch()

    async def operator_event(
        self, request: jobmanager_pb2.OperatorEventRequest
    ) -> jobmanager_pb2.OperatorEventResponse:
        """From an operator to its coordinator. Not accepted: offer it again later; one of a former attempt never is."""
        index = request.subtask.index
        accepted = False
        execution = self.machine.executions.get(_subtask(request.subtask))
        if execution is None or execution.attempt != request.subtask.attempt:
            return jobmanager_pb2.OperatorEventResponse(accepted=False)  # of one that was frozen, or is being stopped
        match request.kind:
            case source_events.REQUEST_SPLIT:
                coordinator = self.sources.coordinators.get(request.subtask.vertex_id)
                accepted = coordinator is not None and coordinator.is_ready()
                if accepted and coordinator is not None:
                    vertex = VertexId(request.subtask.vertex_id)
                    self.spawn(lambda: coordinator.request_split(index), vertices=[vertex])
            case events.AWAIT_COMMIT:
                self.checkpoints.awaits_commit(_subtask(request.subtask))
                accepted = True
            case "collect":
                accepted = self._collector(request.operator_id).offer(request.payload)
            case "collect_end":
                self._collector(request.operator_id).end(index)
                accepted = True
            case _:
                raise MillstreamError(f"job {self.job_id} knows no operator event {request.kind!r}")
        return jobmanager_pb2.OperatorEventResponse(accepted=accepted)

    def handle(self, event: Event) -> None:
        """Let the machine decide, then do what it says."""
        before = self.status
        instructions = self.machine.handle(event, self._clock.wall_ms())
        if self.status is not before:
            log.info("job %s (%s) is %s", self.job_id, self.graph.name, self.status)
            record("job.status", job=self.job_id, status=self.status.name)
            if self.status is JobStatus.RUNNING:
                self.checkpoints.started(dict(self.sources.coordinators))
            elif before is JobStatus.RUNNING:
                self.checkpoints.stopped()
        if isinstance(event, SubtaskReported):
            execution = self.machine.executions[event.subtask]
            if execution.status == common_pb2.SUBTASK_STATUS_FINISHED:
                self.checkpoints.subtask_finished(event.subtask, event.answered_checkpoint)
        for instruction in instructions:
            self._perform(instruction)
        self._touch()

    # -- for its takeover -----------------------------------------------------------------------------------------

    async def commit_savepoint(self, ending: job_store_pb2.JobEnding) -> None:
        await self._ending.commit_savepoint(ending)

    def adopt(self, slots: Collection[SlotId]) -> None:
        """These slots serve the job already."""
        for slot_id in slots:
            self._taskmanagers.pool.claim(slot_id, self.job_id)
        self._slots = list(slots)

    def give_back(self, slot_id: SlotId) -> None:
        """The slot has nothing of use for the job."""
        attempt = max(self.machine.attempt, self._recorded_attempt)
        self.spawn(lambda: self._taskmanagers.free(slot_id, self.job_id, attempt), fails_job=False)

    # -- for its scaling -------------------------------------------------------------------------------------------

    def slots_at_hand(self) -> int:
        return self._taskmanagers.pool.free() + len(self._slots)

    def has_results_out(self) -> bool:
        return bool(self.collectors)

    async def record_graph(self) -> None:
        """As it is now, with its attempt: a new leader goes on with that. Raises ``ExternalError``, ``FencedError``."""
        graph = job_graph_pb2.JobGraph()
        graph.CopyFrom(self.graph)  # it may change meanwhile
        attempt = self.machine.attempt
        await record_beside(self._store, self._executor, partial(self._store.put, graph, attempt))
        self._recorded_attempt = max(self._recorded_attempt, attempt)

    def become(self, parallelism: Parallelism) -> None:
        apply(self.graph, parallelism)
        self.placement = place(self.graph)
        self.checkpoints.rescaled()

    # -- for the checkpoints --------------------------------------------------------------------------------------

    def running_subtasks(self) -> list[SubtaskId]:
        return [subtask for subtask, execution in self.machine.executions.items() if not execution.has_ended()]

    def fail(self, error: MillstreamError) -> None:
        if not self._is_led_elsewhere(error):
            self.handle(JobFailed(error))

    # -- instructions ---------------------------------------------------------------------------------------------

    def _perform(self, instruction: Instruction) -> None:
        match instruction:
            case Deploy():
                deployed = instruction.vertices
                self.checkpoints.left(deployed)  # now that repeated reports of the former attempt count no more
                self.spawn(lambda: self._deploy(deployed), vertices=deployed)
            case CancelSubtasks():
                executions = [self.machine.executions[subtask] for subtask in instruction.subtasks]
                told, untold = cancellations(self.job_id, executions, self._recorded_attempt)
                for taskmanager, refs in told.items():
                    self.spawn(lambda t=taskmanager, r=refs: self._cancel_at(t, r), fails_job=False)  # type: ignore[misc]
                for execution in untold:
                    ended = SubtaskReported(execution.subtask, execution.attempt, common_pb2.SUBTASK_STATUS_CANCELED)
                    asyncio.get_running_loop().call_soon(self.handle, ended)
            case AwaitCause():
                asyncio.get_running_loop().call_later(CAUSE_WAIT_S, self.handle, CauseAwaited())
            case AskRestart():
                self.handle(RestartDecided(self._decide_restart(instruction.error)))
            case AwaitRestart():
                self._close_attempt(instruction.vertices, instruction.slots)
                delay_s = 0.0 if self._scaling.is_pending else self._restart_delay_s
                asyncio.get_running_loop().call_later(delay_s, self._restart, instruction.number)
            case RequestSlots():
                self._slots_deadline_s = self._clock.monotonic_s() + self._slot_timeout_s
                self.try_start()
            case Finished():
                self.spawn(self._end, fails_job=False)

    def _restart(self, number: int) -> None:
        """The delay with this number is over."""
        chosen = self._scaling.take_next() if self.machine.will_be_down(number) else None
        if chosen is not None and self.status is JobStatus.RESTARTING:
            self.become(chosen)
        self.handle(RestartDue(number, self.placement.slots))

    def _decide_restart(self, error: MillstreamError) -> bool:
        """Whether there is another attempt; an error that ends the job says why there is none."""
        if isinstance(error, FencedError):
            return False
        reason = why_never(error)
        if reason is not None:
            if not isinstance(self._strategy, NoRestart):
                error.message += f"\nThe job is not started again: {reason}."
            return False
        if self._crash_loop.repeats(error):
            times = f"{SAME_FAILURES_MAX} times at this line with this record"
            error.message += f"\nThe job is not started again: it failed {times}."
            return False
        if self.checkpoints.ends_with:
            error.message += (
                f"\nThe job is not started again: it was being stopped, and its savepoint {self.checkpoints.ends_with} "
                f"is complete. An earlier checkpoint would write again what is committed with the savepoint."
            )
            return False
        deaths = self._slot_deaths.verdict()
        if deaths is not None:
            error.message += f"\nThe job is not started again: {deaths.describe(self._names(deaths.subtasks))}"
            return False
        delay_s = self._strategy.delay_s(self._clock.monotonic_s())
        if delay_s is None:
            reason = self._strategy.describe()
            if reason:
                error.message += f"\nThe job is not started again: {reason}."
            return False
        self._restart_delay_s = delay_s
        log.warning("job %s (%s) starts again in %.1f s: %s", self.job_id, self.graph.name, delay_s, error)
        return True

    async def _deploy(self, vertices: Collection[VertexId]) -> None:
        attempts = {vertex: self._attempt_of([vertex]) for vertex in vertices}
        await self.record_graph()
        restored, enumerators = await self.checkpoints.restore()
        if not await_deployment(self.machine.executions, attempts):
            return
        started = await self.sources.start(attempts, enumerators)
        if not await_deployment(self.machine.executions, attempts):
            return
        directory = self.checkpoints.directory
        requests = deployments(self.graph, vertices, self.machine.executions, self._job_token, directory, restored)
        for execution in self.machine.executions.values():
            if execution.subtask.vertex in vertices:
                record_deployed(self.job_id, execution)
        failpoint("deployment.send")
        await asyncio.gather(
            *(self._taskmanagers.deploy(taskmanager, request) for taskmanager, request in requests.items())
        )
        failpoint("deployment.sent")
        await asyncio.gather(*(source.release() for source in started))

    async def _cancel_at(self, taskmanager: TaskManagerId, refs: list[common_pb2.SubtaskRef]) -> None:
        given_up = self.checkpoints.given_up
        request = taskmanager_pb2.CancelSubtasksRequest(subtasks=refs, aborted_checkpoints=given_up)
        await self._taskmanagers.cancel(taskmanager, request)

    async def send_to_subtask(self, vertex: str, index: int, operator_id: str, kind: str, payload: bytes) -> None:
        execution = self.machine.executions[SubtaskId(VertexId(vertex), index)]
        if execution.slot is None or execution.has_ended():
            return
        request = taskmanager_pb2.SubtaskEventRequest(
            subtask=execution.ref(self.job_id), operator_id=operator_id, kind=kind, payload=payload
        )
        await self._taskmanagers.send(execution.slot.slot_id.taskmanager, request)

    def _close_attempt(self, vertices: Collection[VertexId], slots: Collection[SlotId]) -> None:
        """Nothing of these vertices runs any more: let go of their enumerators, and of slots in which nothing does."""
        self.sources.close(vertices)
        for slot_id in slots:
            self._taskmanagers.pool.release(slot_id)
            self.give_back(slot_id)
        self._slots = [slot_id for slot_id in self._slots if slot_id not in slots]

    async def _end(self) -> None:
        """Record it first: whoever leads next must not start again what is committed, or was cancelled."""
        if not await self._ending.record(describe.result(self)):
            asyncio.get_running_loop().call_later(RECORD_WAIT_S, self._perform, Finished())
            return
        self._close_attempt([VertexId(vertex.vertex_id) for vertex in self.graph.vertices], self._slots)
        self.checkpoints.ended()
        keep = keeps_checkpoints(self.status, self.checkpoints.settings)
        self._executor.submit(remove_leavings, self.job_id, self.checkpoints.store, keep, self._store)
        self._executor.shutdown(wait=False)
        for collector in self.collectors.values():
            collector.wake()
        self.ended.set()
        self._touch()

    # -- small things ---------------------------------------------------------------------------------------------

    def spawn(
        self,
        action: Callable[[], Awaitable[None]],
        fails_job: bool = True,
        vertices: Collection[VertexId] | None = None,
    ) -> None:
        """Run ``action`` beside; its failure fails the job, unless another attempt has begun meanwhile.

        ``vertices``: those that it is done for, where an attempt of others does not matter.
        """
        attempt = self._attempt_of(vertices)

        async def run() -> None:
            try:
                await action()
            except MillstreamError as error:
                if self._is_led_elsewhere(error):
                    return
                if fails_job and attempt == self._attempt_of(vertices):
                    self.handle(JobFailed(error))
                else:
                    log.warning("job %s: %s", self.job_id, error)
            except Exception as error:
                log.exception("job %s: unexpected failure", self.job_id)
                if attempt == self._attempt_of(vertices):
                    self.handle(JobFailed(MillstreamError(f"unexpected {type(error).__name__}: {error}")))

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _is_led_elsewhere(self, error: MillstreamError) -> bool:
        """Whether the error says that another JobManager has the job, and goes on with it: nothing is to do here."""
        if not (isinstance(error, FencedError) and self._store.keeps_jobs):
            return False
        self._leadership.lose(error.message)
        return True

    def _attempt_of(self, vertices: Collection[VertexId] | None) -> int:
        """The newest attempt of the job, or of these vertices."""
        executions = self.machine.executions.values()
        if vertices is None:
            return self.machine.attempt
        return max(execution.attempt for execution in executions if execution.subtask.vertex in vertices)

    def _names(self, subtasks: Sequence[SubtaskId]) -> list[str]:
        """As messages call them: "map -> sink (2/4)"."""
        vertices = {vertex.vertex_id: vertex for vertex in self.graph.vertices}
        return [subtask_name(vertices[s.vertex].name, s.index, vertices[s.vertex].parallelism) for s in subtasks]

    def _collector(self, operator_id: str) -> CollectCoordinator:
        collector = self.collectors.get(operator_id)
        if collector is None:
            raise MillstreamError(f"job {self.job_id} has no collect operator {operator_id}")
        return collector

    def _touch(self) -> None:
        self.version += 1
        self._changed.set()
        if self.status.is_terminal_state():
            for collector in self.collectors.values():
                collector.wake()


def _subtask(ref: common_pb2.SubtaskRef) -> SubtaskId:
    return SubtaskId(VertexId(ref.vertex_id), ref.index)
