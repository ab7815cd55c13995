"""Arrow batches to the lines of NDJSON and CSV files, without a Python object a row."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.connectors.files.formats.column_text import TextColumn, column_text, plain, states_of
from millstream.connectors.files.formats.csv_columns import CsvOptions
from millstream.core.kernels.byte_scan import PADDING
from millstream.core.kernels.text_rows import CSV_CELL, JSON_STRING, PLAIN, join_rows, room_for

_ROWS_AT_ONCE = 16 * 1024


@dataclass(frozen=True)
class JsonRows:
    """Objects by column name. ``skip_nulls`` leaves NULL fields out."""

    separator: str = " "
    skip_nulls: bool = False

    def encode(self, records: pa.RecordBatch) -> list[npt.NDArray[np.uint8]]:
        """The lines, in one or more pieces."""
        return [
            self._join(records.slice(at, _ROWS_AT_ONCE), b"}\n")[0] for at in range(0, records.num_rows, _ROWS_AT_ONCE)
        ]

    def _join(self, records: pa.RecordBatch, closing: bytes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        columns = [self._column(column) for column in records.columns]
        fixed = [b"{", closing, b"null", *(json.dumps(name).encode() + b":" for name in records.schema.names)]
        styles = [JSON_STRING if column.is_string else PLAIN for column in columns]
        return _join(columns, records.num_rows, fixed, styles, CsvOptions(quote=None), self.skip_nulls)

    def _column(self, column: pa.Array) -> TextColumn:
        if not pa.types.is_struct(column.type):
            return column_text(column, self.separator, as_json=True)
        fields = pa.RecordBatch.from_arrays(column.flatten(), names=[field.name for field in column.type])
        data, ends = self._join(fields, b"}")
        return TextColumn(np.concatenate([np.zeros(1, np.int64), ends]), data, states_of(column), False)


@dataclass(frozen=True)
class CsvRows:
    """Cells in column order, no header."""

    options: CsvOptions

    def encode(self, records: pa.RecordBatch) -> list[npt.NDArray[np.uint8]]:
        """The lines, in one or more pieces."""
        return [self._join(records.slice(at, _ROWS_AT_ONCE)) for at in range(0, records.num_rows, _ROWS_AT_ONCE)]

    def _join(self, records: pa.RecordBatch) -> npt.NDArray[np.uint8]:
        columns = [column_text(self._lists(column), " ", as_json=False) for column in records.columns]
        null = (self.options.null_literal or "").encode()
        fixed = [b"", b"\n", null, *([b""] * len(columns))]
        return _join(columns, records.num_rows, fixed, [CSV_CELL] * len(columns), self.options, False)[0]

    def _lists(self, column: pa.Array) -> pa.Array:
        if not pa.types.is_list(column.type):
            return column
        if pa.types.is_string(column.type.value_type):
            return pc.binary_join(column, self.options.array_delimiter)
        item = column.type.value_type
        texts = [
            None
            if value is None
            else self.options.array_delimiter.join("" if v is None else str(plain(v, item, " ")) for v in value)
            for value in column.to_pylist()
        ]
        return pa.array(texts, pa.string())


def _join(
    columns: list[TextColumn], rows: int, fixed: list[bytes], styles: list[int], options: CsvOptions, skip_nulls: bool
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The rows and where each ends."""
    frame = b"".join(fixed)
    marks = np.concatenate([[0], np.cumsum([len(part) for part in fixed])]).astype(np.int64)
    parts = [np.frombuffer(frame, np.uint8)]
    offsets, place = [], len(frame)
    for column in columns:
        offsets.append(column.offsets + place)
        parts.append(column.data)
        place += len(column.data)
    text = np.concatenate([*parts, np.zeros(PADDING, np.uint8)])
    room = room_for(place - len(frame), len(frame), len(fixed[2]), len(columns), rows) + PADDING
    out: npt.NDArray[np.uint8] = np.empty(room, np.uint8)
    ends: npt.NDArray[np.int64] = np.empty(rows, np.int64)
    no_columns = [np.zeros(0, np.int64)]
    size = join_rows(
        text,
        np.concatenate(offsets or no_columns),
        np.concatenate([column.states for column in columns] or [np.zeros(0, np.uint8)]),
        np.array(styles, np.int64),
        marks,
        np.array([_code(options.delimiter), _code(options.quote), _code(options.escape)], np.int64),
        skip_nulls,
        ends,
        out,
    )
    return out[:size], ends


def _code(character: str | None) -> int:
    return -1 if character is None else ord(character)
