"""The best rows of each group of a batch: those that can be among the first so many of all rows of their group."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@numba.njit(cache=True, nogil=True, inline="always")
def _goes_before(codes: Int64Array, row: int, known: int, last_wins: bool) -> bool:
    """Whether ``row`` stands before ``known``, which came earlier."""
    for level in range(codes.shape[0]):
        if codes[level, row] != codes[level, known]:
            return bool(codes[level, row] < codes[level, known])
    return last_wins


@numba.njit(cache=True, nogil=True)
def find_best(groups: Int64Array, count: int, codes: Int64Array, last_wins: bool) -> Int64Array:
    """The first row of each of ``count`` groups by ``codes``, of shape ``(levels, rows)``; no group is without rows.

    Of equal rows that which came first; with ``last_wins`` that which came last.
    """
    best = np.full(count, -1, np.int64)
    for row in range(len(groups)):
        known = best[groups[row]]
        if known < 0 or _goes_before(codes, row, known, last_wins):
            best[groups[row]] = row
    return best


@numba.njit(cache=True, nogil=True)
def mark_best(groups: Int64Array, counts: Int64Array, codes: Int64Array, most: int, last_wins: bool) -> BoolArray:
    """Which rows are among the ``most`` first ones of their group by ``codes``, of shape ``(levels, rows)``.

    ``counts``: how many rows each group has. Of equal rows those that came first are kept; with ``last_wins`` those
    that came last.
    """
    starts = np.zeros(len(counts), np.int64)
    room = 0
    for group in range(len(counts)):
        if counts[group] > most:  # the others are kept whole
            starts[group] = room
            room += most
    best = np.empty(room, np.int64)
    filled = np.zeros(len(counts), np.int64)
    kept = np.zeros(len(groups), np.bool_)
    for row in range(len(groups)):
        group = groups[row]
        if counts[group] <= most:
            kept[row] = True
            continue
        first = starts[group]
        place = first + filled[group]
        if filled[group] == most:
            place -= 1
            if not _goes_before(codes, row, best[place], last_wins):
                continue
        else:
            filled[group] += 1
        while place > first and _goes_before(codes, row, best[place - 1], last_wins):
            best[place] = best[place - 1]
            place -= 1
        best[place] = row
    for place in range(room):
        kept[best[place]] = True
    return kept
