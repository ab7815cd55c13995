"""Opening plain, gzip and zstd files for reading."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import BinaryIO, Final, cast

_GZIP_SUFFIXES: Final = (".gz", ".gzip")
_ZSTD_SUFFIXES: Final = (".zst", ".zstd")


def is_compressed(path: Path | str) -> bool:
    """Whether the name says that the content is compressed; such a file is not cut into byte ranges."""
    return str(path).endswith(_GZIP_SUFFIXES + _ZSTD_SUFFIXES)


def open_binary(path: Path | str) -> BinaryIO:
    """The uncompressed content, as a stream that can skip forward. Raises OSError."""
    name = str(path)
    if name.endswith(_GZIP_SUFFIXES):
        return cast(BinaryIO, gzip.open(name, "rb"))
    if name.endswith(_ZSTD_SUFFIXES):
        import zstandard

        compressed = Path(name).open("rb")  # noqa: SIM115  closed with the reader
        reader = zstandard.ZstdDecompressor().stream_reader(compressed, closefd=True, read_across_frames=True)
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, reader), 1 << 20))
    return Path(name).open("rb")


def skip(stream: BinaryIO, offset: int) -> None:
    """Move a fresh stream to uncompressed ``offset``; compressed content is read and dropped in bounded pieces."""
    if stream.seekable():
        stream.seek(offset)
        return
    left = offset
    while left > 0:
        piece = stream.read(min(left, 1 << 20))
        if not piece:
            return
        left -= len(piece)
