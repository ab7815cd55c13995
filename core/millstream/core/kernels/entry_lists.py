"""Entries (slots of one table) that belong to owners (slots of another), as doubly linked lists in arrays.

All entries of some owners are found in time proportional to their number, and an entry leaves in constant time. The
arrays have 32 bits an entry: they are what an entry takes in memory when its columns are on disk.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from millstream.core.errors import invariant
from millstream.core.kernels.chains import list_rows

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]

NONE: Final = -1
_SLOTS_MAX: Final = np.iinfo(np.int32).max


@numba.njit(cache=True, nogil=True)
def _link(
    entries: Int64Array, owners: Int64Array, heads: Int32Array, nexts: Int32Array, befores: Int32Array, of: Int32Array
) -> None:
    for i in range(len(entries)):
        entry, owner = entries[i], owners[i]
        head = heads[owner]
        nexts[entry] = head
        befores[entry] = -1
        if head >= 0:
            befores[head] = entry
        heads[owner] = entry
        of[entry] = owner


@numba.njit(cache=True, nogil=True)
def _unlink(entries: Int64Array, heads: Int32Array, nexts: Int32Array, befores: Int32Array, of: Int32Array) -> None:
    for i in range(len(entries)):
        entry = entries[i]
        owner = of[entry]
        if owner < 0:
            continue
        after, before = nexts[entry], befores[entry]
        if before >= 0:
            nexts[before] = after
        else:
            heads[owner] = after
        if after >= 0:
            befores[after] = before
        of[entry] = -1


@numba.njit(cache=True, nogil=True)
def _count(owners: Int64Array, heads: Int32Array, nexts: Int32Array, starts: Int64Array) -> None:
    total = 0
    for i in range(len(owners)):
        starts[i] = total
        entry = heads[owners[i]]
        while entry >= 0:
            total += 1
            entry = nexts[entry]
    starts[len(owners)] = total


class EntryLists:
    """Which entries belong to which owner. Not saved: rebuilt from both tables after a restore."""

    def __init__(self) -> None:
        self._heads: Int32Array = np.full(1024, NONE, np.int32)
        self._nexts: Int32Array = np.full(1024, NONE, np.int32)
        self._befores: Int32Array = np.full(1024, NONE, np.int32)
        self._owners: Int32Array = np.full(1024, NONE, np.int32)

    def owners_of(self, entries: Int64Array) -> Int64Array:
        """The owner of each entry, -1 for what is none."""
        return self._owners[entries].astype(np.int64)

    def link(self, entries: Int64Array, owners: Int64Array) -> None:
        """New entries, each once."""
        if not len(entries):
            return
        self._reserve(int(entries.max()) + 1, int(owners.max()) + 1)
        _link(entries, owners, self._heads, self._nexts, self._befores, self._owners)

    def unlink(self, entries: Int64Array) -> None:
        """Entries that are no more; what is none does no harm."""
        if len(entries):
            self._reserve(int(entries.max()) + 1, 0)
            _unlink(entries, self._heads, self._nexts, self._befores, self._owners)

    def of(self, owners: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
        """``(entries, positions in owners, starts)``: those of ``owners[i]`` are ``entries[starts[i]:starts[i + 1]]``,
        the newest first."""
        if len(owners):
            self._reserve(0, int(owners.max()) + 1)
        starts: Int64Array = np.zeros(len(owners) + 1, np.int64)
        _count(owners, self._heads, self._nexts, starts)
        entries: Int64Array = np.empty(int(starts[-1]), np.int64)
        positions: Int64Array = np.empty(len(entries), np.int64)
        list_rows(owners, self._heads, self._nexts, positions, entries)
        return entries, positions, starts

    def clear(self) -> None:
        """Forget everything."""
        for array in (self._heads, self._nexts, self._befores, self._owners):
            array[:] = NONE

    def _reserve(self, entries: int, owners: int) -> None:
        self._heads = _grown(self._heads, owners)
        if entries > len(self._owners):
            self._nexts, self._befores, self._owners = (
                _grown(array, entries) for array in (self._nexts, self._befores, self._owners)
            )


def _grown(array: Int32Array, room: int) -> Int32Array:
    if room <= len(array):
        return array
    invariant(room <= _SLOTS_MAX, f"{room} entries or owners are too many for one subtask")
    larger: Int32Array = np.full(max(room, 2 * len(array)), NONE, np.int32)
    larger[: len(array)] = array
    return larger
