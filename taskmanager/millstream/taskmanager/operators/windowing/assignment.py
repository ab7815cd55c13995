"""Which windows of a time grid the rows of a batch belong to, computed for the whole batch at once.

A grid has windows of ``size_ms`` starting every ``slide_ms``. For tumbling windows there is one window a row; sliding
windows yield ``ceil(size / slide)`` candidates a row, of which those that contain the row's time remain. The result is
a list of (window start, row numbers), the rows of each window in order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Starts = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class TimeGrid:
    """Windows ``[offset + i * slide, offset + i * slide + size)`` for all integers i; milliseconds."""

    size_ms: int
    slide_ms: int
    offset_ms: int

    @property
    def has_gaps(self) -> bool:
        """True when some times are in no window."""
        return self.slide_ms > self.size_ms

    def last_starts(self, times: Starts) -> Starts:
        """Start of the latest window that may contain each time."""
        return times - (times - self.offset_ms) % self.slide_ms

    def pairs(self, times: Starts) -> tuple[Starts, Rows]:
        """All (window start, row) pairs, by row, the latest window of a row first."""
        last = self.last_starts(times)
        rows = np.arange(len(times), dtype=np.intp)
        if self.slide_ms == self.size_ms:
            return last, rows
        steps = -(-self.size_ms // self.slide_ms)
        starts = last[:, None] - np.arange(steps, dtype=np.int64)[None, :] * self.slide_ms
        inside = starts > (times - self.size_ms)[:, None]
        return starts[inside], np.broadcast_to(rows[:, None], starts.shape)[inside]


def by_window(starts: Starts, rows: Rows) -> list[tuple[int, Rows]]:
    """Pairs grouped by window start, ascending; within a window the rows keep their order."""
    if len(starts) == 0:
        return []
    first = int(starts[0])
    if (starts == first).all():
        return [(first, rows)]
    order = np.argsort(starts, kind="stable")
    starts, rows = starts[order], rows[order]
    cuts = np.flatnonzero(np.diff(starts)) + 1
    edges = [0, *cuts.tolist(), len(starts)]
    return [(int(starts[a]), rows[a:b]) for a, b in pairwise(edges)]
