"""The reader of sources that make Arrow rows from their numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.connectors.rate_limit import RateLimit
from millstream.connectors.rounds import Numbers, RoundsSplit
from millstream.core.api.source import PollStatus, ReaderContext, SourceReader, SplitBatch
from millstream.core.elements.batch import ArrowBatch


class GeneratorReader(SourceReader[RoundsSplit]):
    """Emits ``make(numbers)``. Several splits (after a rescaling) are read as one, in the order of their numbers.

    ``rows_per_second`` limits all subtasks together. ``rows_max`` bounds batches of wide rows.
    """

    def __init__(
        self,
        split_id: str,
        context: ReaderContext,
        make: Callable[[Numbers], pa.RecordBatch],
        rows_per_second: float | None = None,
        rows_max: int = 2**31,
    ) -> None:
        self._split_id = split_id
        self._context = context
        self._make = make
        self._rows_max = rows_max
        self._rows_per_second = rows_per_second
        self._limit: RateLimit | None = None
        self._wanted: Callable[[Numbers], npt.NDArray[np.bool_]] | None = None
        self._of = self._chosen = 1
        self._splits: list[RoundsSplit] = []
        self._no_more = False

    def choose(self, wanted: Callable[[Numbers], npt.NDArray[np.bool_]], of: int, chosen: int) -> None:
        """Make only the rows that ``wanted`` says: ``chosen`` ``of`` so many. The rate counts the others too."""
        self._wanted = wanted
        self._of, self._chosen = of, chosen

    def poll(self) -> SplitBatch | PollStatus:
        if not self._splits:
            return PollStatus.END_OF_INPUT if self._no_more else PollStatus.SPLIT_WANTED
        rows_max = min(self._context.column_rows_max, self._rows_max)
        if self._limit is None:
            numbers_max = rows_max if self._chosen == 0 else -(-rows_max // self._chosen) * self._of
        else:
            rows_max = numbers_max = self._limit.allowed(rows_max)
            if rows_max == 0:
                return PollStatus.NOTHING_NOW
        numbers = self._next_numbers(numbers_max, rows_max)
        if len(numbers) == 0 and self._splits:
            return PollStatus.NOTHING_NOW
        return SplitBatch(ArrowBatch(self._make(numbers)), self._split_id, not self._splits)

    def wait_s(self) -> float | None:
        return 0.0 if self._limit is None else self._limit.wait_s()

    def add_splits(self, splits: list[RoundsSplit]) -> None:
        """The rate is shared by splits, not by subtasks: after a rescaling some may have none."""
        self._splits.extend(split for split in splits if not split.is_finished)
        if self._rows_per_second is not None and self._splits:
            share = sum(1 / split.of for split in self._splits)
            self._limit = RateLimit(self._rows_per_second * share, self._context.clock)

    def notify_no_more_splits(self) -> None:
        self._no_more = True

    def snapshot_state(self) -> list[RoundsSplit]:
        return list(self._splits)

    def _next_numbers(self, numbers_max: int, rows_max: int) -> Numbers:
        """At most ``rows_max`` wanted numbers among the next ``numbers_max``; moves the splits on."""
        numbers = self._splits[0].numbers(numbers_max) if len(self._splits) == 1 else self._merged(numbers_max)
        if self._wanted is None:
            self._move_on(numbers)
            return numbers
        found = np.flatnonzero(self._wanted(numbers))
        if len(found) > rows_max:
            numbers, found = numbers[: found[rows_max]], found[:rows_max]
        self._move_on(numbers)
        return numbers[found]

    def _merged(self, numbers_max: int) -> Numbers:
        """The next numbers of all splits, up to where the first of them that goes on has been asked for no more."""
        share = max(1, numbers_max // len(self._splits))
        parts = [split.numbers(share) for split in self._splits]
        going_on = [i for i, split in enumerate(self._splits) if not split.after(share).is_finished]
        numbers = np.sort(np.concatenate(parts))
        if going_on:
            numbers = numbers[: np.searchsorted(numbers, min(parts[i][-1] for i in going_on), side="right")]
        return numbers[:numbers_max]

    def _move_on(self, numbers: Numbers) -> None:
        if len(self._splits) == 1:
            moved = [self._splits[0].after(len(numbers))]
        else:
            moved = [split.after(split.count(numbers)) for split in self._splits]
        self._splits = [split for split in moved if not split.is_finished]
