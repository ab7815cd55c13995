"""The partitions of this slot process, and the consumers that came before theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from millstream.core.clock import Clock
from millstream.core.errors import ExternalError, MillstreamError
from millstream.core.ids import ChannelId, PartitionId
from millstream.taskmanager.network.deadlines import Deadline, Deadlines
from millstream.taskmanager.network.partition import ResultPartition


@dataclass
class _Waiting:
    attach: Callable[[ResultPartition], None]
    deadline: Deadline


class PartitionRegistry:
    """Brings each partition together with its consumers, whoever comes first."""

    def __init__(self, clock: Clock, deadlines: Deadlines, wait_s: float, waiting_max: int) -> None:
        self.partitions: dict[PartitionId, ResultPartition] = {}
        self._clock = clock
        self._deadlines = deadlines
        self._wait_s = wait_s
        self._waiting_max = waiting_max
        self._waiting: dict[ChannelId, _Waiting] = {}

    def add(self, partition: ResultPartition) -> None:
        """A partition is there: consumers that wait for it are attached."""
        self.partitions[partition.partition_id] = partition
        for consumer in partition.subpartitions:
            waiting = self._waiting.pop(ChannelId(partition.partition_id, consumer), None)
            if waiting is not None:
                waiting.deadline.cancel()
                waiting.attach(partition)

    def remove(self, partition_id: PartitionId) -> None:
        self.partitions.pop(partition_id, None)

    def request(
        self,
        channel_id: ChannelId,
        attach: Callable[[ResultPartition], None],
        refuse: Callable[[MillstreamError], None],
    ) -> None:
        """Call ``attach`` once the partition is there, or ``refuse`` when it does not come in time or never can."""
        partition = self.partitions.get(channel_id.partition)
        if partition is not None:
            subpartition = partition.subpartitions.get(channel_id.consumer)
            if subpartition is None or subpartition.has_reader:
                why = "has no such consumer" if subpartition is None else "is being read already"
                refuse(ExternalError(f"{channel_id}: the partition {why}"))
            else:
                attach(partition)
            return
        if channel_id in self._waiting or len(self._waiting) >= self._waiting_max:
            refuse(ExternalError(f"{channel_id}: too many consumers wait for partitions of this slot"))
            return

        def give_up() -> None:
            del self._waiting[channel_id]
            refuse(
                ExternalError(
                    f"{channel_id}: the producer was not there within {self._wait_s:g} s; "
                    f"its deployment failed or is slow"
                )
            )

        deadline = self._deadlines.at(self._clock.monotonic_s() + self._wait_s, give_up)
        self._waiting[channel_id] = _Waiting(attach, deadline)

    def __len__(self) -> int:
        return len(self._waiting)
