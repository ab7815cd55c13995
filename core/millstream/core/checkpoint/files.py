"""Files that are there whole or not at all.

Written under another name, synchronised, renamed, and the directory synchronised: after a crash of the machine a file
has all its bytes or does not exist. An error of ``fsync`` means that the data is gone (the kernel marks the pages
clean), so it is never tried again on the same file.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import google_crc32c
import numpy as np

from millstream.core.failpoints import failpoint

_BLOCK_BYTES: Final = 1 << 20


def write_durably(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Create ``path`` with these bytes, replacing what was there. ``OSError`` when the disk refuses."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with draft.open("xb") as stream:
            for part in parts:
                stream.write(part)
            stream.flush()
            _sync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of a closed file durable."""
    with path.open("rb") as stream:
        _sync(stream.fileno())


def _sync(descriptor: int) -> None:
    failpoint("files.sync")
    os.fsync(descriptor)


def crc32c_of_file(path: Path) -> int:
    """The same of a whole file."""
    with path.open("rb") as stream:
        return crc32c_of_pieces(iter(lambda: stream.read(_BLOCK_BYTES), b""))


def crc32c_of_pieces(pieces: Iterable[bytes]) -> int:
    """The same of bytes behind each other."""
    checksum = 0
    for piece in pieces:
        checksum = int(google_crc32c.extend(checksum, piece))
    return checksum


def crc32c(data: bytes | memoryview) -> int:
    """CRC-32C (Castagnoli), RFC 3720."""
    return int(google_crc32c.value(data if isinstance(data, bytes) else np.frombuffer(data, np.uint8)))
