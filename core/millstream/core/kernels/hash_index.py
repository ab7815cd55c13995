"""A hash index from 64-bit integers to dense slot numbers: open addressing with linear probing, at most half full."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from millstream.core.kernels.key_hash import mix

Int64Array = npt.NDArray[np.int64]

FREE: Final = -1
_CAPACITY_FIRST: Final = 1024


@numba.njit(cache=True, nogil=True)
def find_or_insert(
    keys: Int64Array, table_keys: Int64Array, table_slots: Int64Array, size: int, slots: Int64Array, firsts: Int64Array
) -> int:
    """Fill ``slots`` (shape of ``keys``) with the slot of each key; unknown keys get the slots from ``size`` on.

    ``table_keys``, ``table_slots``: the table, a power of two long, with room for all keys. ``firsts``: receives the
    positions in ``keys`` at which new keys stood first. Returns the new size. The hash is the finaliser of SplitMix64.
    """
    mask = np.uint64(len(table_keys) - 1)
    found = 0
    for i in range(len(keys)):
        key = keys[i]
        place = mix(np.uint64(key)) & mask
        while True:
            slot = table_slots[place]
            if slot < 0:
                table_keys[place] = key
                table_slots[place] = slot = size
                firsts[found] = i
                found += 1
                size += 1
                break
            if table_keys[place] == key:
                break
            place = (place + np.uint64(1)) & mask
        slots[i] = slot
    return size


class Int64Index:
    """Slots 0, 1, 2, ... in order of the first appearance of their keys."""

    def __init__(self) -> None:
        self.size = 0
        self._table_keys: Int64Array = np.zeros(_CAPACITY_FIRST, np.int64)
        self._table_slots: Int64Array = np.full(_CAPACITY_FIRST, FREE, np.int64)
        self._by_slot: Int64Array = np.empty(_CAPACITY_FIRST, np.int64)

    def slots_of(self, keys: Int64Array) -> tuple[Int64Array, Int64Array]:
        """``(slot of each key, positions in keys at which new keys stood first)``."""
        self._reserve(self.size + len(keys))
        slots: Int64Array = np.empty(len(keys), np.int64)
        firsts: Int64Array = np.empty(len(keys), np.int64)
        before = self.size
        self.size = find_or_insert(keys, self._table_keys, self._table_slots, before, slots, firsts)
        if self.size > before:
            if self.size > len(self._by_slot):
                larger: Int64Array = np.empty(max(self.size, 2 * len(self._by_slot)), np.int64)
                larger[:before] = self._by_slot[:before]
                self._by_slot = larger
            self._by_slot[before : self.size] = keys[firsts[: self.size - before]]
        return slots, firsts[: self.size - before]

    def keys(self) -> Int64Array:
        """The keys by slot; a view."""
        return self._by_slot[: self.size]

    def _reserve(self, keys: int) -> None:
        capacity = len(self._table_keys)
        if keys * 2 <= capacity:
            return
        known = self.keys()
        while keys * 2 > capacity:
            capacity *= 2
        self._table_keys = np.zeros(capacity, np.int64)
        self._table_slots = np.full(capacity, FREE, np.int64)
        unused: Int64Array = np.empty(len(known), np.int64)
        find_or_insert(known, self._table_keys, self._table_slots, 0, unused, unused.copy())
