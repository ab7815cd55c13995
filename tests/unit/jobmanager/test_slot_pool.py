"""Slots: free, granted, released, lost. No slot has two owners, whatever happens in whatever order."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from plans import pool, slot_report

from millstream.core.ids import JobId, SlotId, TaskManagerId
from millstream.jobmanager.scheduling.slot_pool import SlotPool

ONE, TWO = TaskManagerId("one"), TaskManagerId("two")
A, B = JobId("a" * 32), JobId("b" * 32)


def test_slots_are_granted_all_or_none() -> None:
    made = pool(one=2, two=1)
    assert made.allocate(A, 4) is None
    assert made.free() == made.total() == 3
    granted = made.allocate(A, 3)
    assert granted is not None and all(slot.allocated_to == A for slot in granted)
    assert made.free() == 0 and made.total() == 3
    assert made.allocate(B, 1) is None


def test_a_cold_process_is_replaced_only_while_its_slot_is_free() -> None:
    made = pool(one=2)
    (granted,) = made.allocate(A, 1) or ()
    cold = [slot_report(ONE, index, job_id=A * (index == granted.slot_id.index), cold=True) for index in (0, 1)]
    made.report(ONE, cold)
    (taken,) = made.take_cold(ONE)
    assert taken.slot_id != granted.slot_id
    assert made.free() == 0 and made.take_cold(ONE) == []
    made.report(ONE, cold)
    assert made.free() == 0, "what the old process reports on its way out does not count"
    made.report(ONE, [slot_report(ONE, taken.slot_id.index, incarnation=taken.incarnation)])
    assert made.free() == 1 and made.take_cold(ONE) == []


def test_a_cold_process_that_could_not_be_replaced_serves() -> None:
    made = pool(one=1)
    made.report(ONE, [slot_report(ONE, 0, cold=True)])
    (taken,) = made.take_cold(ONE)
    made.put_back(taken)
    made.report(ONE, [slot_report(ONE, 0)])
    assert made.allocate(A, 1) is not None


def test_slots_are_spread_over_taskmanagers() -> None:
    granted = pool(one=3, two=3).allocate(A, 4)
    assert granted is not None
    assert sorted(slot.slot_id.taskmanager for slot in granted) == [ONE, ONE, TWO, TWO]


def test_a_released_slot_is_free_when_a_fresh_process_is_reported() -> None:
    made = pool(one=1)
    granted = made.allocate(A, 1)
    assert granted is not None
    made.report(ONE, [slot_report(ONE, 0, job_id=A)])
    made.release(granted[0].slot_id)
    assert made.free() == 0
    made.report(ONE, [slot_report(ONE, 0, job_id=A)])
    assert made.free() == 0, "the old process is still there"
    made.report(ONE, [slot_report(ONE, 0, incarnation=2, ready=False)])
    assert made.free() == 0, "the new process is not warm yet"
    made.report(ONE, [slot_report(ONE, 0, incarnation=2)])
    assert made.free() == made.free(ONE) == 1 and made.free(TWO) == 0


def test_a_report_of_an_older_process_is_ignored() -> None:
    made = pool()
    made.report(ONE, [slot_report(ONE, 0, incarnation=5, ready=False)])
    made.report(ONE, [slot_report(ONE, 0, incarnation=4, ready=True)])
    assert made.free() == 0
    assert [slot.incarnation for slot in made.slots_of(ONE)] == [5]


def test_a_slot_the_taskmanager_still_counts_as_taken_is_not_free() -> None:
    made = pool()
    made.report(ONE, [slot_report(ONE, 0, job_id=B), slot_report(ONE, 1)])
    assert made.free() == 1
    granted = made.allocate(A, 1)
    assert granted is not None and granted[0].slot_id == SlotId(ONE, 1)


def test_a_lost_taskmanager_takes_its_slots_along() -> None:
    made = pool(one=2, two=1)
    granted = made.allocate(A, 3)
    assert granted is not None
    made.remove(ONE)
    assert made.total() == 1 and made.free() == 0 and made.slots_of(ONE) == []
    for slot in granted:
        made.release(slot.slot_id)
    made.remove(ONE)
    assert made.total() == 1


class PoolMachine(RuleBasedStateMachine):
    """TaskManagers report, vanish and come back; jobs take and give back."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = SlotPool()
        self.held: dict[JobId, list[SlotId]] = {}
        self.incarnations: dict[SlotId, int] = {}

    @rule(
        taskmanager=st.sampled_from([ONE, TWO]), index=st.integers(0, 3), ready=st.booleans(), step=st.integers(-1, 1)
    )
    def report(self, taskmanager: TaskManagerId, index: int, ready: bool, step: int) -> None:
        known = self.incarnations.get(SlotId(taskmanager, index), 1)
        incarnation = max(0, known + step)
        self.incarnations[SlotId(taskmanager, index)] = max(known, incarnation)
        self.pool.report(taskmanager, [slot_report(taskmanager, index, ready=ready, incarnation=incarnation)])

    @rule(taskmanager=st.sampled_from([ONE, TWO]))
    def lose(self, taskmanager: TaskManagerId) -> None:
        self.pool.remove(taskmanager)
        for slots in self.held.values():
            slots[:] = [slot for slot in slots if slot.taskmanager != taskmanager]

    @rule(job=st.sampled_from([A, B]), count=st.integers(1, 5))
    def allocate(self, job: JobId, count: int) -> None:
        free = self.pool.free()
        granted = self.pool.allocate(job, count)
        assert (granted is not None) == (count <= free)
        if granted is not None:
            assert len({slot.slot_id for slot in granted}) == count == free - self.pool.free()
            taken = [slot.slot_id for slot in granted]
            assert not {slot for slots in self.held.values() for slot in slots} & set(taken)
            self.held.setdefault(job, []).extend(taken)

    @rule(job=st.sampled_from([A, B]))
    def release(self, job: JobId) -> None:
        for slot in self.held.pop(job, []):
            self.pool.release(slot)

    @invariant()
    def owners_agree(self) -> None:
        owned = {s.slot_id: s.allocated_to for slots in self.pool.slots.values() for s in slots.values()}
        held = {slot: job for job, slots in self.held.items() for slot in slots}
        assert {slot: job for slot, job in owned.items() if job is not None} == held
        assert 0 <= self.pool.free() <= self.pool.total() - len(held)
        assert self.pool.free() == self.pool.free(ONE) + self.pool.free(TWO)


TestPoolMachine = PoolMachine.TestCase
