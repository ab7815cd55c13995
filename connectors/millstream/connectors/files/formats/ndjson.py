"""NDJSON: a JSON value a line, decoded by msgspec, a chunk at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypedDict, get_type_hints

import msgspec

from millstream.connectors.files.formats.line_format import LineDecoder, LineFormat, split_lines
from millstream.connectors.files.malformed import BadLine, DecodedChunk


class NdjsonFormat(LineFormat):
    """``schema`` decides what a line becomes:

    - None: what the JSON says (dict, list, str, ...);
    - a dict ``{"field": type}``: a dict with just these fields, checked;
    - a dataclass, NamedTuple or TypedDict: an instance of it, checked.

    With a schema only the named fields are decoded, which is several times faster for wide records.
    """

    def __init__(self, schema: Any = None) -> None:
        self.schema = schema

    def create_decoder(self, path: str) -> LineDecoder:
        return _NdjsonDecoder(_target_type(self.schema))

    @property
    def produced_type(self) -> Any:
        from millstream.core.api.types import infer_type

        return None if self.schema is None else infer_type(_target_type(self.schema))


def _target_type(schema: Any) -> Any:
    if schema is None:
        return Any
    if isinstance(schema, dict):
        return TypedDict("Record", schema)  # type: ignore[operator]
    return schema


class _NdjsonDecoder(LineDecoder):
    def __init__(self, target: Any) -> None:
        self._make: Callable[[Any], Any] | None = None
        if isinstance(target, type) and issubclass(target, tuple) and hasattr(target, "_fields"):
            target, self._make = _object_of(target)
        self._decoder = msgspec.json.Decoder(target)

    def decode(self, chunk: bytes, at_file_start: bool) -> DecodedChunk:
        if at_file_start:
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        try:
            values = self._decoder.decode_lines(chunk)
            return DecodedChunk(values if self._make is None else [self._make(value) for value in values])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._decode_each(chunk)

    def _decode_each(self, chunk: bytes) -> DecodedChunk:
        decoded = DecodedChunk([])
        for index, line in enumerate(split_lines(chunk)):
            if not line.strip():
                continue
            try:
                value = self._decoder.decode(line)
                decoded.values.append(value if self._make is None else self._make(value))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                decoded.bad.append(BadLine(index, line.decode(errors="backslashreplace"), _reason(str(error), line)))
        return decoded


def _object_of(record_class: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A struct with the fields of a NamedTuple, and how to make the NamedTuple of it.

    msgspec itself reads a NamedTuple from a JSON array only, and lines hold objects.
    """
    names, hints, defaults = record_class._fields, get_type_hints(record_class), record_class._field_defaults
    fields: list[Any] = [(n, hints.get(n, Any), *([defaults[n]] if n in defaults else [])) for n in names]
    read = attrgetter(*names)
    make = record_class if len(names) == 1 else record_class._make
    return msgspec.defstruct(record_class.__name__, fields), lambda struct: make(read(struct))


def _reason(message: str, line: bytes) -> str:
    """msgspec's words with the column counted from 1."""
    found = re.search(r"byte (\d+)", message)
    if found and "malformed" in message:
        return f"malformed JSON at column {int(found.group(1)) + 1}"
    if "truncated" in message:
        return f"malformed JSON: the line ends at column {len(line) + 1} inside a value"
    return f"the record does not fit the schema: {message}"
