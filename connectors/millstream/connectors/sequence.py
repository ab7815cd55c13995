"""Sources that make their records: a number sequence, and a generator function over it."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from millstream.connectors.rate_limit import RateLimit
from millstream.connectors.split_queue import SplitQueueEnumerator
from millstream.core.api.source import (
    Boundedness,
    EnumeratorContext,
    PollStatus,
    ReaderContext,
    Source,
    SourceReader,
    SplitBatch,
    SplitEnumerator,
)
from millstream.core.elements.batch import ObjectBatch

UNBOUNDED_END = 2**63 - 2


@dataclass(frozen=True)
class NumberSplit:
    """The numbers ``next`` to ``stop`` (exclusive), ``step`` apart."""

    split_id: str
    next: int
    stop: int
    step: int = 1


class DataGeneratorSource(Source[NumberSplit]):
    """Emits ``function(i)`` for the numbers ``i`` from ``start`` on.

    ``count``: how many; None for an unbounded source. ``rows_per_second`` limits all subtasks together. A bounded
    sequence is cut into contiguous ranges, one a subtask; an unbounded one is dealt out in turn.
    """

    def __init__(
        self,
        function: Callable[[int], Any] | None,
        count: int | None = None,
        rows_per_second: float | None = None,
        start: int = 0,
        type_info: Any = None,
    ) -> None:
        if count is not None and count < 0:
            raise ValueError(f"count must not be negative, not {count}")
        if rows_per_second is not None and rows_per_second <= 0:
            raise ValueError(f"rows_per_second must be positive, not {rows_per_second}")
        self.function = function
        self.start = start
        self.count = count
        self.rows_per_second = rows_per_second
        self.boundedness = Boundedness.CONTINUOUS_UNBOUNDED if count is None else Boundedness.BOUNDED
        self._type_info = type_info

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[NumberSplit]:
        return SplitQueueEnumerator(context, self._splits)

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[NumberSplit]:
        return SplitQueueEnumerator.restored(context, state)

    def create_reader(self, context: ReaderContext) -> SourceReader[NumberSplit]:
        limit = None
        if self.rows_per_second is not None:
            limit = RateLimit(self.rows_per_second / context.parallelism, context.clock)
        return _NumberReader(self.function, limit, context)

    @property
    def produced_type(self) -> Any:
        return self._type_info

    def _splits(self, parallelism: int) -> list[NumberSplit]:
        if self.count is None:
            return [NumberSplit(f"numbers-{i}", self.start + i, UNBOUNDED_END, parallelism) for i in range(parallelism)]
        edges = [self.start + self.count * i // parallelism for i in range(parallelism + 1)]
        return [
            NumberSplit(f"numbers-{i}", low, high)
            for i, (low, high) in enumerate(itertools.pairwise(edges))
            if low < high
        ]


class NumberSequenceSource(DataGeneratorSource):
    """The numbers ``start`` to ``end``, both included, as ints."""

    def __init__(self, start: int, end: int, rows_per_second: float | None = None) -> None:
        if end < start:
            raise ValueError(f"the sequence ends ({end}) before it starts ({start})")
        super().__init__(None, end - start + 1, rows_per_second, start)


class _NumberReader(SourceReader[NumberSplit]):
    def __init__(self, function: Callable[[int], Any] | None, limit: RateLimit | None, context: ReaderContext) -> None:
        self._function = function
        self._limit = limit
        self._context = context
        self._splits: deque[NumberSplit] = deque()
        self._no_more = False

    def poll(self) -> SplitBatch | PollStatus:
        if not self._splits:
            return PollStatus.END_OF_INPUT if self._no_more else PollStatus.SPLIT_WANTED
        rows_max = self._context.batch_rows_max
        if self._limit is not None:
            rows_max = self._limit.allowed(rows_max)
        if rows_max == 0:
            return PollStatus.NOTHING_NOW
        split = self._splits[0]
        stop = min(split.next + rows_max * split.step, split.stop)
        numbers: list[Any] = list(range(split.next, stop, split.step))
        if self._function is not None:
            function = self._function
            numbers = [function(number) for number in numbers]
        finished = stop >= split.stop
        if finished:
            self._splits.popleft()
        else:
            self._splits[0] = replace(split, next=stop)
        return SplitBatch(ObjectBatch(numbers), split.split_id, finished)

    def wait_s(self) -> float | None:
        return None if self._limit is None else self._limit.wait_s()

    def add_splits(self, splits: list[NumberSplit]) -> None:
        self._splits.extend(splits)

    def notify_no_more_splits(self) -> None:
        self._no_more = True

    def snapshot_state(self) -> list[NumberSplit]:
        return list(self._splits)
