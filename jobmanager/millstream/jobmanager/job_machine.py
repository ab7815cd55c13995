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


Event = SlotsGranted | SubtaskReported | TaskManagerGone | JobFailed | CancelRequested | CauseAwaited


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
class Finished:
    """The job has ended: free its slots, wake who waits for it."""


Instruction = Deploy | CancelSubtasks | AwaitCause | Finished


class JobMachine:
    """One job. ``executions`` is shared with the shell for reading."""

    def __init__(self, job_id: str, slot_subtasks: tuple[tuple[SubtaskId, ...], ...], now_ms: int) -> None:
        self.story = JobStory(job_id, now_ms)
        self.executions = {subtask: Execution(subtask) for subtasks in slot_subtasks for subtask in subtasks}
        self.error: MillstreamError | None = None
        self.secondary_errors: list[MillstreamError] = []
        self._slot_subtasks = slot_subtasks
        self._awaiting_cause = False

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
                self._awaiting_cause = False
                return self._end(now_ms)

    def _granted(self, slots: tuple[Slot, ...], now_ms: int) -> list[Instruction]:
        if self.status is not JobStatus.CREATED:
            return []
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
        if self.status is JobStatus.CANCELLING:
            return self._check_end(now_ms)
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
        if self.status in (JobStatus.CANCELLING, JobStatus.FAILING):
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
        if not all(execution.has_ended() for execution in self.executions.values()):
            return []
        if self.status is JobStatus.FAILING and self.error is not None and _is_consequence(self.error):
            if self._awaiting_cause:
                return []
            self._awaiting_cause = True
            return [AwaitCause()]
        return self._end(now_ms)

    def _end(self, now_ms: int) -> list[Instruction]:
        if self.status is JobStatus.INITIALIZING:
            self.story.become(JobStatus.RUNNING, now_ms)  # all subtasks finished before the last reported that it ran
        self.story.become(_END[self.status], now_ms)
        return [Finished()]


_END: Final = {
    JobStatus.RUNNING: JobStatus.FINISHED,
    JobStatus.FAILING: JobStatus.FAILED,
    JobStatus.CANCELLING: JobStatus.CANCELED,
}


def _is_consequence(error: MillstreamError) -> bool:
    """An error of the data plane itself: some peer has ended, and will say why."""
    return type(error) is ExternalError
