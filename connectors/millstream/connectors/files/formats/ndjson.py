"""NDJSON: a JSON value a line, decoded by msgspec, a chunk at a time."""

from __future__ import annotations

import re
from typing import Any, TypedDict

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
        self._decoder = msgspec.json.Decoder(target)

    def decode(self, chunk: bytes, at_file_start: bool) -> DecodedChunk:
        if at_file_start:
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        try:
            return DecodedChunk(self._decoder.decode_lines(chunk))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._decode_each(chunk)

    def _decode_each(self, chunk: bytes) -> DecodedChunk:
        decoded = DecodedChunk([])
        for index, line in enumerate(split_lines(chunk)):
            if not line.strip():
                continue
            try:
                decoded.values.append(self._decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                decoded.bad.append(BadLine(index, line.decode(errors="backslashreplace"), _reason(str(error), line)))
        return decoded


def _reason(message: str, line: bytes) -> str:
    """msgspec's words with the column counted from 1."""
    found = re.search(r"byte (\d+)", message)
    if found and "malformed" in message:
        return f"malformed JSON at column {int(found.group(1)) + 1}"
    if "truncated" in message:
        return f"malformed JSON: the line ends at column {len(line) + 1} inside a value"
    return f"the record does not fit the schema: {message}"
