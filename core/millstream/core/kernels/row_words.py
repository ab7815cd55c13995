"""Rows of several columns as 64-bit words, so that whole rows are hashed and compared word by word.

The words of a row: null bits of its fixed-width columns (64 a word; no word without such columns), then the columns in
their order. A fixed-width value is one word, 0 where it is null. Text is a word of its length plus one, 0 where it is
null, and its bytes, eight a word, little-endian, the last word filled up with zeros. Equal rows have equal words, and
different rows have different ones.

``valid`` has one element a row, or none at all where no value is null. ``cursor`` is where the next word of each row
goes; each kernel moves it behind what it wrote.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Uint64Array = npt.NDArray[np.uint64]
BoolArray = npt.NDArray[np.bool_]


@numba.njit(cache=True, nogil=True)
def count_text(offsets: Int64Array, valid: BoolArray, sizes: Int64Array) -> None:
    """Add to ``sizes`` the words of a text column."""
    some_null = len(valid) > 0
    for i in range(len(sizes)):
        sizes[i] += 1
        if not (some_null and not valid[i]):
            sizes[i] += (offsets[i + 1] - offsets[i] + 7) >> 3


@numba.njit(cache=True, nogil=True)
def put_fixed(
    values: Int64Array, valid: BoolArray, column: int, starts: Int64Array, cursor: Int64Array, words: Uint64Array
) -> None:
    """Write one word a row; the null bit is that of fixed-width column number ``column``."""
    some_null = len(valid) > 0
    bit = np.uint64(1) << np.uint64(column & 63)
    for i in range(len(values)):
        at = cursor[i]
        cursor[i] = at + 1
        if some_null and not valid[i]:
            words[at] = np.uint64(0)
            words[starts[i] + (column >> 6)] |= bit
        else:
            words[at] = np.uint64(values[i])


@numba.njit(cache=True, nogil=True)
def put_text(
    offsets: Int64Array, data: npt.NDArray[np.uint8], valid: BoolArray, cursor: Int64Array, words: Uint64Array
) -> None:
    """Write the length and bytes of each row's text."""
    some_null = len(valid) > 0
    for i in range(len(cursor)):
        at = cursor[i]
        if some_null and not valid[i]:
            words[at] = np.uint64(0)
            cursor[i] = at + 1
            continue
        begin, end = offsets[i], offsets[i + 1]
        words[at] = np.uint64(end - begin + 1)
        at += 1
        while begin + 8 <= end:
            words[at] = (
                np.uint64(data[begin])
                | (np.uint64(data[begin + 1]) << np.uint64(8))
                | (np.uint64(data[begin + 2]) << np.uint64(16))
                | (np.uint64(data[begin + 3]) << np.uint64(24))
                | (np.uint64(data[begin + 4]) << np.uint64(32))
                | (np.uint64(data[begin + 5]) << np.uint64(40))
                | (np.uint64(data[begin + 6]) << np.uint64(48))
                | (np.uint64(data[begin + 7]) << np.uint64(56))
            )
            at += 1
            begin += 8
        if begin < end:
            word = np.uint64(0)
            shift = np.uint64(0)
            while begin < end:
                word |= np.uint64(data[begin]) << shift
                shift += np.uint64(8)
                begin += 1
            words[at] = word
            at += 1
        cursor[i] = at


@numba.njit(cache=True, nogil=True)
def hash_words(offsets: Int64Array, words: Uint64Array, hashes: Int64Array) -> None:
    """64 bits of each row's words: multiply and fold, word by word. For use within a process only."""
    for i in range(len(hashes)):
        h = np.uint64(0x9E3779B97F4A7C15)
        for p in range(offsets[i], offsets[i + 1]):
            h = (h ^ words[p]) * np.uint64(0xBF58476D1CE4E5B9)
            h ^= h >> np.uint64(29)
        hashes[i] = np.int64(h)


@numba.njit(cache=True, nogil=True)
def rows_equal(
    offsets: Int64Array, words: Uint64Array, other_offsets: Int64Array, other_words: Uint64Array, out: BoolArray
) -> None:
    """Fill ``out`` with whether row ``i`` of one equals row ``i`` of the other."""
    for i in range(len(out)):
        begin, other = offsets[i], other_offsets[i]
        size = offsets[i + 1] - begin
        same = size == other_offsets[i + 1] - other
        p = 0
        while same and p < size:
            same = words[begin + p] == other_words[other + p]
            p += 1
        out[i] = same
