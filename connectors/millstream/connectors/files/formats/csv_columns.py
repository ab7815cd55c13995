"""CSV as SQL tables have it, by Flink's ``csv.*`` options: no header line, the columns of the DDL in their order.

Arrow parses and converts whole chunks. A chunk that it refuses is read again cell by cell, which finds the bad rows.
Rows end at newlines, also inside quotes, so that large files can be cut.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from millstream.connectors.files.formats.csv_cells import cell_converter
from millstream.connectors.files.formats.line_format import LineDecoder, LineFormat, split_lines
from millstream.connectors.files.malformed import BadLine, DecodedChunk
from millstream.core.errors import ConfigError
from millstream.core.table.projection import zero_column_batch

_BLOCK_BYTES_MIN = 1 << 16


@dataclass(frozen=True)
class CsvOptions:
    """Flink's options of the format; None for no quotes, no escapes, no text that means NULL.

    ``lenient``: a value that does not fit is NULL, as is one that is missing at the end of its row.
    """

    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None
    comments: bool = False
    null_literal: str | None = None
    array_delimiter: str = ";"
    lenient: bool = False


class CsvColumnFormat(LineFormat):
    """``schema``: the columns of the files; ``names``: those wanted, in order.

    Raises ``ConfigError`` for columns of types that CSV does not hold.
    """

    emits_columns = True

    def __init__(self, schema: pa.Schema, names: tuple[str, ...], options: CsvOptions) -> None:
        self.schema = schema
        self.names = names
        self.options = options
        for name in names:
            if name not in schema.names:
                raise ConfigError(f"there is no column {name!r}; the columns are {', '.join(schema.names)}")
            cell_converter(schema.field(name).type, options.array_delimiter)

    def create_decoder(self, path: str) -> LineDecoder:
        return _CsvColumns(self)


class _CsvColumns(LineDecoder):
    def __init__(self, csv_format: CsvColumnFormat) -> None:
        self._options = csv_format.options
        self._names = csv_format.schema.names
        self._wanted = pa.schema([csv_format.schema.field(name) for name in csv_format.names])
        self._cells = [
            (self._names.index(field.name), field, cell_converter(field.type, self._options.array_delimiter))
            for field in self._wanted
        ]
        self._fast = all(_converts(field.type) for field in self._wanted)

    def decode(self, chunk: bytes, at_file_start: bool) -> DecodedChunk:
        if at_file_start:
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        if self._options.comments:
            chunk = b"\n".join(b"" if line.startswith(b"#") else line for line in chunk.split(b"\n"))
        if not chunk.strip():
            return DecodedChunk([], records=pa.RecordBatch.from_pylist([], schema=self._wanted))
        if self._fast:
            try:
                return DecodedChunk([], records=self._parse(chunk))
            except (pa.ArrowInvalid, UnicodeDecodeError):
                pass  # some row is bad, or means something else than Arrow thinks: tell which
        return self._decode_cells(chunk)

    def _parse(self, chunk: bytes) -> pa.RecordBatch:
        options = self._options
        table = pacsv.read_csv(
            pa.py_buffer(chunk),
            pacsv.ReadOptions(
                column_names=self._names, use_threads=False, block_size=max(len(chunk) + 1, _BLOCK_BYTES_MIN)
            ),
            pacsv.ParseOptions(
                delimiter=options.delimiter, quote_char=options.quote or False, escape_char=options.escape or False
            ),
            pacsv.ConvertOptions(
                column_types={name: pa.string() for name in self._names} | {f.name: f.type for f in self._wanted},
                include_columns=self._wanted.names or self._names[:1],
                null_values=[""] if options.null_literal is None else [options.null_literal],
                strings_can_be_null=options.null_literal is not None,
                true_values=["true", "TRUE", "True"],
                false_values=["false", "FALSE", "False"],
            ),
        )
        if not self._wanted.names:
            return zero_column_batch(table.num_rows)
        batches = table.combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=self._wanted)

    def _decode_cells(self, chunk: bytes) -> DecodedChunk:
        columns: list[list[Any]] = [[] for _ in self._cells]
        decoded = DecodedChunk([])
        rows = 0
        for index, line in enumerate(split_lines(chunk)):
            if not line.strip():
                continue
            try:
                values = list(self._values(self._split(line), decoded))
            except ValueError as error:
                decoded.bad.append(BadLine(index, line.decode(errors="backslashreplace"), str(error)))
                continue
            rows += 1
            for column, value in zip(columns, values, strict=True):
                column.append(value)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._wanted, strict=True)]
        decoded.records = pa.RecordBatch.from_arrays(arrays, schema=self._wanted) if arrays else zero_column_batch(rows)
        return decoded

    def _split(self, line: bytes) -> list[str]:
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"byte {error.start + 1} of the row is not UTF-8") from error
        options = self._options
        try:
            cells: list[str] = next(
                csv.reader(
                    io.StringIO(text, newline=""),
                    delimiter=options.delimiter,
                    quotechar=options.quote,
                    quoting=csv.QUOTE_NONE if options.quote is None else csv.QUOTE_MINIMAL,
                    escapechar=options.escape,
                    strict=True,
                )
            )
        except (csv.Error, StopIteration) as error:
            raise ValueError(f"malformed CSV: {error}") from error
        if len(cells) != len(self._names) and not options.lenient:
            raise ValueError(f"{len(cells)} columns where {len(self._names)} are expected")
        return cells

    def _values(self, cells: list[str], decoded: DecodedChunk) -> Iterator[Any]:
        for position, field, convert in self._cells:
            cell = cells[position] if position < len(cells) else None
            try:
                yield self._value(cell, field, convert)
            except (ValueError, OverflowError, pa.ArrowException) as error:
                if not self._options.lenient:
                    raise ValueError(f"column {field.name}: {cell!r} is no {field.type}") from error
                decoded.nulled += 1
                yield None

    def _value(self, cell: str | None, field: pa.Field, convert: Callable[[str], Any]) -> Any:
        if cell is None or cell == self._options.null_literal:
            return None
        if cell == "" and not (pa.types.is_string(field.type) or pa.types.is_binary(field.type)):
            return None
        value = convert(cell)
        pa.scalar(value, field.type)
        return value


def _converts(kind: pa.DataType) -> bool:
    """Whether Arrow reads the type as it is meant here."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_date(kind)
        or (pa.types.is_timestamp(kind) and kind.tz is None)
    )
