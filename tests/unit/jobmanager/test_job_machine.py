"""What a job does with each event, as tables; and that no order of events confuses it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from plans import pool, slot, slot_report, subtask

from millstream.core.api.job import JobStatus
from millstream.core.errors import (
    ExternalError,
    InsufficientSlotsError,
    MillstreamError,
    TaskManagerLostError,
    UserCodeError,
)
from millstream.core.ids import JobId, SlotId, TaskManagerId
from millstream.jobmanager.execution import ENDED
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
    StopRequested,
    SubtaskReported,
    TaskManagerGone,
)
from millstream.proto.v1 import common_pb2

ONE, TWO = TaskManagerId("one"), TaskManagerId("two")
A, B = subtask("a"), subtask("b")
DEPLOYING = common_pb2.SUBTASK_STATUS_DEPLOYING
INITIALIZING = common_pb2.SUBTASK_STATUS_INITIALIZING
RUNNING = common_pb2.SUBTASK_STATUS_RUNNING
FINISHED = common_pb2.SUBTASK_STATUS_FINISHED
CANCELED = common_pb2.SUBTASK_STATUS_CANCELED
FAILED = common_pb2.SUBTASK_STATUS_FAILED

GRANT = SlotsGranted((slot("one"), slot("two")))
CAUSE = UserCodeError("the user's line failed")
LOST_CONNECTION = ExternalError("the connection to slot 3 was lost")
LOST = TaskManagerLostError("TaskManager two was lost")
NO_SLOTS = InsufficientSlotsError("needs 2 slots")


def said(which: object, status: int, error: MillstreamError | None = None, attempt: int = 0) -> SubtaskReported:
    return SubtaskReported(which, attempt, common_pb2.SubtaskStatus.ValueType(status), error)  # type: ignore[arg-type]


BOTH = frozenset({A.vertex, B.vertex})
DEPLOY, LET_GO = Deploy(BOTH), AwaitRestart(BOTH, (GRANT.slots[0].slot_id, GRANT.slots[1].slot_id), 1)
BOTH_RUN: list[Event] = [GRANT, said(A, RUNNING), said(B, RUNNING)]
STOP_A, STOP_B, STOP_BOTH = CancelSubtasks((A,)), CancelSubtasks((B,)), CancelSubtasks((A, B))

Step = tuple[Event, list[Instruction], str]
TABLES: dict[str, list[Step]] = {
    "finishes": [
        (GRANT, [DEPLOY], "INITIALIZING"),
        (said(A, INITIALIZING), [], "INITIALIZING"),
        (said(A, RUNNING), [], "INITIALIZING"),
        (said(B, RUNNING), [], "RUNNING"),
        (said(A, FINISHED), [], "RUNNING"),
        (said(B, FINISHED), [Finished()], "FINISHED"),
        (CancelRequested(), [], "FINISHED"),
    ],
    "finishes before the last report of running": [
        (GRANT, [DEPLOY], "INITIALIZING"),
        (said(A, FINISHED), [], "INITIALIZING"),
        (said(B, FINISHED), [Finished()], "FINISHED"),
    ],
    "is cancelled while it waits for slots": [
        (CancelRequested(), [Finished()], "CANCELED"),
        (GRANT, [], "CANCELED"),
    ],
    "is cancelled while it runs": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (CancelRequested(), [STOP_BOTH], "CANCELLING"),
        (CancelRequested(), [], "CANCELLING"),
        (said(A, CANCELED), [], "CANCELLING"),
        (said(B, FAILED, CAUSE), [Finished()], "CANCELED"),
    ],
    "is stopped by a savepoint": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (StopRequested(), [STOP_BOTH], "CANCELLING"),
        (CancelRequested(), [], "CANCELLING"),
        (said(A, CANCELED), [], "CANCELLING"),
        (said(B, CANCELED), [Finished()], "FINISHED"),
    ],
    "is stopped by a savepoint, and a subtask sees the others go": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (StopRequested(), [STOP_BOTH], "CANCELLING"),
        (JobFailed(CAUSE), [], "CANCELLING"),
        (said(A, FAILED, LOST_CONNECTION), [], "CANCELLING"),
        (said(B, CANCELED), [Finished()], "FINISHED"),
    ],
    "fails to commit its savepoint": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (StopRequested(), [STOP_BOTH], "CANCELLING"),
        (said(A, FAILED, CAUSE), [], "CANCELLING"),
        (said(B, CANCELED), [Finished()], "FAILED"),
    ],
    "loses a TaskManager that should commit its savepoint": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (StopRequested(), [STOP_BOTH], "CANCELLING"),
        (said(A, CANCELED), [], "CANCELLING"),
        (TaskManagerGone(TWO, LOST), [Finished()], "FAILED"),
    ],
    "fails beside its savepoint": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (said(A, FAILED, CAUSE), [STOP_B], "FAILING"),
        (StopRequested(), [], "CANCELLING"),
        (said(B, CANCELED), [Finished()], "CANCELED"),
    ],
    "fails for want of slots": [
        (JobFailed(NO_SLOTS), [AskRestart(NO_SLOTS)], "FAILING"),
        (RestartDecided(False), [Finished()], "FAILED"),
    ],
    "fails by a subtask": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (said(A, FAILED, CAUSE), [STOP_B], "FAILING"),
        (said(B, CANCELED), [AskRestart(CAUSE)], "FAILING"),
        (RestartDecided(False), [Finished()], "FAILED"),
    ],
    "waits for a better cause than a lost connection": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (said(A, FAILED, LOST_CONNECTION), [STOP_B], "FAILING"),
        (said(B, CANCELED), [AwaitCause()], "FAILING"),
        (CauseAwaited(), [AskRestart(LOST_CONNECTION)], "FAILING"),
        (RestartDecided(False), [Finished()], "FAILED"),
    ],
    "a lost TaskManager ends its subtasks": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (TaskManagerGone(TaskManagerId("three"), LOST), [], "RUNNING"),
        (TaskManagerGone(TWO, LOST), [STOP_A], "FAILING"),
        (TaskManagerGone(ONE, LOST), [AskRestart(LOST)], "FAILING"),
        (RestartDecided(False), [Finished()], "FAILED"),
    ],
    "a TaskManager whose subtasks have ended may go": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (said(B, FINISHED), [], "RUNNING"),
        (TaskManagerGone(TWO, LOST), [], "RUNNING"),
        (said(A, FINISHED), [Finished()], "FINISHED"),
    ],
    "late, repeated and foreign reports change nothing": [
        (said(A, RUNNING, attempt=1), [], "CREATED"),
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (said(A, RUNNING), [], "RUNNING"),
        (said(A, INITIALIZING), [], "RUNNING"),
        (said(A, common_pb2.SUBTASK_STATUS_UNSPECIFIED), [], "RUNNING"),
        (said(A, 77), [], "RUNNING"),
        (said(A, FAILED, CAUSE, attempt=7), [], "RUNNING"),
        (said(subtask("stranger"), FAILED, CAUSE), [], "RUNNING"),
        (said(subtask("a", 1), FAILED, CAUSE), [], "RUNNING"),
        (GRANT, [], "RUNNING"),
        (RestartDecided(True), [], "RUNNING"),
        (RestartDue(1), [], "RUNNING"),
        (CauseAwaited(), [], "RUNNING"),
        (said(A, FINISHED), [], "RUNNING"),
        (said(A, FAILED, CAUSE), [], "RUNNING"),
        (said(B, FINISHED), [Finished()], "FINISHED"),
    ],
    "starts again": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (said(A, FAILED, CAUSE), [STOP_B], "FAILING"),
        (said(B, CANCELED), [AskRestart(CAUSE)], "FAILING"),
        (RestartDecided(True), [LET_GO], "RESTARTING"),
        (GRANT, [], "RESTARTING"),
        (RestartDue(1), [RequestSlots()], "RESTARTING"),
        (RestartDue(1), [], "RESTARTING"),
        (GRANT, [DEPLOY], "INITIALIZING"),
        (said(A, FAILED, CAUSE), [], "INITIALIZING"),
        (said(A, RUNNING, attempt=1), [], "INITIALIZING"),
        (said(B, RUNNING, attempt=1), [], "RUNNING"),
        (said(A, FINISHED, attempt=1), [], "RUNNING"),
        (said(B, FINISHED, attempt=1), [Finished()], "FINISHED"),
    ],
    "is cancelled while it fails": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (said(A, FAILED, CAUSE), [STOP_B], "FAILING"),
        (CancelRequested(), [], "CANCELLING"),
        (said(B, CANCELED), [Finished()], "CANCELED"),
    ],
    "is cancelled between two attempts": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (said(A, FAILED, CAUSE), [STOP_B], "FAILING"),
        (said(B, CANCELED), [AskRestart(CAUSE)], "FAILING"),
        (RestartDecided(True), [LET_GO], "RESTARTING"),
        (CancelRequested(), [Finished()], "CANCELED"),
        (RestartDue(1), [], "CANCELED"),
    ],
    "the time to wait for a cause ends in a later attempt": [
        *[(event, [DEPLOY] if event is GRANT else [], "") for event in BOTH_RUN],
        (said(A, FAILED, LOST_CONNECTION), [STOP_B], "FAILING"),
        (said(B, CANCELED), [AwaitCause()], "FAILING"),
        (JobFailed(CAUSE), [AskRestart(CAUSE)], "FAILING"),
        (RestartDecided(True), [LET_GO], "RESTARTING"),
        (CauseAwaited(), [], "RESTARTING"),
        (RestartDue(1), [RequestSlots()], "RESTARTING"),
        (GRANT, [DEPLOY], "INITIALIZING"),
        (CauseAwaited(), [], "INITIALIZING"),
        (said(A, RUNNING, attempt=1), [], "INITIALIZING"),
        (said(B, FAILED, LOST_CONNECTION, attempt=1), [STOP_A], "FAILING"),
        (said(A, CANCELED, attempt=1), [AwaitCause()], "FAILING"),
    ],
}


def machine_of_two() -> JobMachine:
    """In one region."""
    return JobMachine("job-1", ((A,), (B,)), {A.vertex: BOTH, B.vertex: BOTH}, 0)


@pytest.mark.parametrize("name", TABLES)
def test_events_and_instructions(name: str) -> None:
    machine = machine_of_two()
    for number, (event, expected, status) in enumerate(TABLES[name]):
        instructions = machine.handle(event, number)
        assert instructions == expected, f"step {number}: {event}"
        assert not status or str(machine.status) == status, f"step {number}: {event}"


def root_cause(errors: Sequence[MillstreamError]) -> tuple[MillstreamError | None, list[MillstreamError]]:
    machine = machine_of_two()
    machine.handle(GRANT, 0)
    for error in errors:
        machine.handle(JobFailed(error), 1)
    return machine.error, machine.secondary_errors


@pytest.mark.parametrize(
    ("errors", "cause", "others"),
    [
        ([CAUSE], CAUSE, []),
        ([CAUSE, CAUSE], CAUSE, []),
        ([CAUSE, LOST], CAUSE, [LOST]),
        ([LOST, CAUSE], LOST, [CAUSE]),
        ([LOST_CONNECTION, CAUSE], CAUSE, [LOST_CONNECTION]),
        ([LOST_CONNECTION, LOST], LOST, [LOST_CONNECTION]),
        ([CAUSE, LOST_CONNECTION], CAUSE, [LOST_CONNECTION]),
    ],
)
def test_the_root_cause_is_the_first_error_that_says_why(
    errors: list[MillstreamError], cause: MillstreamError, others: list[MillstreamError]
) -> None:
    assert root_cause(errors) == (cause, others)


def test_errors_that_follow_the_first_are_bounded() -> None:
    cause, others = root_cause([CAUSE, *(ExternalError(f"connection {number}") for number in range(100))])
    assert cause is CAUSE and [str(other) for other in others] == [f"connection {number}" for number in range(16)]


def test_a_failed_report_without_an_error_names_the_subtask() -> None:
    machine = machine_of_two()
    machine.handle(GRANT, 0)
    machine.handle(said(B, FAILED), 1)
    assert str(machine.error) == "subtask b[0] failed"


class Cluster(RuleBasedStateMachine):
    """A shell that performs instructions late, in any order or twice, and TaskManagers that come and go."""

    @initialize(slots=st.integers(1, 3), shared=st.integers(1, 3), first_region=st.integers(0, 3))
    def submit(self, slots: int, shared: int, first_region: int) -> None:
        self.job = JobId("a" * 32)
        self.pool = pool(one=2, two=2)
        members = tuple(tuple(subtask(f"v{n}", index) for n in range(shared)) for index in range(slots))
        vertices = [subtask(f"v{n}").vertex for n in range(shared)]
        parts = [frozenset(vertices[:first_region]), frozenset(vertices[first_region:])]
        self.machine = JobMachine(self.job, members, {vertex: part for part in parts for vertex in part}, 0)
        self.held: list[SlotId] = []
        self.timers: list[Event] = []
        self.asked = 0
        self.finished = 0
        self.now_ms = 0

    def feed(self, event: Event) -> None:
        self.now_ms += 1
        for instruction in self.machine.handle(event, self.now_ms):
            match instruction:
                case AwaitCause():
                    self.timers.append(CauseAwaited())
                case AskRestart():
                    self.asked += 1
                case AwaitRestart():
                    self.let_go(instruction.slots)
                    self.timers.append(RestartDue(instruction.number))
                case Finished():
                    assert all(execution.has_ended() for execution in self.machine.executions.values())
                    self.let_go(self.held)
                    self.finished += 1
                case CancelSubtasks():
                    assert all(self.machine.executions[member].slot is not None for member in instruction.subtasks)

    def let_go(self, slots: Sequence[SlotId]) -> None:
        """Nothing may run in a slot that is given back."""
        for execution in self.machine.executions.values():
            assert execution.has_ended() or execution.slot is None or execution.slot.slot_id not in slots
        for held in slots:
            self.pool.release(held)
        self.held = [held for held in self.held if held not in slots]

    def pick(self, number: int) -> tuple[object, int]:
        chosen = list(self.machine.executions.values())[number % len(self.machine.executions)]
        return chosen.subtask, chosen.attempt

    @precondition(lambda self: self.machine.wants_slots)
    @rule()
    def grant(self) -> None:
        former = self.machine.missing_slots
        granted = self.pool.allocate(self.job, len(former), former)
        if granted is not None:
            self.held += [slot.slot_id for slot in granted]
            running = {e.subtask: e.attempt for e in self.machine.executions.values() if e.is_deployed()}
            self.feed(SlotsGranted(tuple(granted)))
            for execution in self.machine.executions.values():
                assert execution.slot is not None and running.get(execution.subtask, execution.attempt) == (
                    execution.attempt
                )

    @rule(number=st.integers(0, 5), status=st.sampled_from([INITIALIZING, RUNNING, FINISHED, CANCELED]))
    def report(self, number: int, status: int) -> None:
        which, attempt = self.pick(number)
        if self.held:
            self.feed(said(which, status, attempt=attempt))

    @rule(number=st.integers(0, 5), error=st.sampled_from([CAUSE, LOST_CONNECTION, None]))
    def fail(self, number: int, error: MillstreamError | None) -> None:
        which, attempt = self.pick(number)
        if self.held:
            self.feed(said(which, FAILED, error, attempt))

    @rule(status=st.sampled_from([RUNNING, CANCELED]))
    def all_report(self, status: int) -> None:
        for execution in list(self.machine.executions.values()):
            if self.held:
                self.feed(said(execution.subtask, status, attempt=execution.attempt))

    @rule(number=st.integers(0, 5), status=st.sampled_from([RUNNING, FINISHED, CANCELED, FAILED]))
    def report_of_a_former_attempt(self, number: int, status: int) -> None:
        which, attempt = self.pick(number)
        before = self.machine.status, self.machine.error
        self.feed(said(which, status, CAUSE, attempt - 1))
        assert (self.machine.status, self.machine.error) == before

    @rule(error=st.sampled_from([CAUSE, LOST_CONNECTION, NO_SLOTS]))
    def fail_otherwise(self, error: MillstreamError) -> None:
        self.feed(JobFailed(error))

    @rule()
    def cancel(self) -> None:
        self.feed(CancelRequested())

    @rule()
    def stop(self) -> None:
        self.feed(StopRequested())

    @rule(taskmanager=st.sampled_from([ONE, TWO]))
    def lose_a_taskmanager(self, taskmanager: TaskManagerId) -> None:
        self.pool.remove(taskmanager)
        self.feed(TaskManagerGone(taskmanager, LOST))

    @rule(taskmanager=st.sampled_from([ONE, TWO]))
    def fresh_processes(self, taskmanager: TaskManagerId) -> None:
        self.pool.report(taskmanager, [slot_report(taskmanager, index) for index in range(2)])

    @precondition(lambda self: self.timers)
    @rule(number=st.integers(0, 5))
    def a_timer_is_due(self, number: int) -> None:
        self.feed(self.timers.pop(number % len(self.timers)))

    @precondition(lambda self: self.asked)
    @rule(again=st.booleans())
    def decide(self, again: bool) -> None:
        self.asked -= 1
        self.feed(RestartDecided(again))

    @invariant()
    def ends_once_and_holds_no_slot_then(self) -> None:
        ended = self.machine.status.is_terminal_state()
        assert self.finished == ended
        if ended:
            owners = [slot.allocated_to for slots in self.pool.slots.values() for slot in slots.values()]
            assert self.held == [] and owners == [None] * len(owners)
            assert self.machine.story.ended_ms > 0

    @invariant()
    def a_job_that_finished_has_only_finished_subtasks(self) -> None:
        statuses = {execution.status for execution in self.machine.executions.values()}
        if self.machine.status is JobStatus.RUNNING:
            assert self.held and statuses - ENDED
        if self.machine.status is JobStatus.FAILED:
            assert self.machine.error is not None

    def teardown(self) -> None:
        """Whatever happened: once all subtasks have ended and all questions are answered, so has the job."""
        if not hasattr(self, "machine"):
            return
        if self.machine.status is JobStatus.CREATED or self.machine.status is JobStatus.RESTARTING:
            self.feed(CancelRequested())
        for execution in list(self.machine.executions.values()):
            self.feed(said(execution.subtask, CANCELED, attempt=execution.attempt))
        while self.timers or self.asked:
            if self.asked:
                self.decide(False)
            else:
                self.feed(self.timers.pop())
        assert self.machine.status.is_terminal_state(), str(self.machine.story.history)
        self.ends_once_and_holds_no_slot_then()


TestCluster = Cluster.TestCase
TestCluster.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
