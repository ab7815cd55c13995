"""Avro container files as a SQL table: fastavro decodes the wanted fields, Arrow makes columns of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa

from millstream.connectors.files.compression import open_binary
from millstream.connectors.files.formats.avro_schema import avro_record
from millstream.connectors.files.formats.column_paths import WantedColumns
from millstream.connectors.files.partitions import PartitionColumns
from millstream.connectors.files.pieces import PIECE_COLUMN_ROWS, OpenFile, PieceFormat
from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.errors import ExternalError, MalformedRecordError


class AvroColumnFormat(PieceFormat):
    """``schema``: all columns of the table. A file is one piece: it is read by one subtask."""

    def __init__(self, schema: pa.Schema, partitions: PartitionColumns) -> None:
        self._wanted = WantedColumns(schema, partitions.stored)
        self._stored = pa.schema([schema.field(name) for name in dict.fromkeys(path[0] for path in self._wanted.paths)])
        self._partitions = partitions

    def pieces(self, path: str) -> int:
        return 1

    def open(self, path: str) -> OpenFile:
        try:
            return _OpenAvro(path, open_binary(path), self._stored)
        except OSError as error:
            raise ExternalError(f"cannot read {path}: {error.strerror or error}") from error

    def batch(self, records: pa.RecordBatch, path: str) -> Batch:
        return ArrowBatch(self._partitions.complete(self._wanted.take(records, path), path))


class _OpenAvro(OpenFile):
    def __init__(self, path: str, stream: BinaryIO, schema: pa.Schema) -> None:
        self._path = path
        self._stream = stream
        self._schema = schema

    def read(self, piece: int) -> Iterator[pa.RecordBatch]:
        import fastavro

        try:
            reader = fastavro.reader(self._stream, reader_schema=None if not self._schema else self._projection())
            while rows := list(islice(reader, PIECE_COLUMN_ROWS)):
                yield self._columns(rows)
        except (ValueError, EOFError, TypeError, KeyError, IndexError, fastavro.read.SchemaResolutionError) as error:
            raise MalformedRecordError(
                f"{self._path} is not an Avro file of this table, or it is damaged: {error}"
            ) from error

    def close(self) -> None:
        self._stream.close()

    def _projection(self) -> dict[str, Any]:
        """The wanted fields of the file's own schema, under the file's own name and with its own types."""
        import fastavro

        written = fastavro.reader(self._stream).writer_schema
        self._stream.seek(0)
        if not isinstance(written, dict) or written.get("type") != "record":
            raise ValueError("its records are no rows")
        own = {field["name"]: field for field in written["fields"]}
        declared = avro_record(self._schema, written["name"])
        fields = [own.get(field["name"], field) for field in declared["fields"]]
        return {**written, "fields": fields}

    def _columns(self, rows: list[Any]) -> pa.RecordBatch:
        if not self._schema.names:
            return pa.RecordBatch.from_arrays([pa.nulls(len(rows))], names=[""])
        columns = []
        for field in self._schema:
            values = [row[field.name] for row in rows]
            try:
                columns.append(pa.array(values, field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
                raise MalformedRecordError(
                    f"{self._path}: a value of {field.name} is no {field.type}: {error}"
                ) from error
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)
