"""Rows of Arrow columns as compact bytes, one value a row, for a store that knows only bytes.

The head of a row (``kernels/row_bytes.py``): when it was last written (8 bytes), a bit for each column that is set
where the value is null, and by column the value as Arrow stores it, or where it has no fixed width its length (4 bytes,
-1 for NULL). Then come strings and bytes as they are, and nested values in their stable encoding (``core.serde``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.kernels import row_bytes
from millstream.core.kernels.arrow_views import fixed_dtype, fixed_of, flat, is_text, text_of, valid_of
from millstream.core.kernels.slot_index import Int64Array
from millstream.core.serde import decode_value, encode_value

Bytes = npt.NDArray[np.uint8]

_TIME_BYTES: Final = 8
_LENGTH_BYTES: Final = 4


class RowCodec:
    """Rows of columns of these types."""

    def __init__(self, kinds: Sequence[pa.DataType]) -> None:
        self._kinds = list(kinds)
        widths = [_width(kind) for kind in kinds]
        ends = np.cumsum([_TIME_BYTES + ((len(widths) + 7) >> 3), *widths]).tolist()
        self._fields = [slice(start, end) for start, end in itertools.pairwise(ends)]
        self._head_bytes = int(ends[-1])

    def encode(self, updated_ms: Int64Array, columns: Sequence[pa.Array]) -> list[bytes]:
        """The rows; all ``columns`` are as long as ``updated_ms``."""
        return pieces(*self.joined(updated_ms, columns))

    def joined(self, updated_ms: Int64Array, columns: Sequence[pa.Array]) -> tuple[Int64Array, Bytes]:
        """``(offsets, content)``: row ``i`` is ``content[offsets[i]:offsets[i + 1]]``."""
        rows = len(updated_ms)
        heads: Bytes = np.zeros((rows, self._head_bytes), np.uint8)
        heads[:, :_TIME_BYTES] = _as_bytes(updated_ms)
        texts: list[tuple[Int64Array, npt.NDArray[np.int32], Bytes]] = []
        sizes = np.full(rows, self._head_bytes, np.int64)
        for index, column in enumerate(columns):
            values, valid = flat(column), valid_of(column)
            if len(valid):
                heads[:, _TIME_BYTES + (index >> 3)] |= (~valid).astype(np.uint8) << (index & 7)
            if self._is_fixed(index):
                heads[:, self._fields[index]] = _fixed_bytes(values)
                continue
            starts, data = text_of(_as_text(values))
            lengths = np.diff(starts).astype(np.int32)
            sizes += lengths
            if len(valid):
                sizes -= np.where(valid, 0, lengths)
                lengths[~valid] = -1
            heads[:, self._fields[index]] = _as_bytes(lengths)
            texts.append((starts, lengths, data))
        offsets: Int64Array = np.zeros(rows + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        content, cursor = np.empty(int(offsets[-1]), np.uint8), np.empty(rows, np.int64)
        row_bytes.put_heads(heads, offsets, cursor, content)
        for starts, lengths, data in texts:
            row_bytes.put_texts(starts, lengths, data, cursor, content)
        return offsets, content

    def decode(self, encoded: Sequence[bytes]) -> tuple[Int64Array, list[pa.Array]]:
        """``(when each row was last written, the columns)``."""
        offsets, content = text_of(pa.array(encoded, pa.large_binary()))
        return self.decode_at(offsets[:-1], content)

    def decode_at(self, starts: Int64Array, content: Bytes) -> tuple[Int64Array, list[pa.Array]]:
        """The same of rows that begin at ``starts`` in ``content``."""
        rows = len(starts)
        heads, cursor = np.empty((rows, self._head_bytes), np.uint8), np.empty(rows, np.int64)
        row_bytes.take_heads(starts, content, heads, cursor)
        updated_ms = np.ascontiguousarray(heads[:, :_TIME_BYTES]).view(np.int64).reshape(rows)
        columns: list[pa.Array] = []
        for index, kind in enumerate(self._kinds):
            null = (heads[:, _TIME_BYTES + (index >> 3)] >> np.uint8(index & 7)) & 1
            nulls = int(np.count_nonzero(null))
            bitmap = pa.py_buffer(np.packbits(null == 0, bitorder="little")) if nulls else None
            stored = np.ascontiguousarray(heads[:, self._fields[index]])
            if self._is_fixed(index):
                if pa.types.is_boolean(kind):
                    stored = np.packbits(stored.reshape(rows), bitorder="little")
                columns.append(pa.Array.from_buffers(kind, rows, [bitmap, pa.py_buffer(stored)], nulls))
                continue
            lengths = stored.view(np.int32).reshape(rows)
            ends: Int64Array = np.zeros(rows + 1, np.int64)
            np.cumsum(np.maximum(lengths, 0), out=ends[1:])
            texts = np.empty(int(ends[-1]), np.uint8)
            row_bytes.take_texts(lengths, cursor, content, texts)
            columns.append(_from_text(kind, ends, texts, bitmap, nulls))
        return updated_ms, columns

    def _is_fixed(self, index: int) -> bool:
        return _is_fixed(self._kinds[index])


def pieces(offsets: Int64Array, content: npt.NDArray[Any]) -> list[bytes]:
    """``content[offsets[i]:offsets[i + 1]]`` as bytes; the offsets count bytes."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    found: list[bytes] = pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers, 0).to_pylist()
    return found


def _is_fixed(kind: pa.DataType) -> bool:
    return fixed_dtype(kind) is not None or bool(pa.types.is_decimal(kind))


def _width(kind: pa.DataType) -> int:
    dtype = fixed_dtype(kind)
    if dtype is not None:
        return dtype.itemsize
    return int(kind.byte_width) if pa.types.is_decimal(kind) else _LENGTH_BYTES


def _as_bytes(values: npt.NDArray[Any]) -> Bytes:
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), values.dtype.itemsize)


def _fixed_bytes(values: pa.Array) -> Bytes:
    dtype = fixed_dtype(values.type)
    if dtype is not None:
        return _as_bytes(fixed_of(values, dtype))
    width, data = int(values.type.byte_width), values.buffers()[1]
    if data is None:
        return np.zeros((len(values), width), np.uint8)
    return np.frombuffer(data, np.uint8, len(values) * width, values.offset * width).reshape(len(values), width)


def _as_text(values: pa.Array) -> pa.Array:
    if is_text(values.type):
        return values
    encoded = [None if value is None else encode_value(value) for value in values.to_pylist()]
    return pa.array(encoded, pa.large_binary())


def _from_text(kind: pa.DataType, ends: Int64Array, texts: Bytes, bitmap: pa.Buffer | None, nulls: int) -> pa.Array:
    rows, data = len(ends) - 1, pa.py_buffer(texts)
    if is_text(kind):
        large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
        offsets = pa.py_buffer(ends if large else ends.astype(np.int32))
        return pa.Array.from_buffers(kind, rows, [bitmap, offsets, data], nulls)
    encoded = pa.Array.from_buffers(pa.large_binary(), rows, [bitmap, pa.py_buffer(ends), data], nulls)
    return pa.array([None if value is None else decode_value(value) for value in encoded.to_pylist()], kind)
