"""A hash index from 64-bit integers to slots that are given back and given out again.

Open addressing with linear probing, at most half full. An entry is ``(code, slot)`` beside each other in one row of a
matrix, so that a probe costs one cache line. Removal moves later entries of the run back into the hole: there are no
tombstones, and an index that lost its keys is as fast as a new one. A freed slot waits on a stack for the next new key.

``counts`` is ``[first slot never given out, slots on the free stack]``, changed in place by the kernels.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

from millstream.core.kernels.key_hash import mix

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

FREE: Final = -1
ROOM_FIRST: Final = 1024


@numba.njit(cache=True, nogil=True, inline="always")
def home_of(code: int) -> Any:
    """SplitMix64's finaliser of a code; its low bits are where the search begins."""
    return mix(np.uint64(code))


@numba.njit(cache=True, nogil=True)
def insert_codes(
    codes: Int64Array,
    table: Int64Array,
    by_slot: Int64Array,
    live: BoolArray,
    free: Int64Array,
    counts: Int64Array,
    slots: Int64Array,
    firsts: Int64Array,
) -> int:
    """Fill ``slots`` with the slot of each code and ``firsts`` with the positions of new ones; how many are new.

    ``table`` (shape ``(power of two, 2)``), ``by_slot`` and ``live`` have room for all codes.
    """
    mask = np.uint64(len(table) - 1)
    found = 0
    for i in range(len(codes)):
        code = codes[i]
        place = home_of(code) & mask
        while True:
            slot = table[place, 1]
            if slot < 0:
                if counts[1] > 0:
                    counts[1] -= 1
                    slot = free[counts[1]]
                else:
                    slot = counts[0]
                    counts[0] += 1
                table[place, 0] = code
                table[place, 1] = slot
                by_slot[slot] = code
                live[slot] = True
                firsts[found] = i
                found += 1
                break
            if table[place, 0] == code:
                break
            place = (place + np.uint64(1)) & mask
        slots[i] = slot
    return found


@numba.njit(cache=True, nogil=True)
def find_codes(codes: Int64Array, table: Int64Array, slots: Int64Array) -> None:
    """Fill ``slots`` with the slot of each code, -1 for unknown ones."""
    mask = np.uint64(len(table) - 1)
    for i in range(len(codes)):
        code = codes[i]
        place = home_of(code) & mask
        slot = table[place, 1]
        while slot >= 0 and table[place, 0] != code:
            place = (place + np.uint64(1)) & mask
            slot = table[place, 1]
        slots[i] = slot


@numba.njit(cache=True, nogil=True)
def remove_slots(
    slots: Int64Array, table: Int64Array, by_slot: Int64Array, live: BoolArray, free: Int64Array, counts: Int64Array
) -> None:
    """Take the entries of live ``slots`` out and put the slots on the free stack; others are passed over."""
    mask = np.uint64(len(table) - 1)
    one = np.uint64(1)
    for i in range(len(slots)):
        slot = slots[i]
        if not live[slot]:
            continue
        live[slot] = False
        place = home_of(by_slot[slot]) & mask
        while table[place, 1] != slot:
            place = (place + one) & mask
        hole = place
        place = (place + one) & mask
        while table[place, 1] >= 0:
            home = home_of(table[place, 0]) & mask
            if ((place - home) & mask) >= ((place - hole) & mask):  # its search passes the hole
                table[hole, 0] = table[place, 0]
                table[hole, 1] = table[place, 1]
                hole = place
            place = (place + one) & mask
        table[hole, 1] = -1
        free[counts[1]] = slot
        counts[1] += 1


@numba.njit(cache=True, nogil=True)
def refill(table: Int64Array, by_slot: Int64Array, live: BoolArray, slots: int, without: int) -> None:
    """Enter the live ones of the slots 0 to ``slots`` into an empty table, ``without`` one of them."""
    mask = np.uint64(len(table) - 1)
    for slot in range(slots):
        if live[slot] and slot != without:
            place = home_of(by_slot[slot]) & mask
            while table[place, 1] >= 0:
                place = (place + np.uint64(1)) & mask
            table[place, 0] = by_slot[slot]
            table[place, 1] = slot


@numba.njit(cache=True, nogil=True)
def collect_marked(slots: Int64Array, marks: BoolArray, found: Int64Array) -> int:
    """Fill ``found`` with the slots that are marked, each once, in their order; how many. ``marks`` is as before."""
    count = 0
    for i in range(len(slots)):
        slot = slots[i]
        if marks[slot]:
            marks[slot] = False
            found[count] = slot
            count += 1
    for i in range(count):
        marks[found[i]] = True
    return count


def distinct_marked(slots: Int64Array, marks: BoolArray) -> Int64Array:
    """The slots that are marked, each once, in the order in which they come."""
    found: Int64Array = np.empty(len(slots), np.int64)
    return found[: collect_marked(slots, marks, found)]


class SlotIndex:
    """Slots of distinct codes. What belongs to a code is kept by the caller in arrays indexed by slot."""

    def __init__(self) -> None:
        self.live: BoolArray = np.zeros(ROOM_FIRST, np.bool_)
        """By slot, at least ``slots_end`` long: whether it is given out."""
        self._table: Int64Array = _empty_table(2 * ROOM_FIRST)
        self._by_slot: Int64Array = np.empty(ROOM_FIRST, np.int64)
        self._free: Int64Array = np.empty(ROOM_FIRST, np.int64)
        self._counts: Int64Array = np.zeros(2, np.int64)
        self.codeless = FREE
        """The slot of the key that has no code, NULL; -1 when there is none."""

    def __len__(self) -> int:
        return int(self._counts[0] - self._counts[1])

    @property
    def slots_end(self) -> int:
        """Above all slots ever given out."""
        return int(self._counts[0])

    @property
    def estimated_bytes(self) -> int:
        return sum(array.nbytes for array in (self.live, self._table, self._by_slot, self._free))

    def slots_of(self, codes: Int64Array) -> tuple[Int64Array, Int64Array]:
        """``(slot of each code, positions in codes at which new codes stood first)``."""
        self.reserve(len(codes))
        slots: Int64Array = np.empty(len(codes), np.int64)
        firsts: Int64Array = np.empty(len(codes), np.int64)
        found = insert_codes(codes, self._table, self._by_slot, self.live, self._free, self._counts, slots, firsts)
        return slots, firsts[:found]

    def find(self, codes: Int64Array) -> Int64Array:
        """The slot of each code, -1 for unknown ones."""
        slots: Int64Array = np.empty(len(codes), np.int64)
        find_codes(codes, self._table, slots)
        return slots

    def codeless_slot(self) -> tuple[int, bool]:
        """``(slot of the key that has no code, whether that key is new)``."""
        if self.codeless != FREE:
            return self.codeless, False
        self.reserve(1)
        if self._counts[1]:
            self._counts[1] -= 1
            self.codeless = int(self._free[self._counts[1]])
        else:
            self.codeless = int(self._counts[0])
            self._counts[0] += 1
        self.live[self.codeless] = True
        return self.codeless, True

    def remove(self, slots: Int64Array) -> None:
        """Forget the codes of ``slots``; slots that are free already, or come twice, do no harm."""
        if self.codeless != FREE and np.any(slots == self.codeless):
            self.live[self.codeless] = False  # so that the kernel passes over it
            self._free[self._counts[1]] = self.codeless
            self._counts[1] += 1
            self.codeless = FREE
        remove_slots(slots, self._table, self._by_slot, self.live, self._free, self._counts)

    def clear(self) -> None:
        """Forget all codes, and keep the room."""
        self._table[:] = FREE
        self.live[:] = False
        self._counts[:] = 0
        self.codeless = FREE

    def reserve(self, codes: int) -> None:
        """Make room for so many new codes."""
        room = len(self.live)
        while self.slots_end + codes > room:
            room *= 2
        if room > len(self.live):
            live = np.zeros(room, np.bool_)
            live[: len(self.live)] = self.live
            self.live = live
            self._by_slot = _grown(self._by_slot, room)
            self._free = _grown(self._free[: self._counts[1]], room)
        capacity = len(self._table)
        while (len(self) + codes) * 2 > capacity:
            capacity *= 2
        if capacity > len(self._table):
            self._table = _empty_table(capacity)
            refill(self._table, self._by_slot, self.live, self.slots_end, self.codeless)


def _empty_table(capacity: int) -> Int64Array:
    return np.full((capacity, 2), FREE, np.int64)


def _grown(array: Int64Array, room: int) -> Int64Array:
    larger: Int64Array = np.empty(room, np.int64)
    larger[: len(array)] = array
    return larger
