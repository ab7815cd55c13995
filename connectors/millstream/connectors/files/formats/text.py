"""Plain text: a value a line."""

from __future__ import annotations

from typing import Any

from millstream.connectors.files.formats.line_format import LineDecoder, LineFormat, split_lines
from millstream.connectors.files.malformed import BadLine, DecodedChunk


class TextLineFormat(LineFormat):
    """Lines as ``str``, without their ends; ``encoding`` must be a superset of ASCII at the byte level."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = encoding

    def create_decoder(self, path: str) -> LineDecoder:
        return _TextDecoder(self.encoding)

    @property
    def produced_type(self) -> Any:
        from millstream.core.api.types import Types

        return Types.STRING()


class _TextDecoder(LineDecoder):
    def __init__(self, encoding: str) -> None:
        self._encoding = encoding

    def decode(self, chunk: bytes, at_file_start: bool) -> DecodedChunk:
        if at_file_start and self._encoding == "utf-8":
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        try:
            text = chunk.decode(self._encoding)
        except UnicodeDecodeError:
            return self._decode_each(chunk)
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        if "\r" in text:
            lines = [line.removesuffix("\r") for line in lines]
        return DecodedChunk(list(lines))

    def _decode_each(self, chunk: bytes) -> DecodedChunk:
        decoded = DecodedChunk([])
        for index, line in enumerate(split_lines(chunk)):
            try:
                decoded.values.append(line.decode(self._encoding))
            except UnicodeDecodeError as error:
                text = line.decode(self._encoding, "backslashreplace")
                decoded.bad.append(BadLine(index, text, f"not {self._encoding}: {error.reason}"))
        return decoded
