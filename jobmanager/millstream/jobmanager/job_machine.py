"""Decides what happens to a job: events in, instructions out. No clock, no network, no threads.

The shell (``JobMaster``) performs the instructions and feeds the outcome back. A job's first error is its root cause,
except that an error that only says that a connection or a peer was lost gives way to one that says why.

A failure stops the region of what failed (``scheduling/regions.py``). The job is FAILING, RESTARTING and INITIALIZING
meanwhile, though the subtasks of other regions run on, keep their attempt and their slots, and may even finish. Another
region may fail before the first one is back; each waits for its own delay, and the job is RESTARTING until the last one
is deployed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from millstream.core.api.job import JobStatus
from millstream.core.errors import ExternalError, MillstreamError
from millstream.core.ids import SlotId, SubtaskId, TaskManagerId, VertexId
from millstream.jobmanager.execution import Execution
from millstream.jobmanager.job_status import JobStory
from millstream.jobmanager.scheduling.regions import Regions
from millstream.jobmanager.scheduling.slot_pool import Slot
from millstream.proto.v1 import common_pb2


@dataclass(frozen=True)
class SlotsGranted:
    """As many as ``missing_slots`` lists, in that order."""

    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class SubtaskReported:
    subtask: SubtaskId
    attempt: int
    status: common_pb2.SubtaskStatus.ValueType
    error: MillstreamError | None = None
    answered_checkpoint: int = 0
    """The last one that it took part in, of which the JobManager may not have heard yet."""


@dataclass(frozen=True)
class TaskManagerGone:
    taskmanager: TaskManagerId
    error: MillstreamError


@dataclass(frozen=True)
class JobFailed:
    """Something other than a subtask failed: deployment, an enumerator, waiting for slots. Stops the whole job."""

    error: MillstreamError


@dataclass(frozen=True)
class CancelRequested:
    pass


@dataclass(frozen=True)
class StopRequested:
    """A savepoint holds everything, and all subtasks were told to commit it.

    The job is FINISHED when they have ended, and FAILED when one of them fails instead of committing.
    """


@dataclass(frozen=True)
class CauseAwaited:
    """The time to wait for a better root cause is over."""


@dataclass(frozen=True)
class RestartDecided:
    """``AskRestart`` is answered: the job gets another attempt, or does not."""

    again: bool


@dataclass(frozen=True)
class RestartDue:
    """The delay of the ``AwaitRestart`` with this number is over; ``slot_subtasks``: of each slot, if they are others
    now. A job of which only a part is to start keeps those it has.
    """

    number: int
    slot_subtasks: tuple[tuple[SubtaskId, ...], ...] = ()


@dataclass(frozen=True)
class RescaleRequested:
    """Stop, and start again with other subtasks: ``slot_subtasks`` are those of each slot."""

    slot_subtasks: tuple[tuple[SubtaskId, ...], ...]


@dataclass(frozen=True)
class Replanned:
    """A job that waits for slots will start with other subtasks."""

    slot_subtasks: tuple[tuple[SubtaskId, ...], ...]


@dataclass(frozen=True)
class Recovered:
    """This JobManager has taken the job over from another one: what of it still runs is being found out."""


@dataclass(frozen=True)
class Reconciled:
    """That is known: ``found`` runs, or has ended in a slot that the job still has. The rest is lost.

    ``attempt``: the highest that any subtask may have had.
    """

    found: Mapping[SubtaskId, Execution]
    attempt: int


Event = (
    SlotsGranted
    | SubtaskReported
    | TaskManagerGone
    | JobFailed
    | CancelRequested
    | StopRequested
    | CauseAwaited
    | RestartDecided
    | RestartDue
    | RescaleRequested
    | Replanned
    | Recovered
    | Reconciled
)


@dataclass(frozen=True)
class Deploy:
    """Send every subtask of these vertices to its slot."""

    vertices: frozenset[VertexId]


@dataclass(frozen=True)
class CancelSubtasks:
    subtasks: tuple[SubtaskId, ...]


@dataclass(frozen=True)
class AwaitCause:
    """Everything has ended, but the error known so far may be a consequence: feed ``CauseAwaited`` a little later."""


@dataclass(frozen=True)
class AskRestart:
    """What failed has stopped with its region: let the restart strategy decide, and feed ``RestartDecided``."""

    error: MillstreamError


@dataclass(frozen=True)
class AwaitRestart:
    """Free these slots, and feed ``RestartDue`` with ``number`` when the strategy's delay is over: these vertices start
    again."""

    vertices: frozenset[VertexId]
    slots: tuple[SlotId, ...]
    number: int


@dataclass(frozen=True)
class RequestSlots:
    """The job waits for slots again: feed ``SlotsGranted`` when there are enough."""


@dataclass(frozen=True)
class Finished:
    """The job has ended: free its slots, wake who waits for it."""


Instruction = Deploy | CancelSubtasks | AwaitCause | AskRestart | AwaitRestart | RequestSlots | Finished


class JobMachine:
    """One job. ``executions`` is shared with the shell for reading."""

    def __init__(
        self, job_id: str, slot_subtasks: tuple[tuple[SubtaskId, ...], ...], regions: Regions, now_ms: int
    ) -> None:
        self.story = JobStory(job_id, now_ms)
        self.executions = {subtask: Execution(subtask) for subtasks in slot_subtasks for subtask in subtasks}
        self.error: MillstreamError | None = None
        self.secondary_errors: list[MillstreamError] = []
        self.failures: list[tuple[MillstreamError, int]] = []
        """What made earlier attempts fail, and when (wall clock, ms); the newest last."""
        self.restarts = 0
        self._regions = regions
        self._down = frozenset(regions)
        """What does not run and is to start: at first everything, after a failure the regions that it stops."""
        self._due = self._down
        """The part of that which only needs slots."""
        self._awaited: dict[VertexId, int] = {}
        """The part of that whose delay is not over, and the number of the delay. The rest is being stopped."""
        self._delays = 0
        self._slot_subtasks = slot_subtasks
        self._slots: list[Slot | None] = [None] * len(slot_subtasks)
        self._former: list[TaskManagerId | None] = [None] * len(slot_subtasks)
        """Where each slot was before it was let go."""
        self._given_up = False
        """Not started again: the regions that did not fail are being cancelled."""
        self._awaiting_cause = False
        self._asked = False
        self._stopping = False
        """Without a failure: subtasks of a former plan or of a broken region of a former leader are being cancelled."""
        self._cancel_wanted = False
        """As soon as it is known what there is to cancel."""
        self._has_savepoint = False
        """Being cancelled because a savepoint has everything."""
        self._attempt = 0

    @property
    def attempt(self) -> int:
        """Counts restarts and rescalings. A subtask's own attempt is that in which it started last."""
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
                self._cancel_wanted = self.status is JobStatus.RECONCILING
                return [] if self._cancel_wanted else self._cancel(now_ms)
            case StopRequested():
                # One that does not run has subtasks that cannot commit: it is cancelled, for its savepoint is there.
                self._has_savepoint = self._has_savepoint or self.status is JobStatus.RUNNING
                return self._cancel(now_ms)
            case CauseAwaited():
                self._awaiting_cause = False  # by now the job may be in its next attempt
                return self._end(now_ms) if self.status is JobStatus.FAILING and self._ended() else []
            case RestartDecided():
                return self._restart_decided(event.again, now_ms)
            case RestartDue():
                return self._restart(event.number, event.slot_subtasks or self._slot_subtasks)
            case RescaleRequested():
                return self._rescale(event.slot_subtasks, now_ms)
            case Replanned():
                if self.wants_slots and self.is_down:
                    self._replan(event.slot_subtasks)
                return []
            case Recovered():
                self.story.become(JobStatus.RECONCILING, now_ms)
                return []
            case Reconciled():
                return self._reconciled(event, now_ms)

    def whole(self, found: Mapping[SubtaskId, Execution]) -> frozenset[VertexId]:
        """The vertices of regions that go on, if these are all executions there are."""
        broken = [s.vertex for s in self.executions if s not in found or found[s].status not in _WHOLE]
        return frozenset(self._regions).difference(*map(self._regions.__getitem__, broken))

    @property
    def wants_slots(self) -> bool:
        """The job can start as soon as it gets slots."""
        return self.status is JobStatus.CREATED or (self.status is JobStatus.RESTARTING and bool(self._due))

    @property
    def is_down(self) -> bool:
        """Everything waits for slots: the job may start with other subtasks."""
        return len(self._due) == len(self._regions)

    def will_be_down(self, number: int) -> bool:
        """Whether ``is_down`` holds as soon as this delay is over."""
        return len(self._due | self._awaiting(number)) == len(self._regions)

    @property
    def missing_slots(self) -> list[TaskManagerId | None]:
        """The slots that a job that wants slots needs; for each the TaskManager where its predecessor was."""
        return [self._former[position] for position in self._missing()]

    def _missing(self) -> list[int]:
        return [
            position
            for position, subtasks in enumerate(self._slot_subtasks)
            if self._slots[position] is None and any(subtask.vertex in self._due for subtask in subtasks)
        ]

    def _granted(self, slots: tuple[Slot, ...], now_ms: int) -> list[Instruction]:
        if not self.wants_slots:
            return []
        for position, slot in zip(self._missing(), slots, strict=True):
            self._slots[position] = slot
        for position, subtasks in enumerate(self._slot_subtasks):
            for subtask in subtasks:
                if subtask.vertex in self._due:
                    self.executions[subtask].slot = self._slots[position]
                    self.executions[subtask].advance(common_pb2.SUBTASK_STATUS_DEPLOYING)
        deployed, self._due = self._due, frozenset()
        self._down -= deployed
        if not self._down:
            self.story.become(JobStatus.INITIALIZING, now_ms)
        return [Deploy(deployed)]

    def _reported(self, event: SubtaskReported, now_ms: int) -> list[Instruction]:
        execution = self.executions.get(event.subtask)
        if execution is None or execution.attempt != event.attempt or not execution.advance(event.status):
            return []
        execution.error = event.error
        if event.status == common_pb2.SUBTASK_STATUS_FAILED:
            error = event.error or MillstreamError(f"subtask {event.subtask} failed")
            return self._fail(error, now_ms, [event.subtask.vertex])
        started = all(execution.status in _STARTED for execution in self.executions.values())
        if self.status is JobStatus.INITIALIZING and started:
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
        return self._fail(event.error, now_ms, [execution.subtask.vertex for execution in lost]) if lost else []

    def _fail(
        self, error: MillstreamError, now_ms: int, vertices: Iterable[VertexId] | None = None
    ) -> list[Instruction]:
        """Stop the regions of ``vertices``; None: everything."""
        if self.status is JobStatus.CANCELLING or self._stopping:
            if self._has_savepoint and vertices is not None and not _is_consequence(error):
                self.error = self.error or error
            if self._stopping:
                self._take_down(*map(self._regions.__getitem__, self._regions if vertices is None else vertices))
            return [*self._cancel_subtasks(), *self._check_end(now_ms)]
        self._take_down(*map(self._regions.__getitem__, self._regions if vertices is None else vertices))
        self._asked = False  # more is to stop first, or the question comes again
        if self.status is not JobStatus.FAILING:
            self.error = None  # of another region, or of what came before
            self.secondary_errors.clear()
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
        self._take_down(self._regions)
        return [*self._cancel_subtasks(), *self._check_end(now_ms)]

    def _cancel_subtasks(self) -> list[Instruction]:
        """Cancel what is to stop; what was not deployed is cancelled by that."""
        running: list[SubtaskId] = []
        for execution in self._stopped():
            if execution.is_deployed():
                if execution.advance(common_pb2.SUBTASK_STATUS_CANCELING):
                    running.append(execution.subtask)
            else:
                execution.advance(common_pb2.SUBTASK_STATUS_CANCELED)
        return [CancelSubtasks(tuple(running))] if running else []

    def _take_down(self, *vertices: Iterable[VertexId]) -> None:
        """These are to stop, and wait neither for slots nor for a delay any more."""
        stopping = frozenset[VertexId]().union(*vertices)
        self._down |= stopping
        self._due -= stopping
        self._awaited = {vertex: number for vertex, number in self._awaited.items() if vertex not in stopping}

    def _awaiting(self, number: int) -> frozenset[VertexId]:
        return frozenset(vertex for vertex, awaited in self._awaited.items() if awaited == number)

    def _stopped(self) -> list[Execution]:
        stopped = self._without_delay()
        return [execution for execution in self.executions.values() if execution.subtask.vertex in stopped]

    def _without_delay(self) -> frozenset[VertexId]:
        """What has stopped or is to stop, and was not decided upon yet."""
        return self._down - self._due - self._awaited.keys()

    def _check_end(self, now_ms: int) -> list[Instruction]:
        if not self._ended():
            return []
        if self.status is JobStatus.RESTARTING:
            if not self._stopping:
                return []  # a region that runs has finished; another is still to start again
            self._stopping = False
            return [self._await_restart()]
        undecided = self.status is JobStatus.FAILING and not self._given_up
        if undecided and self.error is not None and _is_consequence(self.error):
            if self._awaiting_cause:
                return []
            self._awaiting_cause = True
            return [AwaitCause()]
        return self._end(now_ms)

    def _ended(self) -> bool:
        """What is to stop has; if nothing is, all have finished."""
        executions = self._stopped() if self._down else self.executions.values()
        return all(execution.has_ended() for execution in executions)

    def _restart_decided(self, again: bool, now_ms: int) -> list[Instruction]:
        if not self._asked or self.status is not JobStatus.FAILING:
            return []
        self._asked = False
        if not again:
            self._given_up = True
            self._take_down(self._regions)
            return [*self._cancel_subtasks(), *self._check_end(now_ms)]
        assert self.error is not None
        self.failures.append((self.error, now_ms))
        del self.failures[:-FAILURES_KEPT]
        self.restarts += 1
        self.story.become(JobStatus.RESTARTING, now_ms)
        return [self._await_restart(), *([RequestSlots()] if self._due else [])]

    def _await_restart(self) -> AwaitRestart:
        """Slots in which something runs on are kept, and what shared them comes back there."""
        self._delays += 1
        stopped = self._without_delay()
        self._awaited.update(dict.fromkeys(stopped, self._delays))
        kept = {
            execution.slot.slot_id
            for execution in self.executions.values()
            if execution.slot is not None and execution.subtask.vertex not in self._down and not execution.has_ended()
        }
        released: list[SlotId] = []
        for position, slot in enumerate(self._slots):
            if slot is not None and slot.slot_id not in kept:
                released.append(slot.slot_id)
                self._former[position] = slot.slot_id.taskmanager
                self._slots[position] = None
        return AwaitRestart(stopped, tuple(released), self._delays)

    def _restart(self, number: int, slot_subtasks: tuple[tuple[SubtaskId, ...], ...]) -> list[Instruction]:
        vertices = self._awaiting(number)
        if not vertices:
            return []
        self._awaited = {vertex: awaited for vertex, awaited in self._awaited.items() if awaited != number}
        self._due |= vertices
        self._attempt += 1
        if self.is_down:
            self._replan(slot_subtasks)
        else:
            for subtask in [subtask for subtask in self.executions if subtask.vertex in vertices]:
                self.executions[subtask] = Execution(subtask, self._attempt)
        if self.status is not JobStatus.RESTARTING:
            return []  # another region is being stopped: slots are asked for when that is done
        self.error = None
        self.secondary_errors.clear()
        return [RequestSlots()]

    def _rescale(self, slot_subtasks: tuple[tuple[SubtaskId, ...], ...], now_ms: int) -> list[Instruction]:
        if self.status is not JobStatus.RUNNING:
            return []
        self.story.become(JobStatus.RESTARTING, now_ms)
        self._slot_subtasks = slot_subtasks
        self._take_down(self._regions)
        self._stopping = True
        return [*self._cancel_subtasks(), *self._check_end(now_ms)]

    def _reconciled(self, event: Reconciled, now_ms: int) -> list[Instruction]:
        """Regions of which everything is found go on; the others start again, and that is nobody's fault."""
        if self.status is not JobStatus.RECONCILING:
            return []
        self._attempt = event.attempt
        self._down = self._due = frozenset()
        for position, subtasks in enumerate(self._slot_subtasks):
            for subtask in subtasks:
                lost = Execution(subtask, event.attempt, common_pb2.SUBTASK_STATUS_CANCELED)
                execution = self.executions[subtask] = event.found.get(subtask, lost)
                self._slots[position] = self._slots[position] or execution.slot
        broken = self._regions.keys() - self.whole(self.executions)
        failed = [execution for execution in self.executions.values() if execution.error is not None]
        self._take_down(broken)
        if failed:
            errors = [execution.error for execution in failed if execution.error is not None]
            told = next((error for error in errors if not _is_consequence(error)), errors[0])
            instructions = self._fail(told, now_ms, [execution.subtask.vertex for execution in failed])
        elif broken:
            self.story.become(JobStatus.RESTARTING, now_ms)
            self._stopping = True
            instructions = [*self._cancel_subtasks(), *self._check_end(now_ms)]
        else:
            self.story.become(JobStatus.INITIALIZING, now_ms)
            started = all(e.status in _STARTED for e in self.executions.values())
            if started:
                self.story.become(JobStatus.RUNNING, now_ms)
            instructions = self._check_end(now_ms)
        return [*instructions, *(self._cancel(now_ms) if self._cancel_wanted else [])]

    def _replan(self, slot_subtasks: tuple[tuple[SubtaskId, ...], ...]) -> None:
        self._slot_subtasks = slot_subtasks
        self._slots = [None] * len(slot_subtasks)
        self._former = [*self._former, *([None] * len(slot_subtasks))][: len(slot_subtasks)]
        subtasks = [subtask for subtasks in slot_subtasks for subtask in subtasks]
        self.executions = {subtask: Execution(subtask, self._attempt) for subtask in subtasks}

    def _end(self, now_ms: int) -> list[Instruction]:
        if self.status is JobStatus.FAILING:
            assert self.error is not None
            if self._given_up:
                self.story.become(JobStatus.FAILED, now_ms)
                return [Finished()]
            self._asked = True
            return [AskRestart(self.error)]
        if self.status is JobStatus.INITIALIZING:
            self.story.become(JobStatus.RUNNING, now_ms)  # all subtasks finished before the last reported that it ran
        if self.status is JobStatus.CANCELLING and not self._has_savepoint:
            self.story.become(JobStatus.CANCELED, now_ms)
        elif self.status is JobStatus.CANCELLING and self.error is not None:
            self.story.become(JobStatus.FAILED, now_ms)
        else:
            self.story.become(JobStatus.FINISHED, now_ms)
        return [Finished()]


FAILURES_KEPT: Final = 16
_STARTED: Final = frozenset({common_pb2.SUBTASK_STATUS_RUNNING, common_pb2.SUBTASK_STATUS_FINISHED})
_WHOLE: Final = _STARTED | {common_pb2.SUBTASK_STATUS_DEPLOYING, common_pb2.SUBTASK_STATUS_INITIALIZING}
"""What a subtask is whose region can go on."""


def _is_consequence(error: MillstreamError) -> bool:
    """An error of the data plane itself: some peer has ended, and will say why."""
    return type(error) is ExternalError
