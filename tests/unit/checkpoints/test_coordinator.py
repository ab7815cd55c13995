"""The checkpoint coordinator as tables of events and instructions, and under any order of events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from millstream.core.errors import CheckpointError, MillstreamError, UnsavableStateError
from millstream.core.ids import SubtaskId, VertexId
from millstream.jobmanager.checkpointing.coordinator import (
    Abandon,
    AbortReason,
    Announce,
    CheckpointCoordinator,
    Discard,
    FailJob,
    Instruction,
    Seal,
    SnapshotEnumerators,
    TriggerSubtasks,
)
from millstream.jobmanager.checkpointing.settings import CheckpointSettings
from millstream.proto.v1 import checkpoint_pb2

SOURCE, MIDDLE, SINK = (SubtaskId(VertexId(name), 0) for name in ("source", "middle", "sink"))
LINE: dict[SubtaskId, frozenset[SubtaskId]] = {
    SOURCE: frozenset(),
    MIDDLE: frozenset({SOURCE}),
    SINK: frozenset({MIDDLE}),
}
EVERY_SECOND = CheckpointSettings(interval_ms=1000, timeout_ms=5000, retained=2)


def report(checkpoint_id: int, subtask: SubtaskId) -> checkpoint_pb2.CheckpointReport:
    state = checkpoint_pb2.SubtaskState(index=subtask.index, files=[checkpoint_pb2.StateFile(length=10)])
    return checkpoint_pb2.CheckpointReport(checkpoint_id=checkpoint_id, state=state)


def abandoned(instructions: list[Instruction]) -> list[int]:
    assert all(isinstance(instruction, Abandon) for instruction in instructions)
    return [i.checkpoint_id for i in instructions if isinstance(i, Abandon)]


def running(**changes: Any) -> CheckpointCoordinator:
    coordinator = CheckpointCoordinator(CheckpointSettings(**{**EVERY_SECOND.__dict__, **changes}), LINE)
    coordinator.started(0)
    return coordinator


def taken(coordinator: CheckpointCoordinator, checkpoint_id: int, now_ms: int) -> list[Instruction]:
    """From the trigger to the manifest; what follows it."""
    assert coordinator.tick(now_ms) == [SnapshotEnumerators(checkpoint_id)]
    assert coordinator.enumerators_copied(checkpoint_id) == [
        TriggerSubtasks(checkpoint_id, now_ms, (SOURCE,), coordinator.latest)
    ]
    for subtask in (SOURCE, MIDDLE):
        assert coordinator.reported(subtask, report(checkpoint_id, subtask), None, now_ms) == []
    (seal,) = coordinator.reported(SINK, report(checkpoint_id, SINK), None, now_ms)
    assert isinstance(seal, Seal) and set(seal.states) == set(LINE)
    return coordinator.sealed(checkpoint_id, "path", now_ms)


def test_a_new_leader_goes_on_where_the_former_was() -> None:
    coordinator = CheckpointCoordinator(EVERY_SECOND, LINE)
    coordinator.taken_over([3, 5, 6], next_id=9)
    assert (coordinator.retained, coordinator.latest, coordinator.progress) == ([5, 6], 6, 6)
    coordinator.skip(11)
    coordinator.skip(4)
    assert coordinator.last_id == 11 and not coordinator.statistics.history
    coordinator.started(0)
    assert taken(coordinator, 12, 1000) == [Announce(12), Discard(3), Discard(5)]
    assert coordinator.retained == [6, 12]


def test_a_checkpoint_from_trigger_to_announcement() -> None:
    coordinator = running()
    assert coordinator.tick(999) == []
    assert taken(coordinator, 1, 1000) == [Announce(1)]
    assert coordinator.latest == 1
    summary = coordinator.statistics.history[0]
    assert (summary.status, summary.state_bytes, summary.acknowledged) == ("COMPLETED", 30, 3)


def test_only_the_newest_are_retained() -> None:
    coordinator = running()
    taken(coordinator, 1, 1000)
    taken(coordinator, 2, 2000)
    assert taken(coordinator, 3, 3000) == [Announce(3), Discard(1)]
    assert coordinator.retained == [2, 3]


def test_the_pause_counts_from_the_end() -> None:
    coordinator = running(min_pause_ms=3000)
    taken(coordinator, 1, 1000)
    assert coordinator.tick(3999) == []
    assert coordinator.tick(4000) == [SnapshotEnumerators(2)]


def test_one_at_a_time_and_given_up_after_the_timeout() -> None:
    coordinator = running(tolerable_failures=1)
    coordinator.tick(1000)
    assert coordinator.tick(6000) == []
    assert abandoned(coordinator.tick(6001)) == [1]
    assert coordinator.enumerators_copied(1) == [] and coordinator.reported(SOURCE, report(1, SOURCE), None, 6002) == []
    assert "execution.checkpointing.timeout" in coordinator.statistics.history[0].failure
    assert coordinator.tick(7001) == [SnapshotEnumerators(2)]
    gave_up, failed = coordinator.tick(12_002)
    assert abandoned([gave_up]) == [2] and isinstance(failed, FailJob)


def test_a_declined_part_ends_it_with_the_reason() -> None:
    coordinator = running()
    coordinator.tick(1000)
    coordinator.enumerators_copied(1)
    gave_up, failed = coordinator.reported(SOURCE, report(1, SOURCE), CheckpointError("disk full"), 1100)
    assert abandoned([gave_up]) == [1]
    assert isinstance(failed, FailJob) and "disk full" in str(failed.error) and "checkpoint 1" in str(failed.error)


def test_a_value_that_no_checkpoint_can_hold_fails_the_job_as_such() -> None:
    coordinator = running()
    coordinator.tick(1000)
    coordinator.enumerators_copied(1)
    cause = UnsavableStateError("the state 'locks' holds a lock")
    _, failed = coordinator.reported(SOURCE, report(1, SOURCE), cause, 1100)
    assert isinstance(failed, FailJob) and isinstance(failed.error, UnsavableStateError)
    assert "checkpoint 1" in str(failed.error) and "'locks'" in str(failed.error)


def test_a_completed_one_forgives_earlier_failures() -> None:
    coordinator = running(tolerable_failures=1)
    coordinator.tick(1000)
    assert abandoned(coordinator.enumerators_failed(1, MillstreamError("no"), 1001)) == [1]
    taken(coordinator, 2, 3000)
    coordinator.tick(4000)
    assert abandoned(coordinator.enumerators_failed(3, MillstreamError("no"), 4001)) == [3]


def test_consumers_of_finished_subtasks_are_triggered() -> None:
    coordinator = running()
    coordinator.subtask_finished(SOURCE)
    coordinator.tick(1000)
    assert coordinator.enumerators_copied(1) == [TriggerSubtasks(1, 1000, (MIDDLE,))]
    assert coordinator.subtask_finished(MIDDLE) == [TriggerSubtasks(1, 1000, (SINK,))]
    (seal,) = coordinator.reported(SINK, report(1, SINK), None, 1001)
    assert isinstance(seal, Seal)
    assert [seal.states[s].finished for s in (SOURCE, MIDDLE, SINK)] == [True, True, False]


def test_a_report_that_comes_after_the_end_of_its_subtask_is_waited_for() -> None:
    coordinator = running()
    coordinator.tick(1000)
    coordinator.enumerators_copied(1)
    coordinator.reported(SOURCE, report(1, SOURCE), None, 1001)
    coordinator.reported(SINK, report(1, SINK), None, 1001)
    assert coordinator.subtask_finished(MIDDLE, answered=1) == []
    (seal,) = coordinator.reported(MIDDLE, report(1, MIDDLE), None, 1002)
    assert isinstance(seal, Seal) and not seal.states[MIDDLE].finished
    coordinator.sealed(1, "chk-1", 1003)
    coordinator.request_checkpoint()
    assert coordinator.tick(3000) == [SnapshotEnumerators(2)]
    coordinator.enumerators_copied(2)
    coordinator.reported(SOURCE, report(2, SOURCE), None, 3001)
    (seal,) = coordinator.reported(SINK, report(2, SINK), None, 3001)
    assert isinstance(seal, Seal) and seal.states[MIDDLE].finished, "it has ended before this one"


def test_the_last_checkpoint_does_not_wait_for_its_interval() -> None:
    coordinator = running()
    coordinator.subtask_finished(SOURCE)
    coordinator.awaits_commit(SINK)
    assert coordinator.tick(1) == [], "the middle still runs"
    coordinator.subtask_finished(MIDDLE)
    assert coordinator.tick(2) == [SnapshotEnumerators(1)]


def test_consumers_of_subtasks_that_wait_for_their_commit_are_triggered() -> None:
    """Such a subtask has a sink beside its output, which it has ended: it sends no barrier and finishes after this
    checkpoint."""
    coordinator = running()
    coordinator.subtask_finished(SOURCE)
    coordinator.tick(1000)
    assert coordinator.enumerators_copied(1) == [TriggerSubtasks(1, 1000, (MIDDLE,))]
    assert coordinator.awaits_commit(MIDDLE) == [TriggerSubtasks(1, 1000, (SINK,))]
    assert coordinator.reported(MIDDLE, report(1, MIDDLE), None, 1001) == []
    (seal,) = coordinator.reported(SINK, report(1, SINK), None, 1002)
    assert isinstance(seal, Seal)


def test_a_request_needs_no_interval() -> None:
    coordinator = running(interval_ms=0)
    assert coordinator.tick(10_000) == []
    coordinator.request_savepoint()
    assert coordinator.tick(10_001) == [SnapshotEnumerators(1, savepoint=True)]
    assert coordinator.enumerators_copied(1) == [TriggerSubtasks(1, 10_001, (SOURCE,), 0, savepoint=True)]
    coordinator.stopped(10_002)
    assert coordinator.tick(20_000) == []


def test_a_stopped_job_counts_no_failure_and_goes_on_with_fresh_ids() -> None:
    coordinator = running()
    coordinator.tick(1000)
    assert abandoned(coordinator.stopped(1001)) == [1]
    coordinator.started(2000)
    assert coordinator.tick(3000) == [SnapshotEnumerators(2)]


def test_several_at_a_time_once_the_sources_have_answered() -> None:
    coordinator = running(max_concurrent=2, retained=1)
    assert coordinator.tick(1000) == [SnapshotEnumerators(1)]
    coordinator.enumerators_copied(1)
    assert coordinator.tick(2000) == [], "the source has not answered"
    coordinator.reported(SOURCE, report(1, SOURCE), None, 2001)
    assert coordinator.tick(2002) == [SnapshotEnumerators(2)]
    coordinator.enumerators_copied(2)
    coordinator.reported(SOURCE, report(2, SOURCE), None, 2003)
    assert coordinator.tick(6500)[0] == Abandon(1, failure=AbortReason.TIMEOUT.value), "two are enough"
    for subtask in (MIDDLE, SINK):
        sealing = coordinator.reported(subtask, report(2, subtask), None, 6600)
    assert isinstance(sealing[0], Seal) and coordinator.sealed(2, "path", 6001) == [Announce(2)]


def test_a_later_one_ends_those_before_it() -> None:
    coordinator = running(max_concurrent=2, timeout_ms=100_000)
    for number in (1, 2):
        coordinator.tick(number * 1000)
        coordinator.enumerators_copied(number)
        coordinator.reported(SOURCE, report(number, SOURCE), None, number * 1000)
    for subtask in (MIDDLE, SINK):
        coordinator.reported(subtask, report(2, subtask), None, 3000)
    assert coordinator.sealed(2, "path", 3001) == [Announce(2), Abandon(1, failure=AbortReason.SUBSUMED.value)]


def test_one_whose_manifest_is_being_written_goes_on_when_the_job_stops() -> None:
    coordinator = running(max_concurrent=2, timeout_ms=100_000)
    for number in (1, 2):
        coordinator.tick(number * 1000)
        coordinator.enumerators_copied(number)
        coordinator.reported(SOURCE, report(number, SOURCE), None, number * 1000)
    for subtask in (MIDDLE, SINK):
        coordinator.reported(subtask, report(1, subtask), None, 3000)
    assert abandoned(coordinator.stopped(3001)) == [2]
    assert coordinator.sealed(1, "path", 3002) == [Announce(1)]
    assert coordinator.latest == 1, "the next attempt starts from it"


def test_a_manifest_that_cannot_be_written_is_no_failure_of_a_job_that_has_stopped() -> None:
    coordinator = running()
    coordinator.tick(1000)
    coordinator.enumerators_copied(1)
    for subtask in LINE:
        coordinator.reported(subtask, report(1, subtask), None, 1001)
    assert coordinator.stopped(1002) == []
    assert abandoned(coordinator.not_sealed(1, CheckpointError("disk full"), 1003)) == [1]


def test_after_the_end_nothing_is_told() -> None:
    coordinator = running()
    coordinator.tick(1000)
    coordinator.enumerators_copied(1)
    for subtask in LINE:
        coordinator.reported(subtask, report(1, subtask), None, 1001)
    assert coordinator.stopped(1002) == []
    coordinator.closed()
    assert coordinator.sealed(1, "path", 1003) == []


def test_what_is_completed_meanwhile_stays_as_long_as_one_is_under_way() -> None:
    coordinator = running(max_concurrent=3, timeout_ms=100_000, retained=1)
    for number in (1, 2, 3):
        coordinator.tick(number * 1000)
        coordinator.enumerators_copied(number)
        coordinator.reported(SOURCE, report(number, SOURCE), None, number * 1000)

    def complete(number: int) -> list[Instruction]:
        for subtask in (MIDDLE, SINK):
            coordinator.reported(subtask, report(number, subtask), None, 4000)
        return coordinator.sealed(number, "path", 4001)

    assert complete(1) == [Announce(1)]
    assert complete(2) == [Announce(2)], "a subtask may base its part of checkpoint 3 on what it knows of checkpoint 1"
    assert complete(3) == [Announce(3), Discard(1), Discard(2)]


def test_no_checkpoint_follows_the_savepoint_that_is_the_end_of_an_attempt() -> None:
    coordinator = running()
    coordinator.request_checkpoint()
    coordinator.hold()
    assert coordinator.tick(1000) == coordinator.tick(100_000) == []
    coordinator.stopped(100_001)
    coordinator.started(100_002)
    assert coordinator.tick(200_000) == [SnapshotEnumerators(1)]


def test_one_before_which_nothing_was_read_shows_no_progress() -> None:
    coordinator = running()
    taken(coordinator, 1, 1000)
    assert coordinator.latest == 1 and coordinator.progress == 0
    coordinator.tick(2000)
    coordinator.enumerators_copied(2)
    for subtask in (SOURCE, MIDDLE, SINK):
        said = report(2, subtask)
        said.records = 3 if subtask == SOURCE else 0
        coordinator.reported(subtask, said, None, 2000)
    assert coordinator.progress == 0
    coordinator.sealed(2, "path", 2001)
    assert coordinator.progress == 2
    taken(coordinator, 3, 3001)
    assert coordinator.latest == 3 and coordinator.progress == 2


def test_files_are_kept_for_the_one_that_builds_upon_them() -> None:
    coordinator = running(max_concurrent=2, retained=1)
    taken(coordinator, 1, 1000)
    for number in (2, 3):
        coordinator.tick(number * 1000)
        (trigger,) = coordinator.enumerators_copied(number)
        assert isinstance(trigger, TriggerSubtasks) and trigger.base_id == 1
        coordinator.reported(SOURCE, report(number, SOURCE), None, number * 1000)
    for subtask in (MIDDLE, SINK):
        coordinator.reported(subtask, report(2, subtask), None, 3500)
    assert coordinator.sealed(2, "path", 3501) == [Announce(2)], "3 may refer to files of 1"
    assert 1 in coordinator.live
    for subtask in (MIDDLE, SINK):
        coordinator.reported(subtask, report(3, subtask), None, 3600)
    assert coordinator.sealed(3, "path", 3601) == [Announce(3), Discard(1), Discard(2)]


def test_a_savepoint_is_taken_alone_and_not_used_for_restarts() -> None:
    coordinator = running(max_concurrent=3)
    coordinator.tick(1000)
    coordinator.enumerators_copied(1)
    coordinator.reported(SOURCE, report(1, SOURCE), None, 1001)
    coordinator.request_savepoint()
    assert coordinator.tick(2000) == [], "a checkpoint is under way"
    for subtask in (MIDDLE, SINK):
        coordinator.reported(subtask, report(1, subtask), None, 2001)
    coordinator.sealed(1, "path", 2002)
    assert coordinator.tick(2003) == [SnapshotEnumerators(2, savepoint=True)]
    coordinator.enumerators_copied(2)
    for subtask in (SOURCE, MIDDLE, SINK):
        assert coordinator.reported(subtask, report(2, subtask), None, 2004) == [], "what it holds is not committed"
    assert coordinator.tick(2005) == [SnapshotEnumerators(3)], "a checkpoint that follows it needs no interval"
    coordinator.enumerators_copied(3)
    for subtask in (SOURCE, MIDDLE, SINK):
        coordinator.reported(subtask, report(3, subtask), None, 2006)
    announced, sealing = coordinator.sealed(3, "path", 2007)
    assert announced == Announce(3)
    assert isinstance(sealing, Seal) and sealing.savepoint and sealing.base_id == 1
    assert coordinator.sealed(2, "path", 2008) == [Announce(2, savepoint=True)]
    assert coordinator.latest == 3


def answered_savepoint(ends: bool = False, **changes: Any) -> tuple[CheckpointCoordinator, list[Instruction]]:
    """Number 1, of which all subtasks have made their part; and what followed from the last answer."""
    coordinator = running(**changes)
    coordinator.request_savepoint(ends)
    coordinator.tick(10)
    coordinator.enumerators_copied(1)
    for subtask in (SOURCE, MIDDLE, SINK):
        instructions = coordinator.reported(subtask, report(1, subtask), None, 20)
    return coordinator, instructions


@pytest.mark.parametrize(("ends", "interval_ms"), [(True, 1000), (False, 0)], ids=["it ends the job", "no checkpoints"])
def test_a_savepoint_that_no_checkpoint_can_follow_is_sealed_at_once(ends: bool, interval_ms: int) -> None:
    _, (seal,) = answered_savepoint(ends, interval_ms=interval_ms)
    assert isinstance(seal, Seal) and seal.savepoint


def test_a_savepoint_waits_for_another_checkpoint_when_the_next_one_fails() -> None:
    coordinator, _ = answered_savepoint(tolerable_failures=1)
    coordinator.tick(30)
    (abandon,) = coordinator.enumerators_failed(2, MillstreamError("no"), 40)
    assert abandon == Abandon(2, failure="the state of a source's enumerator could not be taken: no")
    assert coordinator.tick(50) == [], "the next one has its time"
    assert coordinator.tick(1040) == [SnapshotEnumerators(3)]
    coordinator.enumerators_copied(3)
    for subtask in (SOURCE, MIDDLE, SINK):
        coordinator.reported(subtask, report(3, subtask), None, 1050)
    _, seal = coordinator.sealed(3, "path", 1060)
    assert isinstance(seal, Seal) and seal.checkpoint_id == 1


def test_a_savepoint_that_no_checkpoint_follows_is_given_up() -> None:
    coordinator, _ = answered_savepoint()
    (abandon,) = coordinator.stopped(30)
    assert isinstance(abandon, Abandon) and abandon.savepoint and not abandon.sealing
    coordinator, _ = answered_savepoint(timeout_ms=5000)
    coordinator.tick(4000)
    assert coordinator.tick(9000) == [], "the checkpoint has as much time as the savepoint had"
    instructions = coordinator.tick(9001)
    assert [(i.checkpoint_id, i.savepoint) for i in instructions if isinstance(i, Abandon)] == [(1, True), (2, False)]


def test_another_savepoint_waits_for_the_one_that_waits_for_a_checkpoint() -> None:
    coordinator, _ = answered_savepoint()
    coordinator.request_savepoint()
    assert coordinator.tick(30) == [SnapshotEnumerators(2)]
    coordinator.enumerators_copied(2)
    for subtask in (SOURCE, MIDDLE, SINK):
        coordinator.reported(subtask, report(2, subtask), None, 40)
    coordinator.sealed(2, "path", 50)
    assert coordinator.tick(60) == []
    coordinator.sealed(1, "path", 70)
    assert coordinator.tick(80) == [SnapshotEnumerators(3, savepoint=True)]


class Coordination(RuleBasedStateMachine):
    """Events in any order, late and twice. The shell's answers may come after anything else."""

    @initialize(tolerable=st.integers(0, 2), retained=st.integers(1, 3), concurrent=st.integers(1, 3))
    def begin(self, tolerable: int, retained: int, concurrent: int) -> None:
        self.coordinator = CheckpointCoordinator(
            CheckpointSettings(
                interval_ms=10,
                timeout_ms=50,
                tolerable_failures=tolerable,
                retained=retained,
                max_concurrent=concurrent,
            ),
            LINE,
        )
        self.savepoints: set[int] = set()
        self.ends = False
        self.followed: set[int] = set()
        """Savepoints that are complete only after a checkpoint."""
        self.bases: dict[int, int] = {}
        self.now_ms = 0
        self.copying: list[int] = []
        self.sealing: list[int] = []
        self.announced: list[int] = []
        self.gone: set[int] = set()
        self.triggered: dict[int, set[SubtaskId]] = {}

    def perform(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case SnapshotEnumerators(number):
                    self.copying.append(number)
                    if instruction.savepoint and not self.ends:
                        self.followed.add(number)
                case TriggerSubtasks():
                    already = self.triggered.setdefault(instruction.checkpoint_id, set())
                    assert not already & set(instruction.subtasks), "triggered twice"
                    already.update(instruction.subtasks)
                    assert instruction.base_id not in self.gone
                    self.bases[instruction.checkpoint_id] = instruction.base_id
                    if instruction.savepoint:
                        self.savepoints.add(instruction.checkpoint_id)
                case Seal():
                    assert set(instruction.states) == set(LINE)
                    self.sealing.append(instruction.checkpoint_id)
                    if instruction.savepoint:
                        self.savepoints.add(instruction.checkpoint_id)
                    if instruction.checkpoint_id in self.followed:
                        assert self.coordinator.latest > instruction.checkpoint_id
                case Announce(number, savepoint=True):
                    assert number in self.savepoints
                    self.gone.add(number)
                case Announce(number):
                    assert not self.announced or number > self.announced[-1]
                    assert number not in self.gone
                    self.announced.append(number)
                case Abandon(number):
                    assert number not in self.announced
                    self.gone.add(number)
                case Discard(number):
                    assert number in self.announced and number not in self.coordinator.retained
                    self.gone.add(number)
                    under_way = self.coordinator.live - set(self.announced)
                    assert not any(self.bases.get(other, number + 1) <= number for other in under_way)

    @rule(later=st.integers(0, 60))
    def tick(self, later: int) -> None:
        self.now_ms += later
        self.perform(self.coordinator.tick(self.now_ms))

    @rule()
    def start(self) -> None:
        self.coordinator.started(self.now_ms)

    @rule()
    def stop(self) -> None:
        self.perform(self.coordinator.stopped(self.now_ms))

    @precondition(lambda self: self.copying)
    @rule(fails=st.booleans())
    def copied(self, fails: bool) -> None:
        number = self.copying.pop(0)
        if fails:
            self.perform(self.coordinator.enumerators_failed(number, MillstreamError("no"), self.now_ms))
        else:
            self.perform(self.coordinator.enumerators_copied(number))

    @rule(subtask=st.sampled_from(sorted(LINE)), back=st.integers(0, 2), fails=st.integers(0, 9))
    def answered(self, subtask: SubtaskId, back: int, fails: int) -> None:
        number = self.coordinator.statistics.triggered - back
        error = CheckpointError("no") if fails == 0 else None
        self.perform(self.coordinator.reported(subtask, report(max(0, number), subtask), error, self.now_ms))

    @rule(subtask=st.sampled_from(sorted(LINE)))
    def finished(self, subtask: SubtaskId) -> None:
        self.perform(self.coordinator.subtask_finished(subtask))

    @rule(ends=st.booleans())
    def requested(self, ends: bool) -> None:
        self.ends = ends
        self.coordinator.request_savepoint(ends)

    @precondition(lambda self: self.sealing)
    @rule(fails=st.booleans())
    def sealed(self, fails: bool) -> None:
        number = self.sealing.pop(0)
        if fails:
            self.perform(self.coordinator.not_sealed(number, MillstreamError("no"), self.now_ms))
        else:
            self.perform(self.coordinator.sealed(number, "path", self.now_ms))

    @invariant()
    def what_is_retained_is_there(self) -> None:
        if hasattr(self, "coordinator"):
            assert not set(self.coordinator.retained) & self.gone
            assert self.coordinator.latest == (self.announced[-1] if self.announced else 0)


TestCoordination = Coordination.TestCase
TestCoordination.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
