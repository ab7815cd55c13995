"""How a task takes part in checkpoints: barriers in, snapshots out.

Aligned, a barrier is handled in its turn: ``BarrierAligner`` says which channels have to wait, and when the snapshot is
taken. Unaligned, the first barrier to arrive takes the snapshot at once and goes on to the outputs before everything
that is queued there; the batches that were overtaken, in the inputs until each channel's own barrier and in the
outputs, become part of the snapshot. An aligned barrier with a timeout becomes unaligned when it has been held up so
long.

On pointwise edges nothing is overtaken (``in_turn``): it could go on through another subtask than what follows it, when
a job starts from the checkpoint at another parallelism, and records of a key would lose their order. An unaligned
barrier goes there as an aligned one that may become unaligned again behind it, and the consumer takes its snapshot only
when it has come in all channels of such edges.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from millstream.core.clock import Clock
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import Barrier
from millstream.core.errors import MillstreamError
from millstream.core.failpoints import failpoint
from millstream.taskmanager.checkpointing.alignment import Aligned, BarrierAligner
from millstream.taskmanager.checkpointing.services import CheckpointServices
from millstream.taskmanager.checkpointing.task_snapshot import ChannelKey, TaskSnapshot
from millstream.taskmanager.network.gate import InputGate
from millstream.taskmanager.network.partition import ResultPartition
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.task.context import SubtaskInfo


class SnapshotSource(Protocol):
    """The task."""

    info: SubtaskInfo
    partitions: list[ResultPartition]

    def prepare_snapshot(self, barrier: Barrier) -> None:
        """What fails here ends the task."""
        ...

    def snapshot_operators(self, barrier: Barrier) -> list[tuple[str, OperatorSnapshot]]:
        """Of all operators of the chain."""
        ...

    def pending_batches(self) -> Sequence[tuple[int, int, Batch]]:
        """``(edge, producer, batch)``: taken from the inputs, but not processed."""
        ...

    def has_output(self) -> bool:
        """Whether a barrier may still follow what was emitted."""
        ...

    def records_read(self) -> int:
        """From its inputs or its source, since it was started."""
        ...


class TaskCheckpoints:
    """Of one task; all calls come between two steps. Channels are numbered over all gates."""

    def __init__(
        self,
        task: SnapshotSource,
        gates: list[InputGate],
        services: CheckpointServices,
        clock: Clock,
        on_arrival: Callable[[], None],
    ) -> None:
        self._task = task
        self._services = services
        self._clock = clock
        self._on_arrival = on_arrival
        self._channels = [(gate, number) for gate in gates for number in range(gate.num_channels)]
        self._gates = gates
        self._aligner = BarrierAligner(len(self._channels), services.exactly_once)
        self._ended: set[int] = set()
        self._arrived: deque[tuple[int, Barrier]] = deque()
        self._snapshots: list[TaskSnapshot] = []
        self._writing: list[TaskSnapshot] = []
        self._last_id = 0
        self._hasty_id = 0
        """A checkpoint of which an unaligned barrier had to wait for those that come in their turn."""
        self._in_turn: set[int] = set()
        offset = 0
        for gate in gates:
            self._in_turn |= {offset + number for number in gate.in_turn}
            gate.on_barrier = self._listener(offset)
            offset += gate.num_channels

    # -- what comes in ------------------------------------------------------------------------------------------------

    def trigger(self, barrier: Barrier) -> None:
        """Take the snapshot here: a source, or a task whose inputs have all ended."""
        self._take(barrier, self._clock.monotonic_s())

    def barrier_polled(self, channel: int, barrier: Barrier) -> None:
        """A barrier in its turn."""
        for snapshot in self._snapshots:
            if snapshot.checkpoint_id == barrier.checkpoint_id:
                snapshot.channels_open.discard(channel)
        if barrier.unaligned and barrier.checkpoint_id > self._last_id:
            if self._may_overtake(barrier.checkpoint_id):
                self._overtake(barrier, self._clock.monotonic_s(), came=channel)
                return
            self._hasty_id = barrier.checkpoint_id
        self._align(self._aligner.barrier(channel, barrier, self._clock.monotonic_s()))
        if self._aligner.current is not None:
            failpoint("barrier.blocks")

    def channel_ended(self, channel: int) -> None:
        """Its producer has nothing more: what it brought is before any barrier."""
        self._ended.add(channel)
        for snapshot in self._snapshots:
            snapshot.channels_open.discard(channel)
        self._align(self._aligner.ended(channel))

    def batch_polled(self, channel: int, batch: Batch) -> None:
        """The batch is about to be processed, as part of a snapshot if that waits for the channel's barrier."""
        for snapshot in self._snapshots:
            if channel in snapshot.channels_open:
                snapshot.add(self._key(channel), [batch])

    def aborted(self, checkpoint_id: int) -> None:
        """The checkpoint will not be: wait for no further barrier of it."""
        self._last_id = max(self._last_id, checkpoint_id)
        self._aligner.abort(checkpoint_id)
        for snapshot in [s for s in self._snapshots if s.checkpoint_id <= checkpoint_id]:
            self._snapshots.remove(snapshot)
            snapshot.ended()
        self._align(None)

    # -- time ---------------------------------------------------------------------------------------------------------

    def is_due(self) -> bool:
        """Whether ``run`` has something to do, whatever else the task waits for."""
        if self._arrived:
            return True
        due_s = self.next_s()
        return due_s is not None and due_s <= self._clock.monotonic_s()

    def next_s(self) -> float | None:
        """Monotonic seconds at which an aligned barrier becomes unaligned."""
        due = [snapshot.output_until_s for snapshot in self._snapshots]
        due.append(self._overtakes_from_s())
        return min((time_s for time_s in due if time_s is not None), default=None)

    def _overtakes_from_s(self) -> float | None:
        """When what is being aligned becomes unaligned; None: not before other barriers have come."""
        waiting = self._aligner.current
        if waiting is None or not self._may_overtake(waiting.barrier.checkpoint_id):
            return None
        barrier = waiting.barrier
        if barrier.unaligned or barrier.checkpoint_id == self._hasty_id:
            return waiting.waited_from_s
        return None if barrier.timeout_ms < 0 else waiting.waited_from_s + barrier.timeout_ms / 1000

    def _may_overtake(self, checkpoint_id: int) -> bool:
        """Whether its barrier has come in all channels of which nothing may be overtaken."""
        waiting = self._aligner.current
        is_waiting = waiting is not None and waiting.barrier.checkpoint_id == checkpoint_id
        return self._in_turn <= self._ended | (self._aligner.arrived if is_waiting else frozenset())

    def run(self) -> None:
        """Handle barriers that overtook, and those that have waited long enough."""
        while self._arrived:
            channel, barrier = self._arrived.popleft()
            self._barrier_arrived(channel, barrier)
        now_s = self._clock.monotonic_s()
        for snapshot in self._snapshots:
            if snapshot.output_until_s is not None and snapshot.output_until_s <= now_s:
                self._hurry(snapshot)
        waiting, from_s = self._aligner.current, self._overtakes_from_s()
        if waiting is not None and from_s is not None and from_s <= now_s:
            self._overtake(_unaligned(waiting.barrier), waiting.waited_from_s)

    # -- what goes on beside the task's steps -------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Snapshots are being taken."""
        return bool(self._snapshots)

    @property
    def is_writing(self) -> bool:
        """Snapshots are on their way to the storage: the task must not be over before they have arrived."""
        return bool(self._snapshots or self._writing)

    def advance(self) -> bool:
        """Take a slice of each snapshot, and hand on what is complete. False when there is nothing to do now."""
        busy = False
        for snapshot in list(self._snapshots):
            try:
                busy |= snapshot.advance()
            except MillstreamError as error:
                self._give_up(snapshot, error)
                continue
            checkpoint_id = snapshot.checkpoint_id
            if snapshot.output_until_s is not None and not any(p.holds(checkpoint_id) for p in self._overtakable()):
                snapshot.output_until_s = None
            if snapshot.is_complete():
                self._snapshots.remove(snapshot)
                self._writing.append(snapshot)
                snapshot.on_ended = self._writing.remove
                self._services.write(self._task.info, snapshot)
        return busy

    def close(self) -> None:
        """The task ends."""
        for snapshot in self._snapshots:
            snapshot.ended()
        self._snapshots.clear()

    # -- inner --------------------------------------------------------------------------------------------------------

    def _listener(self, offset: int) -> Callable[[int, Barrier], None]:
        def arrived(number: int, barrier: Barrier) -> None:
            recording = any(
                snapshot.checkpoint_id == barrier.checkpoint_id and offset + number in snapshot.channels_open
                for snapshot in self._snapshots
            )
            if recording or (barrier.unaligned and barrier.checkpoint_id > self._last_id):
                self._arrived.append((offset + number, barrier))
                self._on_arrival()

        return arrived

    def _barrier_arrived(self, channel: int, barrier: Barrier) -> None:
        if barrier.unaligned and barrier.checkpoint_id > self._last_id:
            if self._may_overtake(barrier.checkpoint_id):
                self._overtake(barrier, self._clock.monotonic_s())
            else:
                self._hasty_id = barrier.checkpoint_id
            return
        for snapshot in self._snapshots:
            if snapshot.checkpoint_id == barrier.checkpoint_id and channel in snapshot.channels_open:
                self._record(snapshot, channel)

    def _align(self, aligned: Aligned | None) -> None:
        """Block channels as the aligner says, take the snapshot when it is time."""
        offset = 0
        for gate in self._gates:
            gate.unblock()
            for channel in self._aligner.blocked:
                if offset <= channel < offset + gate.num_channels:
                    gate.block(channel - offset)
            offset += gate.num_channels
        if aligned is not None:
            self._take(aligned.barrier, aligned.waited_from_s)

    def _overtake(self, barrier: Barrier, waited_from_s: float, came: int | None = None) -> None:
        """Take the snapshot now. ``came`` is the channel that has just had its barrier in its turn, if any."""
        failpoint("barrier.overtakes")
        pending = self._task.pending_batches()
        waiting = self._aligner.current
        passed: frozenset[int] = frozenset()  # channels whose barrier was aligned still, and came in its turn
        if waiting is not None and waiting.barrier.checkpoint_id == barrier.checkpoint_id:
            passed = self._aligner.arrived
        self._aligner.abort(barrier.checkpoint_id)
        self._align(None)
        snapshot = self._take(barrier, waited_from_s)
        if snapshot is None:
            return
        index = self._task.info.subtask_index
        snapshot.add_pending((ChannelKey(edge_id, producer, index), batch) for edge_id, producer, batch in pending)
        snapshot.channels_open = set(range(len(self._channels))) - self._ended - passed
        if came is not None:
            snapshot.channels_open.discard(came)
        for channel in list(snapshot.channels_open):
            self._record(snapshot, channel)
        failpoint("barrier.overtaken")

    def _record(self, snapshot: TaskSnapshot, channel: int) -> None:
        """What waits in a channel before its barrier."""
        gate, number = self._channels[channel]
        batches, found = gate.overtaken(number, snapshot.checkpoint_id)
        if found:
            snapshot.add(self._key(channel), batches)
            snapshot.channels_open.discard(channel)

    def _take(self, barrier: Barrier, waited_from_s: float) -> TaskSnapshot | None:
        """Hand the barrier on, then list what the operators have; rows are copied between the next steps."""
        if barrier.checkpoint_id <= self._last_id:
            return None
        self._last_id = barrier.checkpoint_id
        started_s = self._clock.monotonic_s()
        task = self._task
        task.prepare_snapshot(barrier)
        try:
            failpoint("snapshot.list")
            operators = task.snapshot_operators(barrier)
            failpoint("snapshot.listed")
        except MillstreamError as error:
            self._services.decline(task.info, barrier.checkpoint_id, error)
            operators = None
        snapshot = TaskSnapshot(barrier, operators or [], 0.0, started_s - waited_from_s)
        snapshot.records = task.records_read()
        if task.has_output():
            for partition in task.partitions:
                if not barrier.unaligned:
                    partition.broadcast(barrier)
                elif partition.in_turn:
                    partition.broadcast(replace(barrier, unaligned=False, timeout_ms=0))
                else:
                    identity = partition.partition_id
                    snapshot.add_output(identity.edge, identity.producer, partition.overtake(barrier))
            if not barrier.unaligned and barrier.timeout_ms >= 0:
                snapshot.output_until_s = started_s + barrier.timeout_ms / 1000
        failpoint("snapshot.barrier-sent")
        if operators is None:
            return None
        snapshot.sync_s = self._clock.monotonic_s() - started_s
        self._snapshots.append(snapshot)
        return snapshot

    def _hurry(self, snapshot: TaskSnapshot) -> None:
        snapshot.output_until_s = None
        for partition in self._overtakable():
            identity = partition.partition_id
            overtaken = partition.hurry(_unaligned(snapshot.barrier))
            snapshot.add_output(identity.edge, identity.producer, overtaken)

    def _overtakable(self) -> list[ResultPartition]:
        return [partition for partition in self._task.partitions if not partition.in_turn]

    def _give_up(self, snapshot: TaskSnapshot, error: MillstreamError) -> None:
        self._snapshots.remove(snapshot)
        snapshot.ended()
        self._services.decline(self._task.info, snapshot.checkpoint_id, error)

    def _key(self, channel: int) -> ChannelKey:
        gate, number = self._channels[channel]
        edge_id, producer = gate.sources[number]
        return ChannelKey(edge_id, producer, self._task.info.subtask_index)


def _unaligned(barrier: Barrier) -> Barrier:
    return replace(barrier, unaligned=True)
