"""The distinct slots of a batch, in order of appearance, and which of them each row has."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from millstream.core.kernels.scatter import order_by_target

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NO_GROUP: Final = -1


@numba.njit(cache=True, nogil=True)
def number_groups(slots: Int64Array, marks: Int64Array, groups: Int64Array, distinct: Int64Array) -> int:
    """Fill ``groups`` (shape of ``slots``) and ``distinct``; how many there are.

    ``marks``, longer than the greatest slot, is all -1 before and after.
    """
    found = 0
    for i in range(len(slots)):
        slot = slots[i]
        group = marks[slot]
        if group < 0:
            group = found
            marks[slot] = group
            distinct[group] = slot
            found += 1
        groups[i] = group
    for group in range(found):
        marks[distinct[group]] = -1
    return found


@numba.njit(cache=True, nogil=True)
def first_rows(groups: Int64Array, valid: BoolArray, rows: Int64Array) -> None:
    """Fill ``rows`` (all -1 before) with the first row of each group for which ``valid``, empty for all, holds."""
    some = len(valid) > 0
    for i in range(len(groups)):
        if (not some or valid[i]) and rows[groups[i]] < 0:
            rows[groups[i]] = i


@numba.njit(cache=True, nogil=True)
def last_rows(groups: Int64Array, valid: BoolArray, rows: Int64Array) -> None:
    """The same with the last row."""
    some = len(valid) > 0
    for i in range(len(groups)):
        if not some or valid[i]:
            rows[groups[i]] = i


class Groups:
    """The rows of a batch by slot."""

    def __init__(self, of_rows: Int64Array, slots: Int64Array) -> None:
        self.of_rows = of_rows
        """The group of each row: 0, 1, 2, ... in order of appearance."""
        self.slots = slots
        """The slot of each group."""

    def __len__(self) -> int:
        return len(self.slots)

    def first(self, valid: BoolArray) -> Int64Array:
        """By group: the first row that is ``valid`` (all are where it is empty); -1 where none is."""
        rows: Int64Array = np.full(len(self), NO_GROUP, np.int64)
        first_rows(self.of_rows, valid, rows)
        return rows

    def last(self, valid: BoolArray) -> Int64Array:
        """By group: the last row that is ``valid``; -1 where none is."""
        rows: Int64Array = np.full(len(self), NO_GROUP, np.int64)
        last_rows(self.of_rows, valid, rows)
        return rows

    def ordered(self) -> tuple[Int64Array, Int64Array]:
        """``(rows, starts)``: the rows of group ``g`` are ``rows[starts[g]:starts[g + 1]]``, in order."""
        order: Int64Array = np.empty(len(self.of_rows), np.int64)
        starts: Int64Array = np.zeros(len(self) + 1, np.int64)
        order_by_target(self.of_rows, starts, order)
        return order, starts


class Grouping:
    """Makes ``Groups``; keeps the marks from one batch to the next."""

    def __init__(self) -> None:
        self._marks: Int64Array = np.full(1024, NO_GROUP, np.int64)

    def of(self, slots: Int64Array) -> Groups:
        """The groups of a batch whose rows have these slots."""
        top = int(slots.max()) + 1 if len(slots) else 0
        if top > len(self._marks):
            self._marks = np.full(max(top, 2 * len(self._marks)), NO_GROUP, np.int64)
        groups: Int64Array = np.empty(len(slots), np.int64)
        distinct: Int64Array = np.empty(len(slots), np.int64)
        found = number_groups(slots, self._marks, groups, distinct)
        return Groups(groups, distinct[:found])
