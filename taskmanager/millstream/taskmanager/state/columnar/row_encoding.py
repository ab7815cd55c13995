"""Rows of Arrow columns as words (``kernels/row_words.py``), whatever the types of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.kernels import row_words
from millstream.core.kernels.arrow_views import (
    fixed_dtype,
    flat,
    integers_of,
    is_text,
    text_of,
    valid_of,
    words_of_decimals,
)
from millstream.core.kernels.slot_index import BoolArray, Int64Array
from millstream.core.serde import encode_value


class EncodedRows(NamedTuple):
    """Row ``i`` is ``words[offsets[i]:offsets[i + 1]]``."""

    offsets: Int64Array
    words: npt.NDArray[np.uint64]


class _Text(NamedTuple):
    offsets: Int64Array
    data: npt.NDArray[np.uint8]
    valid: BoolArray


class _Fixed(NamedTuple):
    values: Int64Array
    valid: BoolArray


def encode_rows(columns: Sequence[pa.Array], rows: int) -> EncodedRows:
    """Equal rows, NULL being equal to NULL, have equal words; all ``columns`` are ``rows`` long.

    Values of nested types are compared by their stable encoding (``core.serde``). Raises ``RecordTypeError`` for one
    that has none.
    """
    parts = [part for column in columns for part in _parts(flat(column))]
    fixed = sum(isinstance(part, _Fixed) for part in parts)
    header = (fixed + 63) >> 6
    offsets: Int64Array
    if fixed == len(parts):
        offsets = np.arange(rows + 1, dtype=np.int64) * (header + fixed)
    else:
        sizes = np.full(rows, header + fixed, np.int64)
        for part in parts:
            if isinstance(part, _Text):
                row_words.count_text(part.offsets, part.valid, sizes)
        offsets = np.zeros(rows + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
    words = np.empty(int(offsets[-1]), np.uint64)
    starts = offsets[:-1]
    for word in range(header):
        words[starts + word] = 0
    cursor = starts + header
    position = 0
    for part in parts:
        if isinstance(part, _Text):
            row_words.put_text(part.offsets, part.data, part.valid, cursor, words)
        else:
            row_words.put_fixed(part.values, part.valid, position, starts, cursor, words)
            position += 1
    return EncodedRows(offsets, words)


def row_hashes(encoded: EncodedRows) -> Int64Array:
    """64 bits a row; for use within a process only."""
    hashes: Int64Array = np.empty(len(encoded.offsets) - 1, np.int64)
    row_words.hash_words(encoded.offsets, encoded.words, hashes)
    return hashes


def rows_equal(rows: EncodedRows, others: EncodedRows) -> BoolArray:
    """Whether row ``i`` of one equals row ``i`` of the other."""
    same: BoolArray = np.empty(len(rows.offsets) - 1, np.bool_)
    row_words.rows_equal(rows.offsets, rows.words, others.offsets, others.words, same)
    return same


def _parts(column: pa.Array) -> list[_Text | _Fixed]:
    kind, valid = column.type, valid_of(column)
    dtype = fixed_dtype(kind)
    if dtype is not None:
        return [_Fixed(integers_of(column, dtype), valid)]
    if is_text(kind):
        return [_Text(*text_of(column), valid)]
    if pa.types.is_decimal(kind):
        return [_Fixed(word, valid) for word in words_of_decimals(column)]
    if pa.types.is_null(kind):
        return [_Fixed(np.zeros(len(column), np.int64), np.zeros(len(column), np.bool_))]
    encoded = [None if value is None else encode_value(value) for value in column.to_pylist()]
    return [_Text(*text_of(pa.array(encoded, pa.large_binary())), valid)]
