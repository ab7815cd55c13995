"""Rows in chains, one chain a group: appended, listed and unlinked by row number.

By group: ``heads`` and ``tails``, the first and last row or -1, and ``counts``. By row: ``nexts`` and ``previous``, the
neighbours or -1, and ``group_of``. A chain is in the order in which its rows were appended. These arrays have 32 bits a
row: they are what a row takes in memory when its columns are on disk.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]


@numba.njit(cache=True, nogil=True)
def append_rows(
    groups: Int64Array,
    rows: Int64Array,
    heads: Int32Array,
    tails: Int32Array,
    counts: Int32Array,
    nexts: Int32Array,
    previous: Int32Array,
    group_of: Int32Array,
) -> None:
    """Row ``rows[i]``, which is in no chain, becomes the last of the chain of ``groups[i]``."""
    for i in range(len(rows)):
        group, row = groups[i], rows[i]
        tail = tails[group]
        if tail < 0:
            heads[group] = row
        else:
            nexts[tail] = row
        previous[row] = tail
        nexts[row] = -1
        tails[group] = row
        group_of[row] = group
        counts[group] += 1


@numba.njit(cache=True, nogil=True)
def unlink_rows(
    rows: Int64Array,
    heads: Int32Array,
    tails: Int32Array,
    counts: Int32Array,
    nexts: Int32Array,
    previous: Int32Array,
    group_of: Int32Array,
    emptied: Int64Array,
) -> int:
    """Take distinct rows out of their chains; ``emptied`` receives the groups without rows now; returns how many."""
    found = 0
    for i in range(len(rows)):
        row = rows[i]
        group = group_of[row]
        before, after = previous[row], nexts[row]
        if before < 0:
            heads[group] = after
        else:
            nexts[before] = after
        if after < 0:
            tails[group] = before
        else:
            previous[after] = before
        counts[group] -= 1
        if counts[group] == 0:
            emptied[found] = group
            found += 1
    return found


@numba.njit(cache=True, nogil=True)
def count_rows(groups: Int64Array, counts: Int32Array) -> int:
    """The rows of all ``groups`` together; -1 is a group without rows."""
    total = 0
    for i in range(len(groups)):
        if groups[i] >= 0:
            total += counts[groups[i]]
    return total


@numba.njit(cache=True, nogil=True)
def list_rows(
    groups: Int64Array, heads: Int32Array, nexts: Int32Array, positions: Int64Array, rows: Int64Array
) -> None:
    """Fill ``rows`` with the rows of ``groups[0]``, ``groups[1]``, ... and ``positions`` with 0, 1, ... beside them."""
    at = 0
    for i in range(len(groups)):
        if groups[i] < 0:
            continue
        row = heads[groups[i]]
        while row >= 0:
            positions[at] = i
            rows[at] = row
            at += 1
            row = nexts[row]


@numba.njit(cache=True, nogil=True)
def take_each_once(
    groups: Int64Array, heads: Int32Array, nexts: Int32Array, cursors: Int64Array, rows: Int64Array
) -> None:
    """Fill ``rows`` with one row of each group, a different one for each time the group stands there; -1 when none is
    left. ``cursors`` has room for all groups.
    """
    for i in range(len(groups)):
        if groups[i] >= 0:
            cursors[groups[i]] = heads[groups[i]]
    for i in range(len(groups)):
        rows[i] = -1
        if groups[i] >= 0:
            row = cursors[groups[i]]
            if row >= 0:
                rows[i] = row
                cursors[groups[i]] = nexts[row]
