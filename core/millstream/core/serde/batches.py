"""Batches as bytes.

An object batch is ``u8 kind | u32 header length | header | timestamps | column buffers``; the header is
msgpack ``[rows, timestamps?, shape, shape detail, [[encoding, bytes], ...]]``. An
Arrow batch is ``u8 kind | u32 header length | header | timestamps | row kinds | Arrow IPC stream``. All numbers are
little-endian.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

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
_SCHEMAS_MAX: Final = 1024
_SCHEMA_BYTES_MAX: Final = 64 * 1024
_IPC_PREFIX: Final = struct.Struct("<II")
_IPC_MARK: Final = 0xFFFF_FFFF

_PLAIN_SCHEMAS: dict[bytes, bool] = {}
"""By serialised schema: whether it has no dictionary-encoded column."""
_SCHEMAS: dict[bytes, Any] = {}
"""By serialised schema without dictionary-encoded columns: the schema."""

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


class EncodedColumns(NamedTuple):
    """Where the columns of an encoded object batch are."""

    data: bytes
    rows: int
    shape: int
    detail: Any
    columns: list[tuple[int, int, int]]
    """``(encoding, begin, end)`` of each, in bytes of ``data``."""


def encoded_columns(data: bytes) -> EncodedColumns:
    """Of an object batch without timestamps. Raises ``MalformedRecordError`` for bytes that are none."""
    try:
        kind, header_bytes = _HEAD.unpack_from(data)
        start = _HEAD.size + header_bytes
        rows, timed, shape, detail, encodings = msgpack.unpackb(data[_HEAD.size : start], strict_map_key=False)
    except Exception as error:  # as in ``decode_batch``
        raise MalformedRecordError(f"an encoded batch is damaged: {type(error).__name__}: {error}") from error
    if kind != _OBJECTS or timed:
        raise MalformedRecordError("an encoded batch is not one of objects without timestamps")
    return EncodedColumns(data, rows, shape, detail, _places(encodings, start, len(data)))


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
    timestamps, start = _decode_timestamps(rows, timed, body)
    columns = [
        decode_column(encoding, body[begin:end], rows) for encoding, begin, end in _places(encodings, start, len(body))
    ]
    values = from_columns(shape, detail, columns) if columns else []
    if len(values) != rows:
        raise MalformedRecordError(f"a batch holds {len(values)} rows where its header promises {rows}")
    return ObjectBatch(values, timestamps)


def _places(encodings: list[tuple[int, int]], start: int, length: int) -> list[tuple[int, int, int]]:
    """``(encoding, begin, end)`` of each column of a body of ``length`` bytes."""
    found = []
    for encoding, size in encodings:
        if not 0 <= size <= length - start:
            raise MalformedRecordError(f"a column claims {size} bytes where {length - start} are left")
        found.append((encoding, start, start + size))
        start += size
    return found


def _decode_timestamps(rows: int, timed: bool, body: memoryview) -> tuple[Any, int]:
    if not timed:
        return None, 0
    if 8 * rows > len(body):
        raise MalformedRecordError(f"a batch of {len(body)} bytes claims {rows} timestamps")
    return np.frombuffer(body[: 8 * rows], np.int64), 8 * rows


def _encode_arrow(batch: ArrowBatch) -> Buffers:
    buffers: Buffers = []
    if batch.timestamps is not None:
        buffers.append(np.ascontiguousarray(batch.timestamps, np.int64).view(np.uint8).data)
    if batch.row_kinds is not None:
        buffers.append(np.ascontiguousarray(batch.row_kinds, np.int8).view(np.uint8).data)
    header = msgpack.packb([batch.num_rows, batch.timestamps is not None, batch.row_kinds is not None])
    # Arrow reads buffers in place only where they are aligned: pad so that the stream starts at a multiple of 64.
    before = _HEAD.size + len(header) + sum(len(buffer) for buffer in buffers)
    padding = bytes(-before % 64)
    return [_HEAD.pack(_ARROW, len(header)) + header, *buffers, padding, *_arrow_stream(batch.records)]


def _read_arrow_stream(pa: Any, stream: memoryview) -> Any:
    """The record batch; its buffers stay where they are. Schemas seen before are not parsed again."""
    mark, metadata_bytes = _IPC_PREFIX.unpack_from(stream)
    end = _IPC_PREFIX.size + metadata_bytes
    if mark == _IPC_MARK and metadata_bytes <= _SCHEMA_BYTES_MAX:
        key = bytes(stream[:end])
        schema = _SCHEMAS.get(key)
        if schema is not None:
            return pa.ipc.read_record_batch(pa.py_buffer(stream[end:]), schema)
    with pa.ipc.open_stream(pa.py_buffer(stream)) as reader:
        records = reader.read_next_batch()
    if mark == _IPC_MARK and metadata_bytes <= _SCHEMA_BYTES_MAX and _has_no_dictionary(records.schema):
        if len(_SCHEMAS) >= _SCHEMAS_MAX:
            _SCHEMAS.clear()
        _SCHEMAS[key] = records.schema
    return records


def _has_no_dictionary(schema: Any) -> bool:
    return "dictionary<" not in schema.to_string(show_schema_metadata=False)


def _arrow_stream(records: Any) -> Buffers:
    """An Arrow IPC stream of one record batch. Put together from its messages, which takes a third of the time."""
    import pyarrow as pa

    schema = records.schema.serialize()
    key = schema.to_pybytes()
    plain = _PLAIN_SCHEMAS.get(key)
    if plain is None:
        if len(_PLAIN_SCHEMAS) >= _SCHEMAS_MAX:
            _PLAIN_SCHEMAS.clear()
        plain = _PLAIN_SCHEMAS[key] = _has_no_dictionary(records.schema)
    if plain:
        return [key, memoryview(records.serialize())]
    sink = pa.BufferOutputStream()  # dictionaries are messages of their own
    with pa.ipc.new_stream(sink, records.schema) as writer:
        writer.write_batch(records)
    return [memoryview(sink.getvalue())]


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
    records = _read_arrow_stream(pa, body[position:])
    records.validate()
    if records.num_rows != rows:
        raise MalformedRecordError(f"an Arrow batch holds {records.num_rows} rows where its header promises {rows}")
    return ArrowBatch(records, timestamps, kinds)
