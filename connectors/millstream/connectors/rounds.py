"""Which rows a subtask of a generator makes: one round of them in so many, side by side with the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
"""Numbers of rows, from 0 over all subtasks."""

UNBOUNDED_ROWS = 2**62


@dataclass(frozen=True, order=True)
class RoundsSplit:
    """Of rounds of ``round_rows`` rows each: rounds ``index``, ``index + of``, ... in order.

    ``next`` and ``stop`` (exclusive) count the rows of the split, not all rows. All splits run side by side, so
    that event time moves on evenly.
    """

    index: int
    of: int
    round_rows: int
    next: int
    stop: int

    @property
    def is_finished(self) -> bool:
        return self.next >= self.stop

    def numbers(self, rows_max: int) -> Numbers:
        """The numbers of the next rows, ascending."""
        places = np.arange(self.next, min(self.next + rows_max, self.stop), dtype=np.int64)
        if self.of == 1:
            return places
        rounds = places // self.round_rows
        return (rounds * (self.of - 1) + self.index) * self.round_rows + places

    def count(self, numbers: Numbers) -> int:
        """How many of ``numbers`` are of this split."""
        return int(np.sum(numbers // self.round_rows % self.of == self.index))

    def after(self, rows: int) -> RoundsSplit:
        """What is left after the next ``rows`` rows."""
        return replace(self, next=self.next + rows)


def rounds_splits(of: int, round_rows: int, rows: int | None) -> list[RoundsSplit]:
    """The ``of`` splits of the first ``rows`` rows; of all numbers for None."""
    splits = []
    for index in range(of):
        stop = UNBOUNDED_ROWS
        if rows is not None:
            rounds, rest = divmod(rows, round_rows)
            stop = len(range(index, rounds, of)) * round_rows + (rest if rounds % of == index else 0)
        splits.append(RoundsSplit(index, of, round_rows, 0, stop))
    return [split for split in splits if not split.is_finished]
