"""A barrier that turns up unaligned while the same checkpoint's aligned barriers are being waited for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from millstream.core.clock import ManualClock
from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.elements.control import Barrier
from millstream.core.errors import MillstreamError
from millstream.taskmanager.checkpointing.task_checkpoints import TaskCheckpoints
from millstream.taskmanager.checkpointing.task_snapshot import ChannelKey, TaskSnapshot
from millstream.taskmanager.network.gate import InputGate, LocalChannel
from millstream.taskmanager.network.partition import ResultPartition
from millstream.taskmanager.network.subpartition import Subpartition
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.task.context import SubtaskInfo

ALIGNED = Barrier(1, 0, timeout_ms=1000)
UNALIGNED = replace(ALIGNED, unaligned=True)
IN_ITS_TURN = replace(ALIGNED, timeout_ms=0)
"""What becomes of an unaligned one where nothing is overtaken."""


class Writer:
    exactly_once = True

    def __init__(self) -> None:
        self.written: list[TaskSnapshot] = []

    def write(self, info: SubtaskInfo, snapshot: TaskSnapshot) -> None:
        self.written.append(snapshot)

    def decline(self, info: SubtaskInfo, checkpoint_id: int, error: MillstreamError) -> None:
        raise error


class SinkTask:
    info = SubtaskInfo("job", "job", "vertex", "sink", 0, 0, 1, 128)
    partitions: list[ResultPartition] = []

    def prepare_snapshot(self, barrier: Barrier) -> None:
        pass

    def snapshot_operators(self, barrier: Barrier) -> list[tuple[str, OperatorSnapshot]]:
        return []

    def pending_batches(self) -> Sequence[tuple[int, int, Batch]]:
        return []

    def has_output(self) -> bool:
        return False

    def records_read(self) -> int:
        return 7


class Task:
    """Two producers in this process, the gate that reads them, and the checkpoints of the task behind it."""

    def __init__(self, in_turn: Collection[int] = ()) -> None:
        """``in_turn``: channels of which nothing may be overtaken."""
        self.queues = [Subpartition(1 << 20, 1 << 16) for _ in range(2)]
        channels = [LocalChannel() for _ in self.queues]
        self.gate = InputGate(0, list(channels), lambda: None)
        self.gate.in_turn = frozenset(in_turn)
        self.writer = Writer()
        self.checkpoints = TaskCheckpoints(SinkTask(), [self.gate], self.writer, ManualClock(), lambda: None)
        for channel, queue in zip(channels, self.queues, strict=True):
            channel.attach(queue)

    def snapshots(self) -> list[TaskSnapshot]:
        """Those taken up to now."""
        if self.checkpoints.is_due():
            self.checkpoints.run()
        self.checkpoints.advance()
        return self.writer.written

    def poll(self) -> None:
        polled = self.gate.poll()
        assert polled is not None
        channel, element = polled
        if isinstance(element, Barrier):
            self.checkpoints.barrier_polled(channel, element)
        elif isinstance(element, ObjectBatch):
            self.checkpoints.batch_polled(channel, element)


def test_a_channel_whose_aligned_barrier_was_read_is_not_waited_for_again() -> None:
    task = Task()
    task.queues[0].add(ALIGNED)
    task.poll()
    task.queues[0].add(ObjectBatch(["after the barrier"]))
    task.queues[1].add(ObjectBatch(["before the barrier"]))
    task.queues[1].add_first(UNALIGNED)
    assert task.checkpoints.is_due()
    task.checkpoints.run()
    task.checkpoints.advance()
    (snapshot,) = task.writer.written
    assert snapshot.in_flight == {}, "what waits behind the barriers is not part of the checkpoint"


def test_the_same_when_the_unaligned_barrier_is_read_in_its_turn() -> None:
    task = Task()
    task.queues[0].add(ALIGNED)
    task.poll()
    task.queues[1].add(ObjectBatch(["before the barrier"]))
    task.queues[1].add(UNALIGNED)
    task.poll()
    task.poll()
    task.checkpoints.advance()
    (snapshot,) = task.writer.written
    assert snapshot.in_flight == {}


def test_channels_without_a_barrier_are_waited_for() -> None:
    task = Task()
    task.queues[0].add_first(UNALIGNED)
    task.checkpoints.run()
    task.checkpoints.advance()
    assert task.writer.written == []
    task.queues[1].add(ObjectBatch(["before the barrier"]))
    task.poll()
    task.queues[1].add(UNALIGNED)
    task.checkpoints.run()
    task.checkpoints.advance()
    (snapshot,) = task.writer.written
    assert [batch.num_rows for batch in snapshot.in_flight[ChannelKey(0, 1, 0)]] == [1]


def test_what_waits_in_the_task_keeps_its_order_over_all_channels() -> None:
    """After a rescale an older record of a key may have another producer's number than a newer one."""
    snapshot = TaskSnapshot(UNALIGNED, [], 0.0, 0.0)
    first, second = ChannelKey(0, 0, 0), ChannelKey(0, 1, 0)
    pending = ((first, "a"), (first, "b"), (second, "older"), (first, "newer"))
    snapshot.add_pending((key, ObjectBatch([value])) for key, value in pending)
    snapshot.add(first, [ObjectBatch(["newest"])])
    flights = [
        (key, [batch.values for batch in batches if isinstance(batch, ObjectBatch)])
        for key, batches in snapshot.flights()
    ]
    assert flights == [(first, [["a"], ["b"]]), (second, [["older"]]), (first, [["newer"], ["newest"]])]


def test_nothing_is_overtaken_where_barriers_come_in_their_turn() -> None:
    task = Task(in_turn=[1])
    task.queues[0].add(ObjectBatch(["overtaken"]))
    task.queues[0].add(UNALIGNED)
    task.queues[1].add(ObjectBatch(["processed before"]))
    assert task.snapshots() == [], "the other barrier has not come"
    task.queues[1].add(IN_ITS_TURN)
    while not task.snapshots():
        task.poll()
    (snapshot,) = task.writer.written
    assert ChannelKey(0, 1, 0) not in snapshot.in_flight


def test_a_channel_is_blocked_whose_unaligned_barrier_has_come_too_early() -> None:
    task = Task(in_turn=[1])
    task.queues[0].add(UNALIGNED)
    task.poll()
    task.queues[0].add(ObjectBatch(["after the barrier"]))
    assert task.gate.poll() is None and task.snapshots() == [] and task.checkpoints.next_s() is None
    task.queues[1].add(IN_ITS_TURN)
    task.poll()
    (snapshot,) = task.snapshots()
    assert snapshot.in_flight == {}


def test_a_channel_that_has_ended_is_not_waited_for() -> None:
    task = Task(in_turn=[1])
    task.checkpoints.channel_ended(1)
    task.queues[0].add(ObjectBatch(["overtaken"]))
    task.queues[0].add(UNALIGNED)
    (snapshot,) = task.snapshots()
    assert list(snapshot.in_flight) == [ChannelKey(0, 0, 0)]


def test_barriers_that_all_come_in_their_turn_are_aligned_however_long_that_takes() -> None:
    task = Task(in_turn=[0, 1])
    task.queues[0].add(IN_ITS_TURN)
    task.poll()
    task.queues[1].add(ObjectBatch(["before the barrier"]))
    assert task.snapshots() == [] and task.checkpoints.next_s() is None
    task.queues[1].add(IN_ITS_TURN)
    task.poll()
    task.poll()
    (snapshot,) = task.snapshots()
    assert snapshot.in_flight == {}
