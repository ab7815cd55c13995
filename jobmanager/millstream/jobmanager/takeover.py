"""What a new leader does with a job that another JobManager has led, until it is known what of it runs.

Meanwhile the job's checkpoints are taken over (``checkpointing/ledger.py``) and its TaskManagers register again, with
what they have of the job. Then the machine decides (``Reconciled``): what is whole goes on as if nothing had happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final, Protocol

from millstream.core.clock import Clock
from millstream.core.errors import CheckpointError, ExternalError, MillstreamError, UnavailableError
from millstream.core.ids import JobId, SlotId, SubtaskId, TaskManagerId, VertexId
from millstream.core.rpc.error_info import error_in
from millstream.jobmanager.checkpointing.driver import CheckpointDriver
from millstream.jobmanager.coordinators.job_sources import JobSources
from millstream.jobmanager.coordinators.source import SourceCoordinator
from millstream.jobmanager.execution import Execution
from millstream.jobmanager.ha.job_store import StoredJob
from millstream.jobmanager.job_machine import CancelRequested, Event, JobMachine, Reconciled, Recovered
from millstream.jobmanager.reconciliation import Reconciliation
from millstream.jobmanager.scheduling.slot_pool import Slot
from millstream.proto.v1 import common_pb2, job_store_pb2, jobmanager_pb2

STORAGE_WAIT_S: Final = 1.0
"""Before another attempt to read the job's checkpoints."""

log = logging.getLogger("millstream.jobmanager")


class TakenOverJob(Protocol):
    """What a takeover needs of its job."""

    job_id: JobId
    machine: JobMachine
    checkpoints: CheckpointDriver
    sources: JobSources

    def handle(self, event: Event) -> None: ...

    def spawn(self, action: Callable[[], Awaitable[None]]) -> None: ...

    def adopt(self, slots: Collection[SlotId]) -> None: ...

    def fail(self, error: MillstreamError) -> None: ...

    def give_back(self, slot_id: SlotId) -> None: ...

    async def commit_savepoint(self, ending: job_store_pb2.JobEnding) -> None: ...


class Takeover:
    """Of one job. It is over when ``is_over``."""

    def __init__(self, job: TakenOverJob, reconciliation: Reconciliation, stored: StoredJob, clock: Clock) -> None:
        self.is_over = False
        self._job = job
        self._reconciliation = reconciliation
        self._attempt = stored.attempt
        self._ending = stored.ending
        self._journals = stored.sources
        self._clock = clock
        self._has_checkpoints = False
        self._failure: MillstreamError | None = None

    def begin(self, failure: MillstreamError | None) -> None:
        """Take over the checkpoints, and wait for TaskManagers. ``failure``: why the job cannot go on in any case."""
        self._failure = failure
        self._job.handle(Recovered())
        if self._ending is not None and self._ending.savepoint:
            self._job.checkpoints.will_end_with(self._ending.savepoint)
        elif self._ending is not None:
            self._job.handle(CancelRequested())
        self._job.spawn(self._take_checkpoints)

    def found(self, slot: Slot, subtasks: Iterable[jobmanager_pb2.KnownSubtask]) -> None:
        """A TaskManager has a slot that serves the job, with these subtasks."""
        self._reconciliation.hold(slot.slot_id)
        for known in subtasks:
            report = known.report
            subtask = SubtaskId(VertexId(report.subtask.vertex_id), report.subtask.index)
            execution = Execution(subtask, report.subtask.attempt, report.status, slot, error_in(report))
            if report.HasField("final_metrics"):
                execution.metrics.CopyFrom(report.final_metrics)
            self._reconciliation.take(execution, known.awaits_commit, known.triggered_checkpoint)
        self.check()

    def reported(self, subtask: SubtaskId, request: jobmanager_pb2.ReportSubtaskRequest) -> bool:
        """A subtask's status; False when it was not found, or is of another attempt."""
        known = self._reconciliation.update(subtask, request.subtask.attempt, request.status, error_in(request))
        self.check()
        return known

    def lost(self, taskmanager: TaskManagerId) -> None:
        """It is gone again."""
        self._reconciliation.forget(taskmanager)

    def check(self) -> None:
        """Go on, if everything is found or it is time."""
        if self.is_over or not self._has_checkpoints:
            return
        is_complete = self._reconciliation.is_complete()
        if not is_complete and self._clock.monotonic_s() < self._reconciliation.deadline_s:
            return
        self.is_over = True
        self._go_on(self._reconciliation.result(self._attempt))

    def _go_on(self, result: Reconciled) -> None:
        """With what was found."""
        job = self._job
        vertices = {subtask.vertex for subtask in job.machine.executions}
        whole = job.machine.whole(result.found)
        log.info(
            "job %s: %d of %d subtasks were found running or finished; %d of %d vertices go on",
            job.job_id,
            len(result.found),
            len(job.machine.executions),
            len(whole),
            len(vertices),
        )
        for slot_id in self._reconciliation.useless(result):
            job.give_back(slot_id)
        job.adopt({execution.slot.slot_id for execution in result.found.values() if execution.slot is not None})
        kept = {subtask: execution for subtask, execution in result.found.items() if subtask.vertex in whole}
        resumed: list[SourceCoordinator] = []
        try:
            resumed = job.sources.adopt({s.vertex: execution.attempt for s, execution in kept.items()}, self._journals)
        except CheckpointError as error:
            self._failure = self._failure or error
        ending = self._ending
        if ending is not None and ending.savepoint:
            if whole == vertices:
                if not ending.drain:
                    job.checkpoints.coordinator.hold()  # before the job runs, and a checkpoint is due
                job.spawn(lambda: job.commit_savepoint(ending))
            else:
                self._failure = self._failure or _uncommitted()
        for subtask, execution in kept.items():
            if execution.status == common_pb2.SUBTASK_STATUS_FINISHED:
                job.checkpoints.subtask_finished(subtask)
            elif subtask in self._reconciliation.awaiting_commit:
                job.checkpoints.awaits_commit(subtask)
        job.checkpoints.found(self._reconciliation.triggered_checkpoint)
        job.handle(result)
        if self._failure is not None:
            job.fail(self._failure)
            return
        job.checkpoints.reconciled()
        for source in resumed:
            job.spawn(source.resume)

    async def _take_checkpoints(self) -> None:
        try:
            await self._job.checkpoints.take_over()
        except UnavailableError as error:
            log.warning("job %s: %s. Its subtasks run on meanwhile", self._job.job_id, error)
            asyncio.get_running_loop().call_later(STORAGE_WAIT_S, self._job.spawn, self._take_checkpoints)
            return
        except MillstreamError as error:
            self._failure = self._failure or error  # when it is known what is to be stopped
        self._has_checkpoints = True
        self.check()


def lost_results(name: str) -> MillstreamError:
    """Why a job that gives its records to a client cannot go on."""
    return ExternalError(
        f"job {name!r} gives its records to its client, and those that it had not fetched were lost with the "
        f"JobManager that held them. Submit the job again."
    )


def _uncommitted() -> MillstreamError:
    return ExternalError(
        "the job was being stopped with a savepoint when its JobManager died, and of its subtasks, which were to make "
        "visible what the savepoint holds, not all are there any more. A job that starts from the savepoint does that."
    )
