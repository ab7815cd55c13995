"""Values of varying length in one heap: written behind each other, gathered into Arrow's offsets and data.

Bytes are copied eight at a time: heaps and what is gathered into have ``SLACK_BYTES`` behind their end, which copies
run over. By slot, ``starts`` says where a value is in ``heap`` and ``lengths`` how many bytes it has, -1 for null. A
value that is replaced or given up stays in the heap as garbage until the owner copies the rest out.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


SLACK_BYTES: Final = 8


@numba.njit(cache=True, nogil=True, inline="always")
def copy_bytes(source: Bytes, begin: int, target: Bytes, at: int, size: int) -> None:
    """Copy ``size`` bytes, and up to seven behind them: one load and one store for each eight."""
    for p in range(0, size, 8):
        s = begin + p
        b0, b1, b2, b3 = source[s], source[s + 1], source[s + 2], source[s + 3]
        b4, b5, b6, b7 = source[s + 4], source[s + 5], source[s + 6], source[s + 7]
        t = at + p
        target[t] = b0
        target[t + 1] = b1
        target[t + 2] = b2
        target[t + 3] = b3
        target[t + 4] = b4
        target[t + 5] = b5
        target[t + 6] = b6
        target[t + 7] = b7


@numba.njit(cache=True, nogil=True)
def append_values(
    slots: Int64Array,
    offsets: Int64Array,
    data: Bytes,
    valid: BoolArray,
    starts: Int64Array,
    lengths: Int32Array,
    heap: Bytes,
    end: int,
) -> tuple[int, int]:
    """Put value ``i``, ``data[offsets[i]:offsets[i + 1]]``, at ``slots[i]``; of equal slots the last value stays.

    ``valid`` is empty where nothing is null. ``heap`` has room behind ``end``. Returns ``(new end, bytes of garbage
    made)``.
    """
    some_null = len(valid) > 0
    garbage = 0
    for i in range(len(slots)):
        slot = slots[i]
        if lengths[slot] > 0:
            garbage += lengths[slot]
        if some_null and not valid[i]:
            lengths[slot] = -1
            continue
        begin = offsets[i]
        size = offsets[i + 1] - begin
        starts[slot] = end
        lengths[slot] = size
        for p in range(size):
            heap[end + p] = data[begin + p]
        end += size
    return end, garbage


@numba.njit(cache=True, nogil=True)
def append_whole(
    slots: Int64Array,
    offsets: Int64Array,
    data: Bytes,
    starts: Int64Array,
    lengths: Int32Array,
    heap: Bytes,
    end: int,
) -> tuple[int, int]:
    """The same where no value is null: their bytes are copied in one piece."""
    garbage = 0
    first = offsets[0]
    size = offsets[len(slots)] - first
    heap[end : end + size] = data[first : first + size]
    for i in range(len(slots)):
        slot = slots[i]
        if lengths[slot] > 0:
            garbage += lengths[slot]
        starts[slot] = end + offsets[i] - first
        lengths[slot] = offsets[i + 1] - offsets[i]
    return end + size, garbage


@numba.njit(cache=True, nogil=True)
def release_values(slots: Int64Array, lengths: Int32Array) -> int:
    """Make the values at ``slots`` null; the bytes of garbage that makes."""
    garbage = 0
    for i in range(len(slots)):
        slot = slots[i]
        if lengths[slot] > 0:
            garbage += lengths[slot]
        lengths[slot] = -1
    return garbage


@numba.njit(cache=True, nogil=True)
def gather_lengths(slots: Int64Array, lengths: Int32Array, offsets: Int64Array, valid: BoolArray) -> int:
    """Fill ``offsets`` (one longer than ``slots``) and ``valid``; how many are null."""
    end = 0
    nulls = 0
    offsets[0] = 0
    for i in range(len(slots)):
        size = lengths[slots[i]]
        valid[i] = size >= 0
        if size < 0:
            nulls += 1
        else:
            end += size
        offsets[i + 1] = end
    return nulls


@numba.njit(cache=True, nogil=True)
def gather_values(slots: Int64Array, starts: Int64Array, heap: Bytes, offsets: Int64Array, data: Bytes) -> None:
    """Fill ``data``, as long as the last of ``offsets`` and the slack, with the values at ``slots``."""
    for i in range(len(slots)):
        begin = offsets[i]
        size = offsets[i + 1] - begin
        start = starts[slots[i]]
        copy_bytes(heap, start, data, begin, size)


@numba.njit(cache=True, nogil=True)
def compact_values(starts: Int64Array, lengths: Int32Array, heap: Bytes, into: Bytes) -> int:
    """Copy all values to ``into`` in the order of their slots; its end."""
    end = 0
    for slot in range(len(starts)):
        size = lengths[slot]
        if size > 0:
            start = starts[slot]
            starts[slot] = end
            copy_bytes(heap, start, into, end, size)
            end += size
    return end
