"""Encoding rows for the file sink: each encoder appends batches of rows to one open file."""

from __future__ import annotations

import csv
import dataclasses
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from millstream.connectors.rows import row_values
from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.errors import RecordTypeError


class FileEncoder(ABC):
    """Writes one file. ``bytes_written`` is what has been handed to the file so far."""

    bytes_written: int = 0

    @abstractmethod
    def write(self, batch: Batch) -> None:
        """Append all rows."""

    @abstractmethod
    def finish(self) -> None:
        """Write what belongs at the end and flush; the file is complete."""

    def abandon(self) -> None:
        """Release resources of a file that will be removed."""


class FileFormat(ABC):
    """Describes an output format. Picklable."""

    suffix: str

    @abstractmethod
    def open(self, path: Path) -> FileEncoder:
        """Create ``path``, which must not exist yet."""


class StreamEncoder(FileEncoder):
    """An encoder that writes bytes one after the other."""

    def __init__(self, path: Path) -> None:
        self._stream: BinaryIO = path.open("xb", buffering=1 << 18)

    def write_bytes(self, data: bytes | memoryview) -> None:
        self._stream.write(data)
        self.bytes_written += len(data)

    def finish(self) -> None:
        self._stream.close()

    def abandon(self) -> None:
        self._stream.close()


@dataclass(frozen=True)
class TextFileFormat(FileFormat):
    """``encode`` of each record (``str`` by default) on a line of its own."""

    encode: Callable[[Any], str] = str
    suffix: str = ".txt"

    def open(self, path: Path) -> FileEncoder:
        return _TextEncoder(path, self.encode)


class _TextEncoder(StreamEncoder):
    def __init__(self, path: Path, encode: Callable[[Any], str]) -> None:
        super().__init__(path)
        self._encode = encode

    def write(self, batch: Batch) -> None:
        encode = self._encode
        self.write_bytes("".join([encode(value) + "\n" for value in row_values(batch)]).encode())


@dataclass(frozen=True)
class NdjsonFileFormat(FileFormat):
    """JSON, a record a line; dataclasses and NamedTuples become objects."""

    suffix: str = ".ndjson"

    def open(self, path: Path) -> FileEncoder:
        return _NdjsonEncoder(path)


class _NdjsonEncoder(StreamEncoder):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        import msgspec

        self._encoder = msgspec.json.Encoder()

    def write(self, batch: Batch) -> None:
        rows = [_as_mapping(value) for value in row_values(batch)]
        try:
            self.write_bytes(self._encoder.encode_lines(rows))
        except (TypeError, ValueError, OverflowError) as error:
            raise RecordTypeError(f"a record cannot be written as JSON: {error}. Map it to a dict first.") from error


@dataclass(frozen=True)
class CsvFileFormat(FileFormat):
    """CSV with a header line of ``columns``, or of the first record's field names; tuples without names get none."""

    columns: tuple[str, ...] | None = None
    delimiter: str = ","
    header: bool = True
    suffix: str = ".csv"

    def open(self, path: Path) -> FileEncoder:
        return _CsvEncoder(path, self)


class _CsvEncoder(StreamEncoder):
    def __init__(self, path: Path, options: CsvFileFormat) -> None:
        super().__init__(path)
        self._options = options
        self._columns = options.columns
        self._started = False

    def write(self, batch: Batch) -> None:
        rows = row_values(batch)
        if not self._started:
            self._start(rows[0])
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self._options.delimiter, lineterminator="\n")
        writer.writerows(self._cells(rows))
        self.write_bytes(text.getvalue().encode())

    def _start(self, first: Any) -> None:
        self._started = True
        if self._columns is None:
            names = field_names(first)
            self._columns = tuple(names) if names else None
        if self._options.header and self._columns:
            text = io.StringIO()
            csv.writer(text, delimiter=self._options.delimiter, lineterminator="\n").writerow(self._columns)
            self.write_bytes(text.getvalue().encode())

    def _cells(self, rows: list[Any]) -> Iterable[Iterable[Any]]:
        first, columns = rows[0], self._columns
        if isinstance(first, dict) and columns:
            return ([row.get(column) for column in columns] for row in rows)
        if isinstance(first, tuple | list):
            return rows
        if field_names(first):
            return ([getattr(row, column) for column in columns or ()] for row in rows)
        return ([row] for row in rows)


@dataclass(frozen=True)
class ParquetFileFormat(FileFormat):
    """Parquet; the schema is the first batch's unless given as an Arrow schema."""

    schema: Any = None
    compression: str = "zstd"
    suffix: str = ".parquet"

    def open(self, path: Path) -> FileEncoder:
        return _ParquetEncoder(path, self)


class _ParquetEncoder(FileEncoder):
    def __init__(self, path: Path, options: ParquetFileFormat) -> None:
        self._options = options
        self._schema = options.schema
        self._stream = path.open("xb")
        self._writer: Any = None

    def write(self, batch: Batch) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            if isinstance(batch, ArrowBatch):
                table = pa.Table.from_batches([batch.records])
            else:
                table = pa.Table.from_pylist([_as_mapping(value) for value in batch.values], schema=self._schema)
            if self._writer is None:
                self._schema = table.schema
                self._writer = pq.ParquetWriter(self._stream, self._schema, compression=self._options.compression)
            self._writer.write_table(table.cast(self._schema))
        except (pa.ArrowInvalid, pa.ArrowTypeError, AttributeError, ValueError) as error:
            raise RecordTypeError(
                f"a record does not fit the Parquet schema: {error}. Write dicts, dataclasses or NamedTuples with the "
                f"same fields, or give schema=."
            ) from error
        self.bytes_written = self._stream.tell()

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._stream.close()

    def abandon(self) -> None:
        self.finish()


def field_names(record: Any) -> list[str]:
    """Names of the fields of a dict, NamedTuple, dataclass or named row; empty when it has none."""
    if isinstance(record, dict):
        return [str(name) for name in record]
    if dataclasses.is_dataclass(record):
        return [field.name for field in dataclasses.fields(record)]
    names = getattr(record, "_fields", None) or ()
    return [str(name) for name in names]


def _as_mapping(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "as_dict"):
        return value.as_dict()
    return value
