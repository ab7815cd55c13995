"""Merging of intervals that touch: sessions."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def number_merged(owners: Int64Array, starts: Int64Array, ends: Int64Array, merged: Int64Array) -> int:
    """Fill ``merged`` with the number of the union each interval falls into; how many unions there are.

    Intervals are sorted by owner, then by start. Those of one owner that overlap or touch (one starts where another
    ends) are one union; unions are numbered in order.
    """
    count = 0
    reach = 0
    for i in range(len(owners)):
        if i == 0 or owners[i] != owners[i - 1] or starts[i] > reach:
            count += 1
            reach = ends[i]
        elif ends[i] > reach:
            reach = ends[i]
        merged[i] = count - 1
    return count
