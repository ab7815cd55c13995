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

import google_crc32c

from millstream.core.errors import DamagedStateError


def write_durably(path: Path, parts: Iterable[bytes]) -> None:
    """Create ``path`` with these bytes, replacing what was there. ``OSError`` when the disk refuses."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with draft.open("xb") as stream:
            for part in parts:
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
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
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def crc32c(data: bytes | memoryview) -> int:
    """CRC-32C (Castagnoli), RFC 3720."""
    return int(google_crc32c.value(bytes(data)))


def read_section(path: Path, offset: int, length: int, checksum: int) -> bytes:
    """Part of a state file. Raises ``DamagedStateError`` that names the file when it is not what was written."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(length)
    except OSError as error:
        raise DamagedStateError(f"the state file {path} cannot be read: {error.strerror or error}") from error
    if len(data) != length:
        raise DamagedStateError(f"the state file {path} ends at byte {offset + len(data)}, not {offset + length}")
    if crc32c(data) != checksum:
        raise DamagedStateError(f"the state file {path} is damaged between bytes {offset} and {offset + length}")
    return data
