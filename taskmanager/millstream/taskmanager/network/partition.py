"""What one subtask writes to one job edge: a partitioner and a queue for each consumer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from millstream.core.clock import Clock
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import Barrier, Control, EndOfData
from millstream.core.errors import ExternalError, MillstreamError, invariant
from millstream.core.ids import PartitionId
from millstream.taskmanager.network.partitioners import Partitioner
from millstream.taskmanager.network.sending import SendingChannel
from millstream.taskmanager.network.subpartition import Subpartition


@dataclass(frozen=True)
class PartitionStatistics:
    """Cumulative ``*_out`` (to other processes only), current ``queued_*`` and ``credits``."""

    bytes_out: int
    buffers_out: int
    queued_buffers: int
    queued_bytes: int
    credits: int


class ResultPartition:
    """Written by its task, read by local gates and by sending channels. ``is_available`` is the back-pressure.

    Rows for consumers in other processes are held back until they fill a segment, the task calls ``flush`` because it
    has nothing else to do, or ``flush_deadline`` passes.
    """

    def __init__(
        self,
        partition_id: PartitionId,
        partitioner: Partitioner,
        consumers: list[int],
        *,
        queue_bytes_max: int,
        segment_bytes: int,
        buffer_timeout_ms: int,
        generic_types: bool,
        clock: Clock,
        on_holding: Callable[[ResultPartition], None] = lambda partition: None,
        in_turn: bool = False,
    ) -> None:
        """``in_turn``: barriers must not overtake here."""
        self.partition_id = partition_id
        self.in_turn = in_turn
        self.generic_types = generic_types
        self.subpartitions = {consumer: Subpartition(queue_bytes_max, segment_bytes) for consumer in consumers}
        self.failure: MillstreamError | None = None
        """Data cannot reach a consumer; the task raises it at its next step."""
        self._order = [self.subpartitions[consumer] for consumer in consumers]
        self._channels: list[SendingChannel | None] = [None] * len(consumers)
        self._positions = {consumer: position for position, consumer in enumerate(consumers)}
        self._remote: list[SendingChannel] = []
        self._full: set[Subpartition] = set()
        self._partitioner = partitioner
        self._buffer_timeout_s = buffer_timeout_ms / 1000
        self._clock = clock
        self._on_holding = on_holding
        self._holding_since_s: float | None = None
        self._finished = False

    # -- readers ------------------------------------------------------------------------------------------------

    def attach(self, consumer: int, channel: SendingChannel) -> None:
        """A consumer in another process has opened its channel."""
        self._channels[self._positions[consumer]] = channel
        self._remote.append(channel)
        channel.pump(flush=True)  # what waits has waited for its reader; the task may have nothing more to add

    def fail(self, failure: MillstreamError) -> None:
        """A reader could not go on; the first failure wins."""
        self.failure = self.failure or failure

    # -- the task's side ----------------------------------------------------------------------------------------

    def emit(self, batch: Batch) -> None:
        """Partition the batch and queue its parts; never blocks, so ``is_available`` should have been asked.

        Raises ``UserCodeError`` when a key selector or a custom partitioner does.
        """
        invariant(not self._finished, f"{self.partition_id} got a batch after its end")
        if not batch.num_rows:
            return
        pumped = False
        for position, part in self._partitioner.route(batch):
            subpartition = self._order[position]
            subpartition.add(part)
            pumped |= self._added(subpartition, self._channels[position])
        if pumped:
            self._flush_connections()

    def broadcast(self, control: Control) -> None:
        """To every consumer, behind what is queued."""
        for subpartition, channel in zip(self._order, self._channels, strict=True):
            subpartition.add(control)
            self._added(subpartition, channel)
        self._flush_connections()

    def overtake(self, barrier: Barrier) -> dict[int, list[Batch]]:
        """Send a barrier before everything that is queued, which is returned by consumer."""
        overtaken: dict[int, list[Batch]] = {}
        for consumer in self.subpartitions:
            overtaken[consumer] = self.subpartitions[consumer].batches()
            self._put_first(consumer, barrier)
        self._flush_connections()
        return overtaken

    def hurry(self, barrier: Barrier) -> dict[int, list[Batch]]:
        """Let a barrier that waits in its place overtake what is before it, which is returned by consumer."""
        overtaken: dict[int, list[Batch]] = {}
        for consumer, subpartition in self.subpartitions.items():
            waiting = subpartition.barrier(barrier.checkpoint_id)
            if waiting is not None:
                overtaken[consumer] = subpartition.batches(waiting)
                subpartition.remove(waiting)
                self._put_first(consumer, barrier)
        self._flush_connections()
        return overtaken

    def holds(self, checkpoint_id: int) -> bool:
        """Whether the barrier of a checkpoint waits in a queue."""
        return any(subpartition.barrier(checkpoint_id) is not None for subpartition in self._order)

    def _put_first(self, consumer: int, barrier: Barrier) -> None:
        channel = self._channels[self._positions[consumer]]
        if channel is None:
            self.subpartitions[consumer].add_first(barrier)
        elif not self.subpartitions[consumer].drained:
            channel.overtake(barrier)

    def finish(self) -> None:
        """No batch follows. Idempotent."""
        if not self._finished:
            self._finished = True
            self.broadcast(EndOfData())
            self.flush()

    def is_available(self) -> bool:
        """Whether there is room for another batch whoever it is for."""
        full = self._full
        while full:
            some = next(iter(full))
            if some.is_full():
                return False
            full.discard(some)
        return True

    def is_drained(self) -> bool:
        """Whether every consumer took the end of the data, or said that it wants no more."""
        return all(subpartition.drained for subpartition in self._order)

    def flush(self) -> None:
        """Send small batches too, as far as credit goes and, where it does not, as soon as it comes."""
        self._holding_since_s = None
        for channel in self._remote:
            channel.pump(flush=True)
        self._flush_connections()

    def flush_deadline(self) -> float | None:
        """Monotonic seconds at which rows will have been held back for the buffer timeout; None when none are."""
        if self._holding_since_s is None or self._buffer_timeout_s < 0:
            return None
        return self._holding_since_s + self._buffer_timeout_s

    def release(self) -> None:
        """The task has ended: consumers that have not got everything are told."""
        failure = ExternalError(f"the producer of {self.partition_id} ended before its data was taken")
        for subpartition in self._order:
            subpartition.fail(failure)
            subpartition.drain()
        self._holding_since_s = None

    def statistics(self) -> PartitionStatistics:
        return PartitionStatistics(
            bytes_out=sum(channel.bytes_out for channel in self._remote),
            buffers_out=sum(channel.buffers_out for channel in self._remote),
            queued_buffers=sum(s.backlog() for s in self._order) + sum(c.unsent_frames for c in self._remote),
            queued_bytes=sum(s.queued_bytes for s in self._order),
            credits=sum(channel.credit.available for channel in self._remote),
        )

    # -- inner --------------------------------------------------------------------------------------------------

    def _added(self, subpartition: Subpartition, channel: SendingChannel | None) -> bool:
        """Queue frames if it is time; whether there may be some for the connection."""
        pumped = False
        if channel is not None:
            if subpartition.is_worth_sending():
                channel.pump()
                pumped = True
            if self._holding_since_s is None and subpartition.queued_elements:
                self._hold()
        if subpartition.is_full():
            self._full.add(subpartition)
        return pumped

    def _flush_connections(self) -> None:
        for channel in self._remote:
            channel.flush_connection()

    def _hold(self) -> None:
        self._holding_since_s = self._clock.monotonic_s()
        if self._buffer_timeout_s == 0:
            self.flush()
        elif self._buffer_timeout_s > 0:
            self._on_holding(self)
