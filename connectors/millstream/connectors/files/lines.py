"""Cutting a byte range of a file into chunks of whole lines.

A line belongs to the range that holds its first byte. So a range that starts inside a line skips to the next one, and
reads past its end to finish its last line. Chunks are sized so that they hold about the wanted number of rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

from millstream.connectors.files.compression import open_binary, skip
from millstream.connectors.files.split import FileSplit
from millstream.core.errors import MalformedRecordError

FIRST_CHUNK_BYTES: Final = 16 * 1024
READ_BYTES_MIN: Final = 4 * 1024
CHUNK_BYTES_MAX: Final = 4 * 1024 * 1024
SAMPLE_BYTES: Final = 64 * 1024
"""Of a chunk, from which the length of its lines is estimated."""
LINE_BYTES_MAX: Final = 64 * 1024 * 1024


class LineChunks:
    """Whole-line chunks of one split, from its position on. ``position`` is always the start of the next line."""

    def __init__(self, split: FileSplit) -> None:
        self.path = split.path
        self.start = split.start
        self.position = split.position
        self._stop = split.stop
        self._line_bytes = 0.0  # on average, of the last chunk
        self._rest = b""
        self._ended = False
        self._stream: BinaryIO = open_binary(Path(split.path))
        if split.position == split.start and split.start > 0:
            # One byte earlier: when it is a newline, the first line of this range is whole.
            skip(self._stream, split.start - 1)
            self.position = split.start - 1
            self._drop_first_line()
        else:
            skip(self._stream, split.position)

    def next(self, rows_wanted: int) -> tuple[int, bytes] | None:
        """``(offset of its first byte, lines including their newlines)``, or None at the end of the range.

        About ``rows_wanted`` lines, if they are about as long as those before.
        """
        if self._ended or (self._stop is not None and self.position >= self._stop):
            return None
        offset = self.position
        wanted = int(rows_wanted * self._line_bytes) or FIRST_CHUNK_BYTES
        data = self._read_whole_lines(min(CHUNK_BYTES_MAX, wanted))
        if not data:
            self._ended = True
            return None
        if self._stop is not None and offset + len(data) > self._stop:
            data = self._cut_at_stop(data, self._stop - offset)
        self.position = offset + len(data)
        sample_bytes = min(len(data), SAMPLE_BYTES)
        self._line_bytes = sample_bytes / max(1, data.count(b"\n", 0, sample_bytes))
        return offset, data

    def close(self) -> None:
        self._stream.close()

    def _read_whole_lines(self, chunk_bytes: int) -> bytes:
        """At least one line and about ``chunk_bytes``; what else was read is kept in ``_rest``."""
        if len(self._rest) >= chunk_bytes and (cut := _end_of_lines(self._rest, chunk_bytes)) >= 0:
            data, self._rest = self._rest[: cut + 1], self._rest[cut + 1 :]
            return data
        parts: list[bytes | memoryview] = [self._rest]
        held = len(self._rest)
        self._rest = b""
        while True:
            piece = self._stream.read(max(chunk_bytes - held, READ_BYTES_MIN))
            if not piece:
                return b"".join(parts)
            cut = _end_of_lines(piece, max(1, chunk_bytes - held))
            if cut >= 0:
                parts.append(memoryview(piece)[: cut + 1])
                self._rest = piece[cut + 1 :]
                return b"".join(parts)
            parts.append(piece)
            held += len(piece)
            if held > LINE_BYTES_MAX:
                raise MalformedRecordError(
                    f"{self.path}: a line at byte {self.position} is longer than {LINE_BYTES_MAX} bytes"
                )

    def _cut_at_stop(self, data: bytes, limit: int) -> bytes:
        """Keep the lines that start before ``limit``; the rest belongs to the next range."""
        self._ended = True
        end = data.find(b"\n", limit - 1)
        return data if end < 0 else data[: end + 1]

    def _drop_first_line(self) -> None:
        while True:
            piece = self._stream.read(READ_BYTES_MIN)
            if not piece:
                self._ended = True
                return
            cut = piece.find(b"\n")
            if cut >= 0:
                self.position += cut + 1
                self._rest = piece[cut + 1 :]
                return
            self.position += len(piece)


def _end_of_lines(data: bytes, wanted: int) -> int:
    """Where the last newline within ``wanted`` bytes is, else the first one after them; -1 for none."""
    cut = data.rfind(b"\n", 0, wanted)
    return cut if cut >= 0 else data.find(b"\n", wanted)
