"""Sorting within segments: the rows of each partition by several columns, without moving rows between partitions."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

_RUN: Final = 16


@numba.njit(cache=True, nogil=True, inline="always")
def _less(codes: Int64Array, left: int, right: int) -> bool:
    for level in range(codes.shape[0]):
        if codes[level, left] != codes[level, right]:
            return bool(codes[level, left] < codes[level, right])
    return False


@numba.njit(cache=True, nogil=True)
def _sort(starts: Int64Array, codes: Int64Array, order: Int64Array, scratch: Int64Array) -> None:
    for segment in range(len(starts) - 1):
        begin, end = starts[segment], starts[segment + 1]
        for i in range(begin, end):
            order[i] = begin + end - 1 - i
        for low in range(begin, end, _RUN):
            for i in range(low + 1, min(low + _RUN, end)):
                row = order[i]
                j = i
                while j > low and _less(codes, row, order[j - 1]):
                    order[j] = order[j - 1]
                    j -= 1
                order[j] = row
        width = _RUN
        while width < end - begin:
            for low in range(begin, end, 2 * width):
                middle, high = min(low + width, end), min(low + 2 * width, end)
                i, j = low, middle
                for k in range(low, high):
                    if i < middle and (j >= high or not _less(codes, order[j], order[i])):
                        scratch[k] = order[i]
                        i += 1
                    else:
                        scratch[k] = order[j]
                        j += 1
                for k in range(low, high):
                    order[k] = scratch[k]
            width *= 2


def sort_segments(starts: Int64Array, codes: list[Int64Array]) -> Int64Array:
    """Positions in order: those of segment ``s``, which is ``starts[s]`` to ``starts[s + 1]``, by ``codes``.

    The last of ``codes`` tells all rows of a segment apart, and is best descending before: entries of ``EntryLists``
    come that way.
    """
    order: Int64Array = np.empty(int(starts[-1]), np.int64)
    _sort(starts, np.stack(codes), order, np.empty_like(order))
    return order
