"""How a task takes part in checkpoints: what overtakes what, and what becomes part of the snapshot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from millstream.core.clock import ManualClock
from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.elements.control import Barrier, Element
from millstream.core.errors import CheckpointError, ExternalError, MillstreamError
from millstream.core.ids import PartitionId
from millstream.taskmanager.checkpointing.task_checkpoints import TaskCheckpoints
from millstream.taskmanager.checkpointing.task_snapshot import ChannelKey, TaskSnapshot
from millstream.taskmanager.network.gate import InputGate, LocalChannel
from millstream.taskmanager.network.subpartition import Subpartition
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.task.context import SubtaskInfo

INFO = SubtaskInfo("j", "j", "v", "v", 0, 0, 1, 128)
UNALIGNED = Barrier(1, 0, unaligned=True)
PATIENT = Barrier(1, 0, timeout_ms=100)


class Output:
    """A result partition with one consumer, whose queue nobody reads."""

    partition_id = PartitionId(9, 0, 0)

    def __init__(self, in_turn: bool = False) -> None:
        self.queue: list[Any] = ["old"]
        self.in_turn = in_turn

    def broadcast(self, barrier: Barrier) -> None:
        self.queue.append(barrier)

    def overtake(self, barrier: Barrier) -> dict[int, list[Batch]]:
        overtaken = {0: [ObjectBatch([item]) for item in self.queue]}
        self.queue.insert(0, barrier)
        return overtaken  # type: ignore[return-value]

    def hurry(self, barrier: Barrier) -> dict[int, list[Batch]]:
        place = next(i for i, item in enumerate(self.queue) if isinstance(item, Barrier))
        overtaken = {0: [ObjectBatch([item]) for item in self.queue[:place]]}
        self.queue.insert(0, replace(self.queue.pop(place), unaligned=True))
        return overtaken  # type: ignore[return-value]

    def holds(self, checkpoint_id: int) -> bool:
        return any(isinstance(item, Barrier) for item in self.queue[1:])


class Rig:
    """A task with two input channels, which are queues of a producer in the same process."""

    def __init__(self) -> None:
        self.info = INFO
        self.clock = ManualClock()
        self.output = Output()
        self.partitions: list[Any] = [self.output]
        self.pending: list[tuple[int, int, Batch]] = []
        self.written: list[TaskSnapshot] = []
        self.declined: list[MillstreamError] = []
        self.exactly_once = True
        self.records = 7
        self.error: MillstreamError | None = None
        self.unprepared: MillstreamError | None = None
        self.inputs = [Subpartition(1 << 20, 1), Subpartition(1 << 20, 1)]
        channels = [LocalChannel(), LocalChannel()]
        for channel, queue in zip(channels, self.inputs, strict=True):
            channel.attach(queue)
        self.gate = InputGate(0, list(channels), lambda: None, [(4, 0), (4, 1)])
        self.checkpoints = TaskCheckpoints(self, [self.gate], self, self.clock, lambda: None)

    def prepare_snapshot(self, barrier: Barrier) -> None:
        if self.unprepared is not None:
            raise self.unprepared

    def snapshot_operators(self, barrier: Barrier) -> list[tuple[str, OperatorSnapshot]]:
        if self.error is not None:
            raise self.error
        return [("op", OperatorSnapshot())]

    def pending_batches(self) -> list[tuple[int, int, Batch]]:
        return self.pending

    def has_output(self) -> bool:
        return True

    def records_read(self) -> int:
        return self.records

    def write(self, info: SubtaskInfo, snapshot: TaskSnapshot) -> None:
        self.written.append(snapshot)

    def decline(self, info: SubtaskInfo, checkpoint_id: int, error: MillstreamError) -> None:
        self.declined.append(error)

    def send(self, channel: int, *elements: Element) -> None:
        for element in elements:
            self.inputs[channel].add(element)
        self.run()

    def run(self) -> None:
        if self.checkpoints.is_due():
            self.checkpoints.run()
        self.checkpoints.advance()

    def poll(self) -> list[Any]:
        """Read everything that may be read; the records."""
        records: list[Any] = []
        while (polled := self.gate.poll()) is not None:
            channel, element = polled
            if isinstance(element, Barrier):
                self.checkpoints.barrier_polled(channel, element)
            elif isinstance(element, ObjectBatch):
                self.checkpoints.batch_polled(channel, element)
                records += element.values
            self.run()
        return records

    def in_flight(self) -> dict[tuple[int, int, int], list[Any]]:
        (snapshot,) = self.written
        return {
            tuple(key): [value for batch in batches if isinstance(batch, ObjectBatch) for value in batch.values]
            for key, batches in snapshot.in_flight.items()
        }


def rows(*values: Any) -> ObjectBatch:
    return ObjectBatch(list(values))


def test_aligned_barriers_wait_for_each_other_and_overtake_nothing() -> None:
    rig = Rig()
    rig.send(0, rows(1), Barrier(1, 0), rows(2))
    rig.send(1, rows(3))
    assert sorted(rig.poll()) == [1, 3] and rig.written == []
    rig.send(1, Barrier(1, 0), rows(4))
    assert sorted(rig.poll()) == [2, 4]
    assert rig.in_flight() == {} and rig.output.queue == ["old", Barrier(1, 0)]


def test_an_unaligned_barrier_takes_the_snapshot_at_once_and_what_it_overtook() -> None:
    rig = Rig()
    rig.pending = [(4, 1, rows("half"))]
    rig.send(1, rows("before"))
    rig.inputs[0].add_first(UNALIGNED)  # its producer has saved what it overtook there
    rig.run()
    assert rig.output.queue == [UNALIGNED, "old"] and rig.written == [], "the other barrier has not come"
    assert rig.poll() == ["before"]
    rig.send(1, rows("also before"), Barrier(1, 0), rows("behind"))
    assert rig.in_flight() == {
        ChannelKey(9, 0, 0): ["old"],
        ChannelKey(4, 1, 0): ["half", "before", "also before"],
    }
    assert rig.poll() == ["also before", "behind"], "what is in flight is processed all the same"


def test_an_aligned_barrier_that_waits_too_long_overtakes() -> None:
    rig = Rig()
    rig.send(0, PATIENT, rows("behind"))
    rig.send(1, rows("before"))
    assert rig.poll() == ["before"] and rig.written == []
    assert rig.checkpoints.next_s() == pytest.approx(rig.clock.monotonic_s() + 0.1)
    rig.clock.advance(101)
    rig.run()
    assert rig.output.queue[0] == replace(PATIENT, unaligned=True)
    assert rig.poll() == ["behind"], "its channel is not blocked any more"
    rig.send(1, rows("late"), PATIENT, rows("behind too"))
    assert rig.in_flight() == {ChannelKey(9, 0, 0): ["old"], ChannelKey(4, 1, 0): ["late"]}


def test_a_barrier_that_waits_in_the_output_overtakes_there_in_time() -> None:
    rig = Rig()
    rig.send(0, PATIENT)
    rig.send(1, PATIENT)
    assert rig.poll() == [] and rig.output.queue == ["old", PATIENT]
    assert rig.written == [], "the output is part of the snapshot, and not known yet"
    rig.clock.advance(101)
    rig.run()
    assert rig.in_flight() == {ChannelKey(9, 0, 0): ["old"]}
    assert rig.output.queue == [replace(PATIENT, unaligned=True), "old"]


def test_a_barrier_that_has_left_the_output_in_time_overtakes_nothing() -> None:
    rig = Rig()
    rig.send(0, PATIENT)
    rig.send(1, PATIENT)
    rig.poll()
    rig.output.queue.clear()
    rig.run()
    assert rig.in_flight() == {}


def test_the_end_of_a_channel_stands_for_its_barrier() -> None:
    rig = Rig()
    rig.inputs[0].add_first(UNALIGNED)
    rig.run()
    rig.send(1, rows("before"))
    rig.poll()
    rig.checkpoints.channel_ended(1)
    rig.run()
    assert rig.in_flight()[ChannelKey(4, 1, 0)] == ["before"]


def test_what_was_given_up_is_neither_written_nor_waited_for() -> None:
    rig = Rig()
    rig.inputs[0].add_first(UNALIGNED)
    rig.run()
    rig.checkpoints.aborted(1)
    rig.send(1, Barrier(1, 0, unaligned=True), rows(1))
    assert rig.poll() == [1] and rig.written == [] and not rig.checkpoints.is_writing
    rig.inputs[0].add_first(replace(UNALIGNED, checkpoint_id=2))
    rig.inputs[1].add_first(replace(UNALIGNED, checkpoint_id=2))
    rig.run()
    assert [snapshot.checkpoint_id for snapshot in rig.written] == [2]


def test_a_task_that_cannot_take_part_says_so_and_passes_the_barrier_on() -> None:
    rig = Rig()
    rig.error = CheckpointError("no")
    rig.send(0, Barrier(1, 0))
    rig.send(1, Barrier(1, 0))
    rig.poll()
    assert rig.declined == [rig.error] and rig.output.queue == ["old", Barrier(1, 0)] and rig.written == []


def test_a_task_that_cannot_prepare_may_have_lost_records_and_ends() -> None:
    rig = Rig()
    rig.unprepared = ExternalError("the disk refused")
    with pytest.raises(ExternalError, match="the disk refused"):
        rig.checkpoints.trigger(Barrier(1, 0))
    assert rig.output.queue == ["old"] and rig.declined == [] and rig.written == []


def test_a_task_is_not_over_while_a_snapshot_is_being_written() -> None:
    rig = Rig()
    rig.checkpoints.trigger(Barrier(1, 0))
    assert rig.checkpoints.is_writing
    rig.run()
    assert rig.checkpoints.is_writing and not rig.checkpoints.is_busy
    rig.written[0].ended()
    assert not rig.checkpoints.is_writing
