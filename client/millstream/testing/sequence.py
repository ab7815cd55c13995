"""A source whose output is known beforehand: so many records for each key, numbered, and a failure where one is wanted.

What a job makes of it can be compared with what it must be: a number that is missing was lost, one that comes twice was
processed twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from millstream.connectors.rate_limit import RateLimit
from millstream.connectors.split_queue import SplitQueueEnumerator
from millstream.core.api.source import (
    EnumeratorContext,
    PollStatus,
    ReaderContext,
    Source,
    SourceReader,
    SplitBatch,
    SplitEnumerator,
)
from millstream.core.elements.batch import ObjectBatch
from millstream.testing.failures import Failure

SPLITS: Final = 8


class SequenceRecord(NamedTuple):
    """The ``sequence``-th record of ``key``, counted from 0."""

    key: Any
    sequence: int


@dataclass(frozen=True, order=True)
class SequenceSplit:
    """Some keys, taken in turn: record ``position`` is that of key ``position % len(keys)``."""

    number: int
    position: int
    keys: tuple[Any, ...]

    @property
    def split_id(self) -> str:
        return f"sequence-{self.number}"


class SequenceSource(Source[SequenceSplit]):
    """Emits a ``SequenceRecord`` for each key and each number from 0 to ``records_per_key`` (exclusive).

    ``keys``: how many, which are then the ints from 0 on; or the keys themselves. They are dealt out to ``splits``
    splits; the records of a key come in order. ``rows_per_second`` limits all subtasks together. Positions are part of
    checkpoints, so in a job that is exactly-once each record counts once, whatever fails.
    """

    def __init__(
        self,
        keys: int | Iterable[Any],
        records_per_key: int,
        *,
        splits: int = SPLITS,
        rows_per_second: float | None = None,
    ) -> None:
        self.keys: tuple[Any, ...] = tuple(range(keys)) if isinstance(keys, int) else tuple(keys)
        if not self.keys or records_per_key < 1 or splits < 1:
            raise ValueError("SequenceSource needs at least one key, one record for each and one split")
        self.records_per_key = records_per_key
        self.splits = min(splits, len(self.keys))
        self.rows_per_second = rows_per_second
        self.failures: tuple[Failure, ...] = ()

    def fail_at(self, records: int, directory: str | Path, times: int = 1, *, kill: bool = False) -> SequenceSource:
        """This source, but a split that has emitted ``records`` records fails, ``times`` times in all.

        Failures are counted by files in ``directory``, which all processes must see: a job that starts again knows of
        them. ``kill``: the process ends at once, as if it were killed, where otherwise the reader raises.
        """
        largest = -(-len(self.keys) // self.splits) * self.records_per_key
        if not 0 <= records < largest or times < 1:
            raise ValueError(f"fail_at cannot fail {times} times at {records} records: the largest split has {largest}")
        return self._with(Failure(str(directory), kill, records, times))

    def fail_on(self, file: str | Path, *, kill: bool = False) -> SequenceSource:
        """This source, but as soon as ``file`` exists one reader removes it and fails; it may be made again later."""
        return self._with(Failure(str(file), kill))

    def expected(self) -> list[SequenceRecord]:
        """Every record, key by key."""
        return [SequenceRecord(key, number) for key in self.keys for number in range(self.records_per_key)]

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[SequenceSplit]:
        return SplitQueueEnumerator(context, self._splits)

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[SequenceSplit]:
        return SplitQueueEnumerator.restored(context, state)

    def create_reader(self, context: ReaderContext) -> SourceReader[SequenceSplit]:
        return _SequenceReader(self, context)

    def _splits(self, parallelism: int) -> list[SequenceSplit]:
        return [SequenceSplit(number, 0, self.keys[number :: self.splits]) for number in range(self.splits)]

    def _with(self, failure: Failure) -> SequenceSource:
        source = SequenceSource(
            self.keys, self.records_per_key, splits=self.splits, rows_per_second=self.rows_per_second
        )
        source.failures = (*self.failures, failure)
        return source


class _SequenceReader(SourceReader[SequenceSplit]):
    def __init__(self, source: SequenceSource, context: ReaderContext) -> None:
        self._source = source
        self._context = context
        self._splits: deque[SequenceSplit] = deque()
        self._no_more = False
        rate = source.rows_per_second
        self._limit = None if rate is None else RateLimit(rate / context.parallelism, context.clock)

    def poll(self) -> SplitBatch | PollStatus:
        if not self._splits:
            return PollStatus.END_OF_INPUT if self._no_more else PollStatus.SPLIT_WANTED
        split = self._splits[0]
        stop = len(split.keys) * self._source.records_per_key
        for failure in self._source.failures:
            failure.strike(split.split_id, split.position)
            stop = failure.stop(split.position, stop)
        rows_max = self._context.batch_rows_max
        if self._limit is not None:
            rows_max = self._limit.allowed(min(rows_max, stop - split.position))
            if rows_max == 0:
                return PollStatus.NOTHING_NOW
        stop = min(stop, split.position + rows_max)
        keys = split.keys
        records = [SequenceRecord(keys[i % len(keys)], i // len(keys)) for i in range(split.position, stop)]
        finished = stop == len(keys) * self._source.records_per_key
        if finished:
            self._splits.popleft()
        else:
            self._splits[0] = replace(split, position=stop)
        return SplitBatch(ObjectBatch(list[Any](records)), split.split_id, finished)

    def wait_s(self) -> float | None:
        return None if self._limit is None else self._limit.wait_s()

    def add_splits(self, splits: list[SequenceSplit]) -> None:
        self._splits.extend(splits)

    def notify_no_more_splits(self) -> None:
        self._no_more = True

    def snapshot_state(self) -> list[SequenceSplit]:
        return list(self._splits)
