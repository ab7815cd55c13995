"""Batches as bytes.

An object batch is ``u8 kind | u32 header length | header | timestamps | column buffers``; the header is
msgpack ``[rows, timestamps?, shape, shape detail, [[encoding, bytes], ...]]``. An
Arrow batch is ``u8 kind | u32 header length | header | timestamps | row kinds | Arrow IPC stream``. All numbers are
little-endian.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgpack
import numpy as np

from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.errors import MalformedRecordError
from millstream.core.serde.columns import decode_column, encode_column
from millstream.core.serde.shapes import from_columns, to_columns

_HEAD: Final = struct.Struct("<BI")
_OBJECTS: Final = 1
_ARROW: Final = 2
_HEADER_BYTES_MAX: Final = 16 * 1024 * 1024

Buffers = list[bytes | memoryview]


def encode_batch(batch: Batch, *, generic_types: bool = True) -> Buffers:
    """Buffers whose concatenation ``decode_batch`` understands.

    Raises ``NoTypedEncoding`` when a value needs pickle and ``generic_types`` is False.
    """
    return _encode_objects(batch, generic_types) if isinstance(batch, ObjectBatch) else _encode_arrow(batch)


def decode_batch(data: bytes | memoryview) -> Batch:
    """The batch. Raises ``MalformedRecordError`` for bytes that are none."""
    view = memoryview(data).cast("B")
    try:
        kind, header_bytes = _HEAD.unpack_from(view)
        if header_bytes > min(_HEADER_BYTES_MAX, len(view) - _HEAD.size):
            raise MalformedRecordError(f"a batch of {len(view)} bytes claims a header of {header_bytes} bytes")
        start = _HEAD.size + header_bytes
        header = msgpack.unpackb(view[_HEAD.size : start], strict_map_key=False)
        if kind == _OBJECTS:
            return _decode_objects(header, view[start:])
        if kind == _ARROW:
            return _decode_arrow(header, view[start:])
    except MalformedRecordError:
        raise
    except Exception as error:  # damaged bytes make msgpack, numpy, Arrow and constructors raise many kinds
        raise MalformedRecordError(f"an encoded batch is damaged: {type(error).__name__}: {error}") from error
    raise MalformedRecordError(f"an encoded batch has the unknown kind {kind}")


def _encode_objects(batch: ObjectBatch, generic_types: bool) -> Buffers:
    values = batch.values
    buffers: Buffers = []
    encodings: list[tuple[int, int]] = []
    shape, detail = 0, None
    if values:
        shape, detail, columns = to_columns(values)
        for column in columns:
            encoding, data = encode_column(column, generic_types)
            encodings.append((encoding, len(data)))
            buffers.append(data)
    timed = batch.timestamps is not None
    if batch.timestamps is not None:
        buffers.insert(0, np.ascontiguousarray(batch.timestamps, np.int64).view(np.uint8).data)
    header = msgpack.packb([len(values), timed, shape, detail, encodings])
    return [_HEAD.pack(_OBJECTS, len(header)) + header, *buffers]


def _decode_objects(header: Any, body: memoryview) -> ObjectBatch:
    rows, timed, shape, detail, encodings = header
    timestamps, position = _decode_timestamps(rows, timed, body)
    columns: list[list[Any]] = []
    for encoding, size in encodings:
        if not 0 <= size <= len(body) - position:
            raise MalformedRecordError(f"a column claims {size} bytes where {len(body) - position} are left")
        columns.append(decode_column(encoding, body[position : position + size], rows))
        position += size
    values = from_columns(shape, detail, columns) if columns else []
    if len(values) != rows:
        raise MalformedRecordError(f"a batch holds {len(values)} rows where its header promises {rows}")
    return ObjectBatch(values, timestamps)


def _decode_timestamps(rows: int, timed: bool, body: memoryview) -> tuple[Any, int]:
    if not timed:
        return None, 0
    if 8 * rows > len(body):
        raise MalformedRecordError(f"a batch of {len(body)} bytes claims {rows} timestamps")
    return np.frombuffer(body[: 8 * rows], np.int64), 8 * rows


def _encode_arrow(batch: ArrowBatch) -> Buffers:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.records.schema) as writer:
        writer.write_batch(batch.records)
    buffers: Buffers = []
    if batch.timestamps is not None:
        buffers.append(np.ascontiguousarray(batch.timestamps, np.int64).view(np.uint8).data)
    if batch.row_kinds is not None:
        buffers.append(np.ascontiguousarray(batch.row_kinds, np.int8).view(np.uint8).data)
    header = msgpack.packb([batch.num_rows, batch.timestamps is not None, batch.row_kinds is not None])
    # Arrow reads buffers in place only where they are aligned: pad so that the stream starts at a multiple of 64.
    before = _HEAD.size + len(header) + sum(len(buffer) for buffer in buffers)
    padding = bytes(-before % 64)
    return [_HEAD.pack(_ARROW, len(header)) + header, *buffers, padding, memoryview(sink.getvalue())]


def _decode_arrow(header: Any, body: memoryview) -> ArrowBatch:
    import pyarrow as pa

    rows, timed, has_kinds = header
    timestamps, position = _decode_timestamps(rows, timed, body)
    kinds = None
    if has_kinds:
        if rows > len(body) - position:
            raise MalformedRecordError(f"a batch of {len(body)} bytes claims {rows} row kinds")
        kinds = np.frombuffer(body[position : position + rows], np.int8)
        position += rows
    header_bytes = len(msgpack.packb(header))
    position += -(_HEAD.size + header_bytes + position) % 64
    with pa.ipc.open_stream(pa.py_buffer(body[position:])) as reader:
        records = reader.read_next_batch()
    records.validate()
    if records.num_rows != rows:
        raise MalformedRecordError(f"an Arrow batch holds {records.num_rows} rows where its header promises {rows}")
    return ArrowBatch(records, timestamps, kinds)
