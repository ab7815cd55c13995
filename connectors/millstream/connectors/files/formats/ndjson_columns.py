"""NDJSON straight to Arrow: the kernel finds and decodes the wanted values, this module makes columns of its cells."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.connectors.files.formats.arrow_buffers import array_of, string_array, struct_of
from millstream.connectors.files.formats.json_schema import JsonField, JsonOptions, JsonSchema
from millstream.connectors.files.formats.json_values import converter, round_decimal
from millstream.connectors.files.formats.line_format import LineDecoder, LineFormat
from millstream.connectors.files.malformed import BadLine, DecodedChunk
from millstream.core.kernels import ndjson
from millstream.core.kernels.byte_scan import PADDING, count_lines
from millstream.core.kernels.json_text import BROKEN, gather_strings
from millstream.core.kernels.number_text import INVALID, LATER, NULL
from millstream.core.table.projection import zero_column_batch

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_PREVIEW_BYTES: Final = 1000
_MISSING: Final = 4
"""State of a cell whose field the line does not have, where that is an error."""
_REASONS: Final = {
    ndjson.NO_OBJECT: "malformed JSON: a row must be an object",
    ndjson.NO_KEY: "malformed JSON: a field name in quotes is missing",
    ndjson.NO_COLON: "malformed JSON: a colon is missing after the field name",
    ndjson.OPEN_STRING: "malformed JSON: a string is not closed",
    ndjson.NO_COMMA: "malformed JSON: a comma or a closing brace is missing",
    ndjson.CUT_OFF: "malformed JSON: the line ends inside the object",
    ndjson.TRAILING: "malformed JSON: something follows the object",
    ndjson.TOO_DEEP: "objects are nested too deeply",
}


class NdjsonColumnFormat(LineFormat):
    """``names``: the wanted columns of ``schema``, in order; dots lead into ROW fields."""

    emits_columns = True

    def __init__(self, schema: pa.Schema, names: tuple[str, ...], options: JsonOptions) -> None:
        self.schema = schema
        self.names = names
        self.options = options
        JsonSchema(schema, names, options)

    def create_decoder(self, path: str) -> LineDecoder:
        return NdjsonColumns(JsonSchema(self.schema, self.names, self.options))


class NdjsonColumns(LineDecoder):
    """Decodes chunks of lines. Its arrays are used again for each chunk; batches do not refer to them."""

    def __init__(self, schema: JsonSchema) -> None:
        self._schema = schema
        options = schema.options
        self._lenient = options.lenient
        self._unseen = _MISSING if options.fail_on_missing else NULL
        self._buffer: npt.NDArray[np.uint8] = np.zeros(PADDING, np.uint8)
        self._work: npt.NDArray[np.int64] = np.empty(ndjson.work_size(len(schema.fields)), np.int64)
        self._scratch: npt.NDArray[np.uint8] = np.empty(ndjson.SCRATCH_BYTES, np.uint8)
        self._room = 0
        self._rows = 0
        self._wrong: dict[int, str] = {}
        """Rows that the kernel accepted and the columns do not, with the reason."""

    def decode(self, chunk: bytes, at_file_start: bool) -> DecodedChunk:
        if at_file_start:
            chunk = chunk.removeprefix(_BYTE_ORDER_MARK)
        self._take(chunk)
        lines = count_lines(self._buffer, len(chunk)) + 1
        self._reserve(lines)
        schema = self._schema
        self._rows, faults = ndjson.decode_lines(
            self._buffer, len(chunk), schema.nodes, schema.keys, self._cells.view(np.float64), self._cells,
            self._states, self._room, self._unseen, self._starts, self._bad, self._work, self._scratch,
        )  # fmt: skip
        self._wrong = {}
        nulled = self._count_invalid() if self._lenient else 0
        if self._unseen == _MISSING:
            self._find_missing(schema.root, np.ones(self._rows, np.bool_))
        columns = [self._column(node) for node in schema.columns]
        records = (
            pa.RecordBatch.from_arrays(columns, schema=schema.output) if columns else zero_column_batch(self._rows)
        )
        bad = [self._bad_line(chunk, *fault) for fault in self._bad.reshape(-1, ndjson.BAD_FIELDS)[:faults].tolist()]
        if self._lenient:
            nulled += len(self._wrong)
        elif self._wrong:
            records = records.filter(pa.array(np.isin(np.arange(self._rows), list(self._wrong), invert=True)))
            bad += [self._late_line(chunk, row) for row in sorted(self._wrong)]
            bad.sort(key=lambda line: line.index)
        return DecodedChunk([], bad, records, nulled)

    def _take(self, chunk: bytes) -> None:
        needed = len(chunk) + PADDING
        if len(self._buffer) < needed:
            self._buffer = np.zeros(needed + needed // 4, np.uint8)
        self._buffer[: len(chunk)] = np.frombuffer(chunk, np.uint8)
        self._buffer[len(chunk) : needed] = 0

    def _reserve(self, lines: int) -> None:
        slots = len(self._schema.slots)
        if lines > self._room:
            self._room = lines + lines // 4
            self._cells: npt.NDArray[np.int64] = np.empty(slots * self._room, np.int64)
            self._states: npt.NDArray[np.uint8] = np.empty(slots * self._room, np.uint8)
            self._starts: npt.NDArray[np.int64] = np.empty(self._room, np.int64)
            self._bad: npt.NDArray[np.int64] = np.empty(self._room * ndjson.BAD_FIELDS, np.int64)
        self._states.reshape(slots, self._room)[:, :lines] = self._unseen

    def _column(self, node: JsonField) -> pa.Array:
        kind, rows = node.type, self._rows
        assert kind is not None
        first = node.slot * self._room
        cells, states = self._cells[first : first + rows], self._states[first : first + rows]
        if pa.types.is_struct(kind):
            members = {child.name: child for child in node.children}
            return struct_of(kind, [self._column(members[member.name]) for member in kind], states)
        if pa.types.is_string(kind):
            return self._strings(node, cells, states)
        if pa.types.is_binary(kind):
            texts = self._strings(node, cells, states)
            return self._converted(node, texts.to_pylist(), lambda text: base64.b64decode(text, validate=True))
        if int(self._schema.nodes[self._schema.fields.index(node) * ndjson.NODE_FIELDS + ndjson.KIND]) == ndjson.JSON:
            convert = converter(kind, self._schema.options.separator)
            texts = [self._text(cells, row) if states[row] else None for row in range(rows)]
            return self._converted(node, texts, lambda text: convert(msgspec.json.decode(text)))
        if (states == LATER).any():
            return self._computed_later(node, cells, states)
        return array_of(kind, cells, states)

    def _count_invalid(self) -> int:
        """Values that did not fit become NULL; how many there were."""
        states = self._states.reshape(len(self._schema.slots), self._room)[:, : self._rows]
        invalid = states == INVALID
        states[invalid] = NULL
        return int(np.count_nonzero(invalid))

    def _find_missing(self, parent: JsonField, present: npt.NDArray[np.bool_]) -> None:
        """Rows in which ``parent`` is present and one of its fields is not."""
        for node in parent.children:
            first = node.slot * self._room
            states = self._states[first : first + self._rows]
            for row in np.flatnonzero(present & (states == _MISSING)).tolist():
                self._wrong.setdefault(row, f"the field {node.name} is missing")
            states[states == _MISSING] = NULL
            self._find_missing(node, states != NULL)

    def _strings(self, node: JsonField, cells: npt.NDArray[np.int64], states: npt.NDArray[np.uint8]) -> pa.Array:
        cells[states == NULL] = 0
        room = int(((cells & 0xFFFFFFFF) >> 1).sum()) + PADDING
        offsets, data = np.empty(len(cells) + 1, np.int32), np.empty(room, np.uint8)
        if gather_strings(self._buffer, cells, states, offsets, data):
            for row in np.flatnonzero(states == BROKEN).tolist():
                self._wrong.setdefault(row, f"{node.name}: the string has an invalid escape or is not UTF-8")
            states[states == BROKEN] = NULL
        return string_array(offsets, data, states)

    def _computed_later(self, node: JsonField, cells: npt.NDArray[np.int64], states: npt.NDArray[np.uint8]) -> pa.Array:
        """Numbers that the kernel could not compute exactly."""
        kind = node.type
        assert kind is not None
        later = np.flatnonzero(states == LATER).tolist()
        texts = {row: self._text(cells, row).decode() for row in later}
        if pa.types.is_floating(kind):
            doubles = cells.view(np.float64)
            for row, text in texts.items():
                doubles[row] = float(text)
            return array_of(kind, cells, states)
        cells[later] = 0
        values = array_of(kind, cells, states).to_pylist()
        for row, text in texts.items():
            values[row] = round_decimal(text, kind.precision, kind.scale)
        return pa.array(values, kind)

    def _converted(self, node: JsonField, values: list[Any], convert: Callable[[Any], Any]) -> pa.Array:
        for row, value in enumerate(values):
            if value is not None:
                try:
                    values[row] = convert(value)
                    pa.scalar(values[row], node.type)
                except (ValueError, OverflowError, pa.ArrowInvalid, pa.ArrowTypeError, binascii.Error) as error:
                    values[row] = None
                    self._wrong.setdefault(row, f"{node.name} is no {node.type}: {error}")
        return pa.array(values, node.type)

    def _text(self, cells: npt.NDArray[np.int64], row: int) -> bytes:
        span = int(cells[row])
        start = span >> 32
        return bytes(self._buffer[start : start + ((span & 0xFFFFFFFF) >> 1)])

    def _bad_line(self, chunk: bytes, start: int, place: int, reason: int, node: int) -> BadLine:
        text = _line_at(chunk, start)
        column = place - start + 1
        field, value = self._schema.fields[node], _value_at(chunk, place)
        if reason == ndjson.WRONG_VALUE:
            return _bad(chunk, start, text, f"{field.name} is no {field.type or 'object'}: {value} at column {column}")
        if reason == ndjson.TOO_LARGE:
            return _bad(chunk, start, text, f"{field.name} does not fit {field.type}: {value} at column {column}")
        return _bad(chunk, start, text, f"{_REASONS[reason]}, at column {column}")

    def _late_line(self, chunk: bytes, row: int) -> BadLine:
        start = int(self._starts[row])
        return _bad(chunk, start, _line_at(chunk, start), self._wrong[row])


def _bad(chunk: bytes, start: int, text: str, reason: str) -> BadLine:
    return BadLine(chunk.count(b"\n", 0, start), text, reason)


def _line_at(chunk: bytes, start: int) -> str:
    end = chunk.find(b"\n", start)
    line = chunk[start : len(chunk) if end < 0 else end]
    return line[:_PREVIEW_BYTES].removesuffix(b"\r").decode(errors="backslashreplace")


def _value_at(chunk: bytes, place: int) -> str:
    """The beginning of what stands where the mistake is."""
    return chunk[place : place + 40].split(b"\n")[0].split(b",")[0].decode(errors="backslashreplace")
