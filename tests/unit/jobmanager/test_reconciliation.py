"""What a new leader finds of a job, and what goes on of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from plans import slot, subtask

from millstream.core.errors import MillstreamError, UserCodeError
from millstream.core.ids import SubtaskId, TaskManagerId
from millstream.jobmanager.execution import Execution
from millstream.jobmanager.job_machine import (
    AskRestart,
    AwaitRestart,
    CancelRequested,
    CancelSubtasks,
    Event,
    Finished,
    Instruction,
    JobMachine,
    Reconciled,
    Recovered,
    RequestSlots,
    RestartDue,
    SubtaskReported,
)
from millstream.jobmanager.reconciliation import Reconciliation
from millstream.jobmanager.scheduling.slot_pool import Slot
from millstream.proto.v1 import common_pb2

DEPLOYING = common_pb2.SUBTASK_STATUS_DEPLOYING
RUNNING = common_pb2.SUBTASK_STATUS_RUNNING
FINISHED = common_pb2.SUBTASK_STATUS_FINISHED
CANCELING = common_pb2.SUBTASK_STATUS_CANCELING
CANCELED = common_pb2.SUBTASK_STATUS_CANCELED
FAILED = common_pb2.SUBTASK_STATUS_FAILED
CAUSE = UserCodeError("the user's line failed")

# a -> b is one region, c the other. They share slot one; c alone is in slot two.
A, B, C, D = subtask("a"), subtask("b"), subtask("c"), subtask("c", 1)
FIRST, SECOND = frozenset({A.vertex, B.vertex}), frozenset({C.vertex})
REGIONS = {A.vertex: FIRST, B.vertex: FIRST, C.vertex: SECOND}
PLACES = ((A, B, C), (D,))
ONE, TWO, OTHER = slot("one"), slot("two"), slot("other")


def has(
    which: SubtaskId, where: Slot, status: int = RUNNING, attempt: int = 0, error: MillstreamError | None = None
) -> Execution:
    return Execution(which, attempt, common_pb2.SubtaskStatus.ValueType(status), where, error)


WHOLE = [has(A, ONE), has(B, ONE), has(C, ONE), has(D, TWO)]


def reconciliation(*found: Execution) -> Reconciliation:
    made = Reconciliation(PLACES, REGIONS, 10.0)
    for execution in found:
        assert execution.slot is not None
        made.hold(execution.slot.slot_id)
        made.take(execution)
    return made


FOUND: dict[str, tuple[list[Execution], str]] = {
    "everything": (WHOLE, "abcc"),
    "nothing": ([], ""),
    "a slot is missing": (WHOLE[:3], "abc"),
    "a subtask of a former attempt of its region": ([has(A, ONE, attempt=1), *WHOLE[1:]], "acc"),
    "regions have their own attempts": ([has(A, ONE, attempt=2), has(B, ONE, attempt=2), *WHOLE[2:]], "abcc"),
    "a subtask that is elsewhere than the others of its slot": ([has(A, OTHER), *WHOLE[1:]], "bcc"),
    "two places in one slot": ([*WHOLE[:3], has(D, ONE)], "abc"),
    "a vertex that the job has no more": ([*WHOLE, has(subtask("gone"), OTHER)], "abcc"),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_counts_as_found(name: str) -> None:
    given, expected = FOUND[name]
    for order in (given, given[::-1]):
        made = reconciliation(*order)
        assert "".join(sorted(which.vertex for which in made.result(0).found)) == expected
        assert made.is_complete() == (expected == "abcc")


def test_the_newer_of_two_attempts_counts_whatever_comes_first() -> None:
    old, new = has(D, TWO, attempt=0), has(D, OTHER, attempt=3)
    for order in ((old, new), (new, old)):
        made = reconciliation(*WHOLE[:2], has(C, ONE, attempt=3), *order)
        result = made.result(1)
        assert result.found[D] is new and result.attempt == 3
        assert made.useless(result) == {TWO.slot_id}


def test_what_an_older_attempt_waited_for_is_not_what_the_newer_one_does() -> None:
    for order in ((0, 3), (3, 0)):
        made = reconciliation()
        for attempt in order:
            made.take(has(D, TWO, attempt=attempt), awaits_commit=attempt == 0)
        assert made.awaiting_commit == set()
        made.take(has(D, TWO, attempt=3), awaits_commit=True)
        assert made.awaiting_commit == {D}


def test_a_taskmanager_that_is_lost_again_takes_its_subtasks_along() -> None:
    made = reconciliation(*WHOLE)
    made.forget(TaskManagerId("one"))
    assert set(made.result(0).found) == {D}
    assert made.useless(made.result(0)) == set()


def test_reports_meanwhile_count_for_their_attempt_only() -> None:
    made = reconciliation(has(A, ONE, DEPLOYING, attempt=2))
    assert made.update(A, 2, RUNNING, None)
    assert not made.update(A, 1, FAILED, CAUSE) and not made.update(B, 2, RUNNING, None)
    assert made.result(0).found[A].status == RUNNING


def machine() -> JobMachine:
    made = JobMachine("job-1", PLACES, REGIONS, 0)
    assert made.handle(Recovered(), 1) == [] and str(made.status) == "RECONCILING" and not made.wants_slots
    return made


def after(*changed: Execution, without: SubtaskId | None = None) -> Reconciled:
    found = {execution.subtask: execution for execution in [*_copies(), *changed]}
    if without is not None:
        del found[without]
    return Reconciled(found, 4)


def _copies() -> list[Execution]:
    return [Execution(e.subtask, e.attempt, e.status, e.slot) for e in WHOLE]


def said(which: SubtaskId, status: int, attempt: int = 0) -> SubtaskReported:
    return SubtaskReported(which, attempt, common_pb2.SubtaskStatus.ValueType(status))


Step = tuple[Event, list[Instruction], str]
STORIES: dict[str, list[Step]] = {
    "everything runs": [(after(), [], "RUNNING")],
    "one is still starting": [
        (after(has(A, ONE, DEPLOYING)), [], "INITIALIZING"),
        (said(A, RUNNING), [], "RUNNING"),
    ],
    "everything has finished": [
        (after(*(has(e.subtask, ONE, FINISHED) for e in WHOLE)), [Finished()], "FINISHED"),
    ],
    "a region misses one: it starts again, the other goes on": [
        (after(without=A), [CancelSubtasks((B,))], "RESTARTING"),
        (said(B, CANCELED), [AwaitRestart(FIRST, (), 1)], "RESTARTING"),
        (RestartDue(1), [RequestSlots()], "RESTARTING"),
    ],
    "the other region fails meanwhile": [
        (after(without=A), [CancelSubtasks((B,))], "RESTARTING"),
        (said(D, FAILED), [CancelSubtasks((C,))], "RESTARTING"),
        (said(C, CANCELED), [], "RESTARTING"),
        (said(B, CANCELED), [AwaitRestart(FIRST | SECOND, (ONE.slot_id, TWO.slot_id), 1)], "RESTARTING"),
    ],
    "nothing is found": [
        (Reconciled({}, 4), [AwaitRestart(FIRST | SECOND, (), 1)], "RESTARTING"),
        (RestartDue(1), [RequestSlots()], "RESTARTING"),
    ],
    "the former leader was cancelling a region": [
        (after(has(A, ONE, CANCELED), has(B, ONE, CANCELING)), [], "RESTARTING"),
        (said(B, CANCELED), [AwaitRestart(FIRST, (), 1)], "RESTARTING"),
    ],
    "one has failed": [
        (after(has(A, ONE, FAILED, error=CAUSE)), [CancelSubtasks((B,))], "FAILING"),
        (said(B, CANCELED), [AskRestart(CAUSE)], "FAILING"),
    ],
    "one has failed and one is missing": [
        (after(has(A, ONE, FAILED, error=CAUSE), without=D), [CancelSubtasks((B, C))], "FAILING"),
    ],
    "to be cancelled before anything is known": [
        (CancelRequested(), [], "RECONCILING"),
        (after(), [CancelSubtasks((A, B, C, D))], "CANCELLING"),
    ],
    "to be cancelled, and nothing is found": [
        (CancelRequested(), [], "RECONCILING"),
        (Reconciled({}, 4), [AwaitRestart(FIRST | SECOND, (), 1), Finished()], "CANCELED"),
    ],
}


@pytest.mark.parametrize("name", STORIES)
def test_events_and_instructions(name: str) -> None:
    made = machine()
    for number, (event, expected, status) in enumerate(STORIES[name]):
        assert made.handle(event, number) == expected, f"step {number}: {event}"
        assert str(made.status) == status, f"step {number}: {event}"


def test_the_next_attempt_is_above_all_that_may_have_been() -> None:
    made = machine()
    made.handle(after(without=A), 1)
    made.handle(said(B, CANCELED), 2)
    made.handle(RestartDue(1), 3)
    attempts: Mapping[str, int] = {str(e.subtask.vertex): e.attempt for e in made.executions.values()}
    assert attempts == {"a": 5, "b": 5, "c": 0} and made.missing_slots == []
