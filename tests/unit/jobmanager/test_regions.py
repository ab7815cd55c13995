"""What fails together starts again together, and nothing else does."""

from __future__ import annotations

import pytest
from plans import edge, graph, slot, subtask, vertex

from millstream.core.api.job import JobStatus
from millstream.core.errors import ExternalError, MillstreamError, TaskManagerLostError, UserCodeError
from millstream.core.ids import SubtaskId, TaskManagerId
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
from millstream.jobmanager.scheduling.regions import one_region, regions_of
from millstream.proto.v1 import common_pb2, job_graph_pb2

RUNNING = common_pb2.SUBTASK_STATUS_RUNNING
FINISHED = common_pb2.SUBTASK_STATUS_FINISHED
CANCELED = common_pb2.SUBTASK_STATUS_CANCELED
FAILED = common_pb2.SUBTASK_STATUS_FAILED
CAUSE, LATER = UserCodeError("the user's line failed"), UserCodeError("another line failed")
AGAIN = UserCodeError("the user's line failed again")
LOST_CONNECTION = ExternalError("the connection to slot 3 was lost")
LOST = TaskManagerLostError("TaskManager two was lost")

# a -> b is one region, c the other. They share slot one; c alone is in slot two.
A, B, C, D = subtask("a"), subtask("b"), subtask("c"), subtask("c", 1)
FIRST, SECOND = frozenset({A.vertex, B.vertex}), frozenset({C.vertex})
REGIONS = {A.vertex: FIRST, B.vertex: FIRST, C.vertex: SECOND}
ONE, TWO = slot("one"), slot("two")


def said(which: SubtaskId, status: int, error: MillstreamError | None = None, attempt: int = 0) -> SubtaskReported:
    return SubtaskReported(which, attempt, common_pb2.SubtaskStatus.ValueType(status), error)


Step = tuple[Event, list[Instruction], str]
ALL_RUN: list[Step] = [
    (SlotsGranted((ONE, TWO)), [Deploy(FIRST | SECOND)], "INITIALIZING"),
    *[(said(which, RUNNING), [], "INITIALIZING") for which in (A, B, C)],
    (said(D, RUNNING), [], "RUNNING"),
]
FIRST_WAITS: list[Step] = [
    (said(A, FAILED, CAUSE), [CancelSubtasks((B,))], "FAILING"),
    (said(B, CANCELED), [AskRestart(CAUSE)], "FAILING"),
    (RestartDecided(True), [AwaitRestart(FIRST, (), 1)], "RESTARTING"),
]
BOTH_WAIT: list[Step] = [
    (said(D, FAILED, LATER), [CancelSubtasks((C,))], "FAILING"),
    (said(C, CANCELED), [AskRestart(LATER)], "FAILING"),
    (RestartDecided(True), [AwaitRestart(SECOND, (ONE.slot_id, TWO.slot_id), 2)], "RESTARTING"),
]
TABLES: dict[str, list[Step]] = {
    "only the region of what failed starts again, in the slot that the other one keeps": [
        *ALL_RUN,
        (said(A, FAILED, CAUSE), [CancelSubtasks((B,))], "FAILING"),
        (said(B, CANCELED), [AskRestart(CAUSE)], "FAILING"),
        (RestartDecided(True), [AwaitRestart(FIRST, (), 1)], "RESTARTING"),
        (RestartDue(1), [RequestSlots()], "RESTARTING"),
        (SlotsGranted(()), [Deploy(FIRST)], "INITIALIZING"),
        (said(A, RUNNING, attempt=1), [], "INITIALIZING"),
        (said(B, RUNNING, attempt=1), [], "RUNNING"),
        (said(C, FINISHED), [], "RUNNING"),
        (said(D, FINISHED), [], "RUNNING"),
        (said(A, FINISHED, attempt=1), [], "RUNNING"),
        (said(B, FINISHED, attempt=1), [Finished()], "FINISHED"),
    ],
    "a slot in which nothing runs on is let go": [
        *ALL_RUN,
        (said(D, FAILED, CAUSE), [CancelSubtasks((C,))], "FAILING"),
        (said(C, CANCELED), [AskRestart(CAUSE)], "FAILING"),
        (RestartDecided(True), [AwaitRestart(SECOND, (TWO.slot_id,), 1)], "RESTARTING"),
        (RestartDue(1), [RequestSlots()], "RESTARTING"),
        (SlotsGranted((slot("three"),)), [Deploy(SECOND)], "INITIALIZING"),
    ],
    "the other region may finish meanwhile": [
        *ALL_RUN,
        (said(A, FAILED, CAUSE), [CancelSubtasks((B,))], "FAILING"),
        (said(C, FINISHED), [], "FAILING"),
        (said(B, CANCELED), [AskRestart(CAUSE)], "FAILING"),
        (RestartDecided(True), [AwaitRestart(FIRST, (ONE.slot_id,), 1)], "RESTARTING"),
        (said(D, FINISHED), [], "RESTARTING"),
        (RestartDue(1), [RequestSlots()], "RESTARTING"),
        (SlotsGranted((ONE,)), [Deploy(FIRST)], "INITIALIZING"),
        (said(A, FINISHED, attempt=1), [], "INITIALIZING"),
        (said(B, FINISHED, attempt=1), [Finished()], "FINISHED"),
    ],
    "a failure of the other region stops it too": [
        *ALL_RUN,
        (said(A, FAILED, CAUSE), [CancelSubtasks((B,))], "FAILING"),
        (said(D, FAILED, LATER), [CancelSubtasks((C,))], "FAILING"),
        (said(B, CANCELED), [], "FAILING"),
        (said(C, CANCELED), [AskRestart(CAUSE)], "FAILING"),
        (RestartDecided(True), [AwaitRestart(FIRST | SECOND, (ONE.slot_id, TWO.slot_id), 1)], "RESTARTING"),
    ],
    "also while the first waits for slots": [
        *ALL_RUN,
        *FIRST_WAITS,
        (RestartDue(1), [RequestSlots()], "RESTARTING"),
        (said(D, FAILED, LATER), [CancelSubtasks((C,))], "FAILING"),
        (said(C, CANCELED), [AskRestart(LATER)], "FAILING"),
        (RestartDecided(True), [AwaitRestart(SECOND, (ONE.slot_id, TWO.slot_id), 2), RequestSlots()], "RESTARTING"),
        (SlotsGranted((ONE,)), [Deploy(FIRST)], "RESTARTING"),
        (RestartDue(2), [RequestSlots()], "RESTARTING"),
        (SlotsGranted((TWO,)), [Deploy(SECOND)], "INITIALIZING"),
    ],
    "each region waits for its own delay": [
        *ALL_RUN,
        *FIRST_WAITS,
        *BOTH_WAIT,
        (RestartDue(1), [RequestSlots()], "RESTARTING"),
        (SlotsGranted((ONE,)), [Deploy(FIRST)], "RESTARTING"),
        (said(A, RUNNING, attempt=1), [], "RESTARTING"),
        (RestartDue(1), [], "RESTARTING"),
        (SlotsGranted((TWO,)), [], "RESTARTING"),
        (said(B, RUNNING, attempt=1), [], "RESTARTING"),
        (RestartDue(2), [RequestSlots()], "RESTARTING"),
        (SlotsGranted((TWO,)), [Deploy(SECOND)], "INITIALIZING"),
        (said(C, RUNNING, attempt=2), [], "INITIALIZING"),
        (said(D, RUNNING, attempt=2), [], "RUNNING"),
    ],
    "the second delay may be over first": [
        *ALL_RUN,
        *FIRST_WAITS,
        *BOTH_WAIT,
        (RestartDue(2), [RequestSlots()], "RESTARTING"),
        (SlotsGranted((ONE, TWO)), [Deploy(SECOND)], "RESTARTING"),
        (RestartDue(1), [RequestSlots()], "RESTARTING"),
        (SlotsGranted(()), [Deploy(FIRST)], "INITIALIZING"),
    ],
    "a delay may be over while another region is being stopped": [
        *ALL_RUN,
        *FIRST_WAITS,
        (said(D, FAILED, LATER), [CancelSubtasks((C,))], "FAILING"),
        (RestartDue(1), [], "FAILING"),
        (said(C, CANCELED), [AskRestart(LATER)], "FAILING"),
        (RestartDecided(True), [AwaitRestart(SECOND, (ONE.slot_id, TWO.slot_id), 2), RequestSlots()], "RESTARTING"),
        (SlotsGranted((ONE,)), [Deploy(FIRST)], "RESTARTING"),
    ],
    "a failure of everything ends the first delay": [
        *ALL_RUN,
        *FIRST_WAITS,
        (JobFailed(LATER), [CancelSubtasks((C, D))], "FAILING"),
        (said(C, CANCELED), [], "FAILING"),
        (said(D, CANCELED), [AskRestart(LATER)], "FAILING"),
        (RestartDecided(True), [AwaitRestart(FIRST | SECOND, (ONE.slot_id, TWO.slot_id), 2)], "RESTARTING"),
        (RestartDue(1), [], "RESTARTING"),
        (RestartDue(2), [RequestSlots()], "RESTARTING"),
    ],
    "a region that is back may fail while the other waits": [
        *ALL_RUN,
        *FIRST_WAITS,
        *BOTH_WAIT,
        (RestartDue(1), [RequestSlots()], "RESTARTING"),
        (SlotsGranted((ONE,)), [Deploy(FIRST)], "RESTARTING"),
        (said(A, FAILED, AGAIN, attempt=1), [CancelSubtasks((B,))], "FAILING"),
        (said(B, CANCELED, attempt=1), [AskRestart(AGAIN)], "FAILING"),
        (RestartDecided(True), [AwaitRestart(FIRST, (ONE.slot_id,), 3)], "RESTARTING"),
        (RestartDue(2), [RequestSlots()], "RESTARTING"),
        (SlotsGranted((ONE, TWO)), [Deploy(SECOND)], "RESTARTING"),
        (CancelRequested(), [CancelSubtasks((C, D))], "CANCELLING"),
        (RestartDue(3), [], "CANCELLING"),
    ],
    "a lost TaskManager stops the regions that were there": [
        *ALL_RUN,
        (TaskManagerGone(TaskManagerId("two"), LOST), [CancelSubtasks((C,))], "FAILING"),
        (said(C, CANCELED), [AskRestart(LOST)], "FAILING"),
        (RestartDecided(True), [AwaitRestart(SECOND, (TWO.slot_id,), 1)], "RESTARTING"),
    ],
    "what is no subtask's failure stops everything": [
        *ALL_RUN,
        (JobFailed(CAUSE), [CancelSubtasks((A, B, C, D))], "FAILING"),
    ],
    "a job that is given up is cancelled first": [
        *ALL_RUN,
        (said(A, FAILED, CAUSE), [CancelSubtasks((B,))], "FAILING"),
        (said(B, CANCELED), [AskRestart(CAUSE)], "FAILING"),
        (RestartDecided(False), [CancelSubtasks((C, D))], "FAILING"),
        (said(C, FAILED, LATER), [], "FAILING"),
        (said(D, CANCELED), [Finished()], "FAILED"),
    ],
    "a better cause is waited for while the other region runs": [
        *ALL_RUN,
        (said(A, FAILED, LOST_CONNECTION), [CancelSubtasks((B,))], "FAILING"),
        (said(B, CANCELED), [AwaitCause()], "FAILING"),
        (CauseAwaited(), [AskRestart(LOST_CONNECTION)], "FAILING"),
    ],
    "a cancelled job waits for both": [
        *ALL_RUN,
        (said(A, FAILED, CAUSE), [CancelSubtasks((B,))], "FAILING"),
        (said(B, CANCELED), [AskRestart(CAUSE)], "FAILING"),
        (RestartDecided(True), [AwaitRestart(FIRST, (), 1)], "RESTARTING"),
        (CancelRequested(), [CancelSubtasks((C, D))], "CANCELLING"),
        (said(C, CANCELED), [], "CANCELLING"),
        (said(D, CANCELED), [Finished()], "CANCELED"),
    ],
}


@pytest.mark.parametrize("name", TABLES)
def test_events_and_instructions(name: str) -> None:
    machine = JobMachine("job-1", ((A, B, C), (D,)), REGIONS, 0)
    for number, (event, expected, status) in enumerate(TABLES[name]):
        assert machine.handle(event, number) == expected, f"step {number}: {event}"
        assert str(machine.status) == status, f"step {number}: {event}"


def test_attempts_and_slots_of_the_other_region_stay() -> None:
    machine = JobMachine("job-1", ((A, B, C), (D,)), REGIONS, 0)
    for event, _, _ in TABLES["a slot in which nothing runs on is let go"]:
        former = machine.missing_slots
        machine.handle(event, 0)
    assert former == [TaskManagerId("two")]
    found = {e.subtask: (e.attempt, e.slot.slot_id.taskmanager if e.slot else "") for e in machine.executions.values()}
    assert found == {A: (0, "one"), B: (0, "one"), C: (1, "one"), D: (1, "three")}
    assert machine.status is JobStatus.INITIALIZING and machine.restarts == 1


def test_regions_are_what_records_connect() -> None:
    hash_exchange, forward = job_graph_pb2.EXCHANGE_HASH, job_graph_pb2.EXCHANGE_FORWARD
    job = graph(
        *map(vertex, "abcdef"),
        edges=[edge(0, "a", "c", hash_exchange), edge(1, "b", "c", forward, 1), edge(2, "d", "e", forward)],
    )
    parts = {"".join(sorted(region)) for region in regions_of(job).values()}
    assert parts == {"abc", "de", "f"}
    assert all(one in region for one, region in regions_of(job).items())
    assert {"".join(sorted(region)) for region in one_region(job).values()} == {"abcdef"}
