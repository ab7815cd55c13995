"""CSV, parsed and typed by Arrow a chunk at a time.

The columns of a file and, where no schema is given, their types are found once a file, from its first bytes, so
that all ranges of the file agree. A value that does not fit its column's type is a malformed row, not a change of type.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from millstream.connectors.files.compression import open_binary
from millstream.connectors.files.formats.arrow_rows import RowMaker, column_values, dict_rows
from millstream.connectors.files.formats.line_format import LineDecoder, LineFormat, split_lines
from millstream.connectors.files.malformed import BadLine, DecodedChunk
from millstream.core.errors import MalformedRecordError, UserError

if TYPE_CHECKING:
    import pyarrow as pa

INFERENCE_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class CsvFormat(LineFormat):
    """``schema``: column name to Python type (``int``, ``float``, ``str``, ``bool``, ``datetime``, ``date``) or Arrow
    type; columns it does not name are inferred. ``columns``: which to read, in this order; None for all.
    ``column_names``: names for a file without a header line. ``rows`` makes Python rows of columns.
    """

    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    column_names: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    schema: Mapping[str, Any] = field(default_factory=dict)
    null_values: tuple[str, ...] = ("", "NA", "NULL", "null", "NaN", "N/A")
    rows: RowMaker | None = dict_rows
    """None for Arrow batches."""
    multiline: bool = False
    """Values may hold newlines; such files are not cut into ranges."""
    type_info: Any = None

    @property
    def splittable(self) -> bool:  # type: ignore[override]
        return not self.multiline

    @property
    def produced_type(self) -> Any:
        return self.type_info

    def column_types(self) -> Mapping[str, type] | None:
        wanted = self.columns or self.column_names
        declared = all(self.schema.get(name) in (int, float, str) for name in wanted or ())
        return {name: self.schema[name] for name in wanted} if wanted and declared and self.rows is dict_rows else None

    def columnar(self) -> LineFormat:
        return replace(self, rows=None)

    def create_decoder(self, path: str) -> LineDecoder:
        return _CsvDecoder(self, path)


class _CsvDecoder(LineDecoder):
    def __init__(self, options: CsvFormat, path: str) -> None:
        self._options = options
        self._path = path
        head = _head(path)
        self._names = self._read_names(head)
        self._wanted = list(options.columns or self._names)
        missing = [name for name in [*self._wanted, *options.schema] if name not in self._names]
        if missing:
            raise UserError(
                f"{path} has no column {missing[0]!r}; its columns are {', '.join(self._names)}. "
                f"Correct columns= or schema=."
            )
        self._types = self._column_types(head)
        self._make: Callable[[list[list[Any]]], list[Any]] = (options.rows or dict_rows)(self._wanted)

    def decode(self, chunk: bytes, at_file_start: bool) -> DecodedChunk:
        import pyarrow as pa

        skipped = 0
        if at_file_start:
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
            if self._options.header:
                header_end = _row_end(chunk, self._options)
                skipped = chunk.count(b"\n", 0, header_end) or 1
                chunk = chunk[header_end:]
        if not chunk.strip():
            return DecodedChunk([])
        bad: list[BadLine] = []
        try:
            table = self._parse(chunk, bad, skipped)
        except (pa.ArrowInvalid, UnicodeDecodeError):
            return self._decode_each(chunk, skipped)
        if bad:
            return self._decode_each(chunk, skipped)
        if self._options.rows is None:
            batches = table.combine_chunks().to_batches()
            return DecodedChunk([], records=batches[0]) if batches else DecodedChunk([])
        columns = [column_values(column.combine_chunks()) for column in table.columns]
        return DecodedChunk(self._make(columns) if table.num_rows else [])

    def _parse(self, chunk: bytes, bad: list[BadLine], skipped: int) -> pa.Table:
        import pyarrow as pa
        import pyarrow.csv as pacsv

        def on_invalid(row: Any) -> str:
            bad.append(BadLine(skipped, row.text or "", "wrong number of columns"))
            return "skip"

        return pacsv.read_csv(
            pa.py_buffer(chunk),
            pacsv.ReadOptions(column_names=self._names, use_threads=False, block_size=max(len(chunk) + 1, 1 << 16)),
            self._parse_options(on_invalid),
            self._convert_options(self._types, self._wanted),
        )

    def _parse_options(self, on_invalid: Callable[[Any], str] | None = None) -> Any:
        import pyarrow.csv as pacsv

        return pacsv.ParseOptions(
            delimiter=self._options.delimiter,
            quote_char=self._options.quote or False,
            newlines_in_values=self._options.multiline,
            invalid_row_handler=on_invalid,
        )

    def _convert_options(self, types: Mapping[str, Any], columns: list[str] | None) -> Any:
        import pyarrow.csv as pacsv

        return pacsv.ConvertOptions(
            column_types=dict(types),
            null_values=list(self._options.null_values),
            strings_can_be_null=True,
            include_columns=columns,
        )

    def _read_names(self, head: bytes) -> list[str]:
        options = self._options
        if options.column_names is not None and not options.header:
            return list(options.column_names)
        first = next(_reader(head, options), None)
        if first is None:
            raise MalformedRecordError(f"{self._path} is empty: it has no header line. Give column_names=...")
        if options.header:
            names = list(options.column_names or first)
            if len(set(names)) != len(names):
                raise MalformedRecordError(f"{self._path}: the header names a column twice: {', '.join(names)}")
            return names
        return [f"f{index}" for index in range(len(first))]

    def _column_types(self, head: bytes) -> dict[str, Any]:
        declared = {name: _arrow_type(kind) for name, kind in self._options.schema.items()}
        if all(name in declared for name in self._wanted):
            return declared
        import pyarrow as pa
        import pyarrow.csv as pacsv

        body = head[_row_end(head, self._options) :] if self._options.header else head
        if not body.strip():
            return {name: declared.get(name, pa.string()) for name in self._names}
        read = pacsv.ReadOptions(column_names=self._names, use_threads=False, block_size=max(len(body) + 1, 1 << 16))
        options = self._parse_options(lambda row: "skip")
        as_text = dict.fromkeys(declared, pa.string())  # a bad value of theirs is told when its row is read
        table = pacsv.read_csv(pa.py_buffer(body), read, options, self._convert_options(as_text, None))
        found = {column.name: pa.string() if pa.types.is_null(column.type) else column.type for column in table.schema}
        return found | declared

    def _decode_each(self, chunk: bytes, skipped: int) -> DecodedChunk:
        """Row by row, to tell good rows from bad; only chunks with a bad row come here."""
        import pyarrow as pa

        decoded = DecodedChunk([])
        lines = split_lines(chunk)
        for index, line in enumerate(lines):
            if not line.strip():
                continue
            text = line.decode(errors="backslashreplace")
            cells: list[str] = next(_reader(line, self._options), [])
            if len(cells) != len(self._names):
                reason = f"{len(cells)} columns where {len(self._names)} are expected"
                if text.count(self._options.quote) % 2:
                    reason += " (an open quote: values with newlines need multiline=True)"
                decoded.bad.append(BadLine(skipped + index, text, reason))
                continue
            try:
                table = self._parse(line + b"\n", [], 0)
            except (pa.ArrowInvalid, UnicodeDecodeError):
                decoded.bad.append(BadLine(skipped + index, text, self._misfit(cells)))
                continue
            decoded.values.extend(self._make([column.to_pylist() for column in table.columns]))
        return decoded

    def _misfit(self, cells: list[str]) -> str:
        """Which cell does not fit its column."""
        import pyarrow as pa

        for name, cell in zip(self._names, cells, strict=True):
            if name not in self._wanted or cell in self._options.null_values:
                continue
            try:
                pa.array([cell]).cast(self._types[name])
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError):
                declared = "" if name in self._options.schema else " (as inferred from the start of the file)"
                return f"column {name}: {cell!r} is not of type {self._types.get(name)}{declared}"
        return "a value does not fit its column's type"


def _head(path: str) -> bytes:
    """The first whole lines of a file."""
    with open_binary(Path(path)) as stream:
        head = stream.read(INFERENCE_BYTES)
        if len(head) == INFERENCE_BYTES:
            head = head[: head.rfind(b"\n") + 1] or head
    return head.removeprefix(b"\xef\xbb\xbf")


def _reader(data: bytes, options: CsvFormat) -> Any:
    text = io.StringIO(data.decode(errors="backslashreplace"), newline="")
    return csv.reader(text, delimiter=options.delimiter, quotechar=options.quote or None)


def _row_end(data: bytes, options: CsvFormat) -> int:
    """Where the first row ends, quoted newlines respected."""
    end = 0
    while True:
        end = data.find(b"\n", end) + 1
        if end == 0:
            return len(data)
        if not options.multiline or data.count(options.quote.encode(), 0, end) % 2 == 0:
            return end


def _arrow_type(kind: Any) -> pa.DataType:
    import datetime

    import pyarrow as pa

    known = {
        int: pa.int64(),
        float: pa.float64(),
        str: pa.string(),
        bool: pa.bool_(),
        bytes: pa.binary(),
        datetime.datetime: pa.timestamp("us"),
        datetime.date: pa.date32(),
    }
    if isinstance(kind, pa.DataType):
        return kind
    if kind in known:
        return known[kind]
    names = ", ".join(k.__name__ for k in known)
    raise UserError(f"a CSV column cannot have the type {kind!r}; use {names} or an Arrow type")
