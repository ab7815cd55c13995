"""The state of one task as of one barrier, from the barrier until it can be written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from millstream.core.elements.batch import Batch
from millstream.core.elements.control import Barrier
from millstream.taskmanager.operators.snapshots import OperatorSnapshot


class ChannelKey(NamedTuple):
    """Batches on their way: the edge, its producer's and its consumer's index."""

    edge_id: int
    producer: int
    consumer: int


class TaskSnapshot:
    """Complete when the rows of all operators are taken, and all that the barrier overtakes is known."""

    def __init__(
        self, barrier: Barrier, operators: Sequence[tuple[str, OperatorSnapshot]], sync_s: float, alignment_s: float
    ) -> None:
        self.barrier = barrier
        self.operators = operators
        self.sync_s = sync_s
        self.alignment_s = alignment_s
        self.records = 0
        """That the task has read since it was started."""
        self.in_flight: dict[ChannelKey, list[Batch]] = {}
        self.pending: list[tuple[ChannelKey, list[Batch]]] = []
        """Older than ``in_flight``, in their order over all channels: after another parallelism was restored, the
        records of a key may have come from several producers, whose numbers may be those of others now.
        """
        self.channels_open: set[int] = set()
        """Channels whose barrier has not come yet: what they bring belongs to the snapshot."""
        self.output_until_s: float | None = None
        """While barriers wait in output queues in their turn: when they overtake what is before them."""
        self.on_ended: Callable[[TaskSnapshot], None] = lambda snapshot: None
        self._left = [snapshot.capture for _, snapshot in operators if snapshot.capture is not None]

    @property
    def checkpoint_id(self) -> int:
        return self.barrier.checkpoint_id

    def add(self, key: ChannelKey, batches: Sequence[Batch]) -> None:
        """These were overtaken."""
        if batches:
            self.in_flight.setdefault(key, []).extend(batches)

    def add_pending(self, pending: Iterable[tuple[ChannelKey, Batch]]) -> None:
        """These wait in the task itself; before anything is added that waits in its inputs."""
        runs = [(key, [batch for _, batch in run]) for key, run in groupby(pending, key=itemgetter(0))]
        self.pending += runs[:-1]
        for key, batches in runs[-1:]:  # what follows in the same channel may join these
            self.add(key, batches)

    def flights(self) -> list[tuple[ChannelKey, list[Batch]]]:
        """All that is on its way, in the order in which it has to be processed."""
        return [*self.pending, *self.in_flight.items()]

    def add_output(self, edge_id: int, producer: int, overtaken: Mapping[int, Sequence[Batch]]) -> None:
        for consumer, batches in overtaken.items():
            self.add(ChannelKey(edge_id, producer, consumer), batches)

    def advance(self) -> bool:
        """Take the next slice of rows; False when all are taken. Raises ``CheckpointError``."""
        while self._left:
            if self._left[0].advance():
                return True
            self._left.pop(0)
        return False

    def is_complete(self) -> bool:
        return not self._left and not self.channels_open and self.output_until_s is None

    def ended(self) -> None:
        """Written, or given up."""
        self._left.clear()
        self.on_ended(self)
        for _, snapshot in self.operators:
            if snapshot.capture is not None:
                snapshot.capture.ended()
