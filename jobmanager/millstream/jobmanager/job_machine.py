"""Decides what happens to a job: events in, instructions out. No clock, no network, no threads.

The shell (``JobMaster``) performs the instructions and feeds the outcome back. A job's first error is its root cause,
except that an error that only says that a connection or a peer was lost gives way to one that says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from millstream.core.api.job import JobStatus
from millstream.core.errors import ExternalError, MillstreamError
from millstream.core.ids import SubtaskId, TaskManagerId
from millstream.jobmanager.execution import Execution
from millstream.jobmanager.job_status import JobStory
from millstream.jobmanager.scheduling.slot_pool import Slot
from millstream.proto.v1 import common_pb2


@dataclass(frozen=True)
class SlotsGranted:
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class SubtaskReported:
    subtask: SubtaskId
    attempt: int
    status: common_pb2.SubtaskStatus.ValueType
    error: MillstreamError | None = None


@dataclass(frozen=True)
class TaskManagerGone:
    taskmanager: TaskManagerId
    error: MillstreamError


@dataclass(frozen=True)
class JobFailed:
    """Something other than a subtask failed: deployment, an enumerator, waiting for slots."""

    error: MillstreamError


@dataclass(frozen=True)
class CancelRequested:
    pass


@dataclass(frozen=True)
class CauseAwaited:
    """The time to wait for a better root cause is over."""


@dataclass(frozen=True)
class RestartDecided:
    """``AskRestart`` is answered: the job gets another attempt, or does not."""

    again: bool


@dataclass(frozen=True)
class RestartDue:
    """The delay before the next attempt is over; ``slot_subtasks``: of each slot, if they are others now."""

    slot_subtasks: tuple[tuple[SubtaskId, ...], ...] = ()


@dataclass(frozen=True)
class RescaleRequested:
    """Stop, and start again with other subtasks: ``slot_subtasks`` are those of each slot."""

    slot_subtasks: tuple[tuple[SubtaskId, ...], ...]


@dataclass(frozen=True)
class Replanned:
    """A job that waits for slots will start with other subtasks."""

    slot_subtasks: tuple[tuple[SubtaskId, ...], ...]


Event = (
    SlotsGranted
    | SubtaskReported
    | TaskManagerGone
    | JobFailed
    | CancelRequested
    | CauseAwaited
    | RestartDecided
    | RestartDue
    | RescaleRequested
    | Replanned
)


@dataclass(frozen=True)
class Deploy:
    """Send every subtask to its slot."""


@dataclass(frozen=True)
class CancelSubtasks:
    subtasks: tuple[SubtaskId, ...]


@dataclass(frozen=True)
class AwaitCause:
    """Everything has ended, but the error known so far may be a consequence: feed ``CauseAwaited`` a little later."""


@dataclass(frozen=True)
class AskRestart:
    """The job has failed and nothing of it runs: let the restart strategy decide, and feed ``RestartDecided``."""

    error: MillstreamError


@dataclass(frozen=True)
class AwaitRestart:
    """Free the slots, and feed ``RestartDue`` when the strategy's delay is over."""


@dataclass(frozen=True)
class RequestSlots:
    """The job waits for slots again: feed ``SlotsGranted`` when there are enough."""


@dataclass(frozen=True)
class Finished:
    """The job has ended: free its slots, wake who waits for it."""


Instruction = Deploy | CancelSubtasks | AwaitCause | AskRestart | AwaitRestart | RequestSlots | Finished


class JobMachine:
    """One job. ``executions`` is shared with the shell for reading."""

    def __init__(self, job_id: str, slot_subtasks: tuple[tuple[SubtaskId, ...], ...], now_ms: int) -> None:
        self.story = JobStory(job_id, now_ms)
        self.executions = {subtask: Execution(subtask) for subtasks in slot_subtasks for subtask in subtasks}
        self.error: MillstreamError | None = None
        self.secondary_errors: list[MillstreamError] = []
        self.failures: list[tuple[MillstreamError, int]] = []
        """What made earlier attempts fail, and when (wall clock, ms); the newest last."""
        self.restarts = 0
        self._slot_subtasks = slot_subtasks
        self._awaiting_cause = False
        self._asked = False
        self._restart_due = False
        self._stopping = False
        """Being rescaled: subtasks of the former plan are being cancelled."""
        self._attempt = 0

    @property
    def attempt(self) -> int:
        """Counts restarts and rescalings."""
        return self._attempt

    @property
    def status(self) -> JobStatus:
        return self.story.status

    def handle(self, event: Event, now_ms: int) -> list[Instruction]:
        """Take one event."""
        if self.status.is_terminal_state():
            return []
        match event:
            case SlotsGranted():
                return self._granted(event.slots, now_ms)
            case SubtaskReported():
                return self._reported(event, now_ms)
            case TaskManagerGone():
                return self._taskmanager_gone(event, now_ms)
            case JobFailed():
                return self._fail(event.error, now_ms)
            case CancelRequested():
                return self._cancel(now_ms)
            case CauseAwaited():
                self._awaiting_cause = False  # by now the job may be in its next attempt
                return self._end(now_ms) if self.status is JobStatus.FAILING and self._all_ended() else []
            case RestartDecided():
                return self._restart_decided(event.again, now_ms)
            case RestartDue():
                return self._restart(event.slot_subtasks or self._slot_subtasks)
            case RescaleRequested():
                return self._rescale(event.slot_subtasks, now_ms)
            case Replanned():
                if self.wants_slots:
                    self._replan(event.slot_subtasks)
                return []

    @property
    def wants_slots(self) -> bool:
        """The job can start as soon as it gets slots."""
        return self.status is JobStatus.CREATED or (self.status is JobStatus.RESTARTING and self._restart_due)

    def _granted(self, slots: tuple[Slot, ...], now_ms: int) -> list[Instruction]:
        if not self.wants_slots:
            return []
        self._restart_due = False
        for slot, subtasks in zip(slots, self._slot_subtasks, strict=True):
            for subtask in subtasks:
                self.executions[subtask].slot = slot
                self.executions[subtask].advance(common_pb2.SUBTASK_STATUS_DEPLOYING)
        self.story.become(JobStatus.INITIALIZING, now_ms)
        return [Deploy()]

    def _reported(self, event: SubtaskReported, now_ms: int) -> list[Instruction]:
        execution = self.executions.get(event.subtask)
        if execution is None or execution.attempt != event.attempt or not execution.advance(event.status):
            return []
        execution.error = event.error
        if event.status == common_pb2.SUBTASK_STATUS_FAILED:
            return self._fail(event.error or MillstreamError(f"subtask {event.subtask} failed"), now_ms)
        statuses = {execution.status for execution in self.executions.values()}
        started = {common_pb2.SUBTASK_STATUS_RUNNING, common_pb2.SUBTASK_STATUS_FINISHED}
        if self.status is JobStatus.INITIALIZING and statuses <= started:
            self.story.become(JobStatus.RUNNING, now_ms)
        return self._check_end(now_ms)

    def _taskmanager_gone(self, event: TaskManagerGone, now_ms: int) -> list[Instruction]:
        lost = [
            execution
            for execution in self.executions.values()
            if execution.slot is not None
            and execution.slot.slot_id.taskmanager == event.taskmanager
            and not execution.has_ended()
        ]
        for execution in lost:
            execution.advance(common_pb2.SUBTASK_STATUS_FAILED)
            execution.error = event.error
        return self._fail(event.error, now_ms) if lost else []

    def _fail(self, error: MillstreamError, now_ms: int) -> list[Instruction]:
        if self.status is JobStatus.CANCELLING or self._stopping:
            return [*self._cancel_subtasks(), *self._check_end(now_ms)]
        if self.error is None or (_is_consequence(self.error) and not _is_consequence(error)):
            if self.error is not None:
                self.secondary_errors.append(self.error)
            self.error = error
        elif error is not self.error:
            self.secondary_errors.append(error)
        del self.secondary_errors[16:]
        if self.status is not JobStatus.FAILING:
            self.story.become(JobStatus.FAILING, now_ms)
        return [*self._cancel_subtasks(), *self._check_end(now_ms)]

    def _cancel(self, now_ms: int) -> list[Instruction]:
        if self.status is JobStatus.CANCELLING:
            return []
        self.story.become(JobStatus.CANCELLING, now_ms)
        return [*self._cancel_subtasks(), *self._check_end(now_ms)]

    def _cancel_subtasks(self) -> list[Instruction]:
        """Cancel what runs; what was not deployed is cancelled by that."""
        running: list[SubtaskId] = []
        for execution in self.executions.values():
            if execution.is_deployed():
                if execution.advance(common_pb2.SUBTASK_STATUS_CANCELING):
                    running.append(execution.subtask)
            else:
                execution.advance(common_pb2.SUBTASK_STATUS_CANCELED)
        return [CancelSubtasks(tuple(running))] if running else []

    def _check_end(self, now_ms: int) -> list[Instruction]:
        if not self._all_ended():
            return []
        if self._stopping and self.status is JobStatus.RESTARTING:
            self._stopping = False
            return [AwaitRestart()]
        if self.status is JobStatus.FAILING and self.error is not None and _is_consequence(self.error):
            if self._awaiting_cause:
                return []
            self._awaiting_cause = True
            return [AwaitCause()]
        return self._end(now_ms)

    def _all_ended(self) -> bool:
        return all(execution.has_ended() for execution in self.executions.values())

    def _restart_decided(self, again: bool, now_ms: int) -> list[Instruction]:
        if not self._asked or self.status is not JobStatus.FAILING:
            return []
        self._asked = False
        if not again:
            self.story.become(JobStatus.FAILED, now_ms)
            return [Finished()]
        assert self.error is not None
        self.failures.append((self.error, now_ms))
        del self.failures[:-FAILURES_KEPT]
        self.restarts += 1
        self._restart_due = False
        self.story.become(JobStatus.RESTARTING, now_ms)
        return [AwaitRestart()]

    def _restart(self, slot_subtasks: tuple[tuple[SubtaskId, ...], ...]) -> list[Instruction]:
        if self.status is not JobStatus.RESTARTING or self._restart_due:
            return []
        self.error = None
        self.secondary_errors.clear()
        self._restart_due = True
        self._attempt += 1
        self._replan(slot_subtasks)
        return [RequestSlots()]

    def _rescale(self, slot_subtasks: tuple[tuple[SubtaskId, ...], ...], now_ms: int) -> list[Instruction]:
        if self.status is not JobStatus.RUNNING:
            return []
        self.story.become(JobStatus.RESTARTING, now_ms)
        self._slot_subtasks = slot_subtasks
        self._stopping = True
        return [*self._cancel_subtasks(), *self._check_end(now_ms)]

    def _replan(self, slot_subtasks: tuple[tuple[SubtaskId, ...], ...]) -> None:
        self._slot_subtasks = slot_subtasks
        subtasks = [subtask for subtasks in slot_subtasks for subtask in subtasks]
        self.executions = {subtask: Execution(subtask, self._attempt) for subtask in subtasks}

    def _end(self, now_ms: int) -> list[Instruction]:
        if self.status is JobStatus.FAILING:
            assert self.error is not None
            self._asked = True
            return [AskRestart(self.error)]
        if self.status is JobStatus.INITIALIZING:
            self.story.become(JobStatus.RUNNING, now_ms)  # all subtasks finished before the last reported that it ran
        self.story.become(_END[self.status], now_ms)
        return [Finished()]


_END: Final = {
    JobStatus.RUNNING: JobStatus.FINISHED,
    JobStatus.CANCELLING: JobStatus.CANCELED,
}
FAILURES_KEPT: Final = 16


def _is_consequence(error: MillstreamError) -> bool:
    """An error of the data plane itself: some peer has ended, and will say why."""
    return type(error) is ExternalError
