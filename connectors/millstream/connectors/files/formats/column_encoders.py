"""Arrow batches to files of SQL tables: JSON and CSV by a kernel, Parquet by Arrow, Avro by fastavro."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from millstream.connectors.files.formats.avro_schema import avro_record
from millstream.connectors.files.formats.encoders import FileEncoder, FileFormat, StreamEncoder
from millstream.connectors.files.formats.row_text import CsvRows, JsonRows
from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.errors import RecordTypeError

ROW_GROUP_ROWS_MAX: Final = 1024 * 1024


def appended_records(batch: Batch) -> pa.RecordBatch:
    """The columns of a batch that only appends. Raises ``RecordTypeError`` for Python rows and for changes."""
    if not isinstance(batch, ArrowBatch):
        raise RecordTypeError("a file table takes columns, not Python rows. Write through the Table API.")
    if batch.row_kinds is not None and batch.row_kinds.any():
        raise RecordTypeError(
            "a file only takes INSERT rows; this query also updates or deletes. Write to an upsert table."
        )
    return batch.records


@dataclass(frozen=True)
class RowTextFile(FileFormat):
    """Lines of JSON or CSV."""

    rows: JsonRows | CsvRows
    suffix: str

    def open(self, path: Path) -> FileEncoder:
        return _RowTextEncoder(path, self.rows)


class _RowTextEncoder(StreamEncoder):
    def __init__(self, path: Path, rows: JsonRows | CsvRows) -> None:
        super().__init__(path)
        self._rows = rows

    def write(self, batch: Batch) -> None:
        for piece in self._rows.encode(appended_records(batch)):
            self.write_bytes(piece.data)


@dataclass(frozen=True)
class ParquetColumnFile(FileFormat):
    """Row groups of about ``group_bytes`` in memory; at least one a file."""

    schema: pa.Schema
    compression: str = "SNAPPY"
    group_bytes: int = 128 * 1024 * 1024
    suffix: str = ".parquet"

    def open(self, path: Path) -> FileEncoder:
        return _ParquetColumnEncoder(path, self)


class _ParquetColumnEncoder(FileEncoder):
    def __init__(self, path: Path, options: ParquetColumnFile) -> None:
        self._options = options
        self._stream = path.open("xb")
        compression = "NONE" if options.compression == "UNCOMPRESSED" else options.compression
        self._writer = pq.ParquetWriter(self._stream, options.schema, compression=compression)
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = self._held_rows = 0

    def write(self, batch: Batch) -> None:
        records = appended_records(batch)
        self._held.append(records)
        self._held_bytes += records.nbytes
        self._held_rows += records.num_rows
        if self._held_bytes >= self._options.group_bytes or self._held_rows >= ROW_GROUP_ROWS_MAX:
            self._write_group()
        self.bytes_written = self._stream.tell() + self._held_bytes

    def finish(self) -> None:
        self._write_group()
        self._writer.close()
        self._stream.close()

    def abandon(self) -> None:
        self._held = []
        self._writer.close()
        self._stream.close()

    def _write_group(self) -> None:
        if self._held:
            table = pa.Table.from_batches(self._held).cast(self._options.schema)
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS_MAX)
        self._held, self._held_bytes, self._held_rows = [], 0, 0


@dataclass(frozen=True)
class AvroColumnFile(FileFormat):
    """A container file with the record of ``schema``. Its library takes a Python object a row."""

    schema: pa.Schema
    codec: str = "snappy"
    suffix: str = ".avro"

    def open(self, path: Path) -> FileEncoder:
        return _AvroColumnEncoder(path, self)


class _AvroColumnEncoder(FileEncoder):
    def __init__(self, path: Path, options: AvroColumnFile) -> None:
        import fastavro

        self._stream = path.open("xb")
        self._maps = [field.name for field in options.schema if pa.types.is_map(field.type)]
        self._writer: Any = fastavro.write.Writer(self._stream, avro_record(options.schema), codec=options.codec)

    def write(self, batch: Batch) -> None:
        for row in appended_records(batch).to_pylist():
            for name in self._maps:
                row[name] = None if row[name] is None else dict(row[name])
            self._writer.write(row)
        self.bytes_written = self._stream.tell()

    def finish(self) -> None:
        self._writer.flush()
        self._stream.close()

    def abandon(self) -> None:
        self._stream.close()
