"""What one subtask writes to one job edge: a partitioner and a queue for each consumer."""

from __future__ import annotations

from dataclasses import dataclass

from millstream.core.clock import Clock
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import Control, EndOfData
from millstream.core.ids import PartitionId
from millstream.taskmanager.network.partitioners import Partitioner
from millstream.taskmanager.network.subpartition import Subpartition


@dataclass(frozen=True)
class PartitionStatistics:
    """Cumulative ``*_out``, current ``queued_*`` and ``credits``."""

    bytes_out: int
    buffers_out: int
    queued_buffers: int
    queued_bytes: int
    credits: int


class RemoteReader:
    """What a partition needs to know of a consumer in another process; implemented by ``SendingChannel``."""

    bytes_out: int = 0
    buffers_out: int = 0
    credit: int = 0
    unsent_frames: int = 0

    def pump(self, flush: bool) -> None:
        """Send what credit allows; small batches only when ``flush``."""

    def fail(self, reason: str) -> None:
        """Tell the consumer that no more comes."""


class ResultPartition:
    """Written by its task, read by local gates and by sending channels. ``is_available`` is the back-pressure."""

    def __init__(
        self,
        partition_id: PartitionId,
        partitioner: Partitioner,
        consumers: list[int],
        queue_bytes_max: int,
        merge_bytes: int,
        buffer_timeout_s: float,
        generic_types: bool,
        clock: Clock,
    ) -> None:
        self.partition_id = partition_id
        self.generic_types = generic_types
        self.subpartitions = {consumer: Subpartition(queue_bytes_max, merge_bytes) for consumer in consumers}
        self.readers: dict[int, RemoteReader] = {}
        """Remote consumers that have opened their channel, by subtask index."""
        self._order = [self.subpartitions[consumer] for consumer in consumers]
        self._consumers = consumers
        self._partitioner = partitioner
        self._buffer_timeout_s = buffer_timeout_s
        self._clock = clock
        self.failure: Exception | None = None
        """A record could not be encoded for a remote consumer; the task raises it at its next step."""

    def emit(self, batch: Batch) -> None:
        """Partition the batch and queue its parts; never blocks, so ``is_available`` should have been asked."""
        now_s = self._clock.monotonic_s()
        for position, part in self._partitioner.route(batch):
            self._order[position].add(part, now_s)
            reader = self.readers.get(self._consumers[position])
            if reader is not None:
                reader.pump(flush=False)

    def broadcast(self, control: Control) -> None:
        """To every consumer, behind what is queued."""
        now_s = self._clock.monotonic_s()
        for subpartition in self._order:
            subpartition.add(control, now_s)
        for reader in self.readers.values():
            reader.pump(flush=False)

    def finish(self) -> None:
        """No batch follows."""
        self.broadcast(EndOfData())
        self.flush()

    def is_available(self) -> bool:
        """Whether there is room for another batch whoever it is for."""
        return not any(subpartition.is_full() for subpartition in self._order)

    def is_drained(self) -> bool:
        """Whether every consumer took the end of the data."""
        return all(subpartition.is_drained() for subpartition in self._order)

    def fail(self, failure: Exception) -> None:
        """A reader could not go on; the task learns of it at its next question."""
        self.failure = self.failure or failure

    def flush(self) -> None:
        """Send small batches too, as far as credit goes."""
        for reader in self.readers.values():
            reader.pump(flush=True)

    def flush_deadline(self) -> float | None:
        """Monotonic seconds at which the oldest queued element has waited for the buffer timeout."""
        oldest = [
            since for consumer in self.readers if (since := self.subpartitions[consumer].queued_since_s) is not None
        ]
        return min(oldest) + self._buffer_timeout_s if oldest else None

    def statistics(self) -> PartitionStatistics:
        readers = self.readers.values()
        return PartitionStatistics(
            bytes_out=sum(reader.bytes_out for reader in readers),
            buffers_out=sum(reader.buffers_out for reader in readers),
            queued_buffers=sum(s.queued_elements for s in self._order) + sum(r.unsent_frames for r in readers),
            queued_bytes=sum(s.queued_bytes for s in self._order),
            credits=sum(reader.credit for reader in readers),
        )
