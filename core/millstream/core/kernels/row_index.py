"""A hash index from rows of words (``row_words``) to slots: a ``SlotIndex`` by hash that verifies the words.

The words of known rows stand behind each other in a heap. What removed rows leave is taken out when it is more than
half of the heap.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np

from millstream.core.kernels.row_words import Uint64Array, hash_words
from millstream.core.kernels.slot_index import BoolArray, Int64Array, SlotIndex, distinct_marked, home_of

_HEAP_FIRST: Final = 4096
_GARBAGE_MIN: Final = 1 << 16
"""Words; less is not worth a copy."""


@numba.njit(cache=True, nogil=True)
def insert_rows(
    hashes: Int64Array,
    offsets: Int64Array,
    words: Uint64Array,
    table: Int64Array,
    by_slot: Int64Array,
    live: BoolArray,
    free: Int64Array,
    counts: Int64Array,
    starts: Int64Array,
    sizes: Int64Array,
    heap: Uint64Array,
    end: int,
    slots: Int64Array,
    firsts: Int64Array,
) -> tuple[int, int]:
    """``insert_codes`` with verification: ``(new rows, new end of the heap)``.

    ``starts`` and ``sizes`` say by slot where in ``heap`` the words of a row are; all have room for all rows.
    """
    mask = np.uint64(len(table) - 1)
    found = 0
    for i in range(len(hashes)):
        code = hashes[i]
        begin = offsets[i]
        size = offsets[i + 1] - begin
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
                starts[slot] = end
                sizes[slot] = size
                for p in range(size):
                    heap[end + p] = words[begin + p]
                end += size
                firsts[found] = i
                found += 1
                break
            if table[place, 0] == code and sizes[slot] == size:
                start = starts[slot]
                p = 0
                while p < size and heap[start + p] == words[begin + p]:
                    p += 1
                if p == size:
                    break
            place = (place + np.uint64(1)) & mask
        slots[i] = slot
    return found, end


@numba.njit(cache=True, nogil=True)
def find_rows(
    hashes: Int64Array,
    offsets: Int64Array,
    words: Uint64Array,
    table: Int64Array,
    starts: Int64Array,
    sizes: Int64Array,
    heap: Uint64Array,
    slots: Int64Array,
) -> None:
    """Fill ``slots`` with the slot of each row, -1 for unknown ones."""
    mask = np.uint64(len(table) - 1)
    for i in range(len(hashes)):
        code = hashes[i]
        begin = offsets[i]
        size = offsets[i + 1] - begin
        place = home_of(code) & mask
        slot = table[place, 1]
        while slot >= 0:
            if table[place, 0] == code and sizes[slot] == size:
                start = starts[slot]
                p = 0
                while p < size and heap[start + p] == words[begin + p]:
                    p += 1
                if p == size:
                    break
            place = (place + np.uint64(1)) & mask
            slot = table[place, 1]
        slots[i] = slot


@numba.njit(cache=True, nogil=True)
def compact(
    live: BoolArray, slots: int, starts: Int64Array, sizes: Int64Array, heap: Uint64Array, into: Uint64Array
) -> int:
    """Copy the words of live rows to ``into``; its end."""
    end = 0
    for slot in range(slots):
        if live[slot]:
            start = starts[slot]
            starts[slot] = end
            for p in range(sizes[slot]):
                into[end + p] = heap[start + p]
            end += sizes[slot]
    return end


class RowIndex(SlotIndex):
    """Slots of distinct rows."""

    def __init__(self) -> None:
        super().__init__()
        self._starts: Int64Array = np.empty(len(self.live), np.int64)
        self._sizes: Int64Array = np.empty(len(self.live), np.int64)
        self._heap: Uint64Array = np.empty(_HEAP_FIRST, np.uint64)
        self._end = 0
        self._garbage = 0

    @property
    def estimated_bytes(self) -> int:
        return super().estimated_bytes + self._starts.nbytes + self._sizes.nbytes + self._heap.nbytes

    def slots_of_rows(self, offsets: Int64Array, words: Uint64Array) -> tuple[Int64Array, Int64Array]:
        """``(slot of each row, positions at which new rows stood first)``; row ``i`` is words[offsets[i:i + 2]]."""
        rows = len(offsets) - 1
        self.reserve(rows)
        self._reserve_words(int(offsets[-1] - offsets[0]))
        hashes: Int64Array = np.empty(rows, np.int64)
        hash_words(offsets, words, hashes)
        slots: Int64Array = np.empty(rows, np.int64)
        firsts: Int64Array = np.empty(rows, np.int64)
        found, self._end = insert_rows(
            hashes,
            offsets,
            words,
            self._table,
            self._by_slot,
            self.live,
            self._free,
            self._counts,
            self._starts,
            self._sizes,
            self._heap,
            self._end,
            slots,
            firsts,
        )
        return slots, firsts[:found]

    def find_rows(self, offsets: Int64Array, words: Uint64Array) -> Int64Array:
        """The slot of each row, -1 for unknown ones."""
        hashes: Int64Array = np.empty(len(offsets) - 1, np.int64)
        hash_words(offsets, words, hashes)
        slots: Int64Array = np.empty(len(hashes), np.int64)
        find_rows(hashes, offsets, words, self._table, self._starts, self._sizes, self._heap, slots)
        return slots

    def remove(self, slots: Int64Array) -> None:
        leaving = distinct_marked(slots, self.live)
        self._garbage += int(self._sizes[leaving].sum())
        super().remove(leaving)
        if self._garbage > max(_GARBAGE_MIN, self._end // 2):
            into: Uint64Array = np.empty(max(_HEAP_FIRST, self._end - self._garbage), np.uint64)
            self._end = compact(self.live, self.slots_end, self._starts, self._sizes, self._heap, into)
            self._heap = into
            self._garbage = 0

    def clear(self) -> None:
        super().clear()
        self._end = self._garbage = 0

    def reserve(self, codes: int) -> None:
        super().reserve(codes)
        room = len(self.live)
        if room > len(self._starts):
            self._starts = np.concatenate((self._starts, np.empty(room - len(self._starts), np.int64)))
            self._sizes = np.concatenate((self._sizes, np.empty(room - len(self._sizes), np.int64)))

    def _reserve_words(self, words: int) -> None:
        if self._end + words > len(self._heap):
            larger = np.empty(max(2 * len(self._heap), self._end + words), np.uint64)
            larger[: self._end] = self._heap[: self._end]
            self._heap = larger
