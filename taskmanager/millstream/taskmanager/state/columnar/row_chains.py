"""The chains of a row table (``kernels/chains.py``) in arrays that grow."""

from __future__ import annotations

from typing import Final

import numpy as np

from millstream.core.errors import invariant
from millstream.core.kernels import chains
from millstream.core.kernels.chains import Int32Array
from millstream.core.kernels.slot_index import Int64Array

_NONE: Int32Array = np.empty(0, np.int32)
_SLOTS_MAX: Final = np.iinfo(np.int32).max


class RowChains:
    """Rows by group; both are slots of the owner's."""

    def __init__(self) -> None:
        self._heads, self._tails, self._counts = _NONE, _NONE, _NONE
        self._nexts, self._previous, self._group_of = _NONE, _NONE, _NONE

    def counts_of(self, groups: Int64Array) -> Int64Array:
        """The number of rows of each group."""
        return self._counts[groups].astype(np.int64)

    def groups_of(self, rows: Int64Array) -> Int64Array:
        """The group in whose chain each row is."""
        return self._group_of[rows].astype(np.int64)

    def note_groups(self, rows: Int64Array, groups: Int64Array) -> None:
        """Of rows that are to be appended later, for ``groups_of``."""
        self._group_of[rows] = groups

    def reserve(self, groups: int, rows: int) -> None:
        invariant(max(groups, rows) <= _SLOTS_MAX, f"{rows} rows of {groups} keys are too many for one subtask")
        if groups > len(self._heads):
            groups = max(groups, 2 * len(self._heads))
            self._heads, self._tails = _grown(self._heads, groups, -1), _grown(self._tails, groups, -1)
            self._counts = _grown(self._counts, groups, 0)
        if rows > len(self._nexts):
            rows = max(rows, 2 * len(self._nexts))
            self._nexts, self._previous = _grown(self._nexts, rows, -1), _grown(self._previous, rows, -1)
            self._group_of = _grown(self._group_of, rows, -1)

    def append(self, groups: Int64Array, rows: Int64Array) -> None:
        """Row ``rows[i]``, which is in no chain, becomes the last of ``groups[i]``."""
        chains.append_rows(
            groups,
            rows,
            self._heads,
            self._tails,
            self._counts,
            self._nexts,
            self._previous,
            self._group_of,
        )

    def unlink(self, rows: Int64Array) -> Int64Array:
        """Take distinct rows out; the groups that have none any more."""
        emptied: Int64Array = np.empty(len(rows), np.int64)
        found = chains.unlink_rows(
            rows, self._heads, self._tails, self._counts, self._nexts, self._previous, self._group_of, emptied
        )
        return emptied[:found]

    def rows_of(self, groups: Int64Array) -> tuple[Int64Array, Int64Array]:
        """``(positions in groups, rows)`` of all rows of ``groups``, of which -1 has none."""
        total = chains.count_rows(groups, self._counts)
        positions: Int64Array = np.empty(total, np.int64)
        rows: Int64Array = np.empty(total, np.int64)
        chains.list_rows(groups, self._heads, self._nexts, positions, rows)
        return positions, rows

    def one_of_each(self, groups: Int64Array) -> Int64Array:
        """A row of each group, another one for each time it stands in ``groups``; -1 when there are no more."""
        rows: Int64Array = np.empty(len(groups), np.int64)
        chains.take_each_once(groups, self._heads, self._nexts, np.empty(len(self._heads), np.int64), rows)
        return rows

    def estimated_bytes(self) -> int:
        return 3 * self._heads.nbytes + 3 * self._nexts.nbytes


def _grown(array: Int32Array, room: int, fill: int) -> Int32Array:
    larger: Int32Array = np.empty(room, np.int32)
    larger[: len(array)] = array
    larger[len(array) :] = fill
    return larger
