"""Bytes in a file of their own that can tell whether they are what was written.

``mark (4 bytes) | u32 format | u32 length | u32 CRC-32C | body``, little-endian.
"""

from __future__ import annotations

import struct
from typing import Final

from millstream.core.checkpoint.files import crc32c
from millstream.core.errors import DamagedStateError

_HEAD: Final = struct.Struct("<4sIII")
_BYTES_MAX: Final = 1 << 30


class Framing:
    """Of one kind of file. ``mark``: its first four bytes; ``kind``: what messages call it ("the manifest of ...")."""

    def __init__(self, mark: bytes, version: int, kind: str) -> None:
        self._mark = mark
        self._version = version
        self._kind = kind

    def seal(self, body: bytes, name: bytes = b"") -> list[bytes]:
        """The bytes of the file. With a ``name`` they are damaged under any other one."""
        return [_HEAD.pack(self._mark, self._version, len(body), crc32c(name + body)), body]

    def open(self, data: bytes, path: str, name: bytes = b"") -> bytes:
        """The body; ``path`` is for messages. Raises ``DamagedStateError`` that says what is wrong."""
        if len(data) < _HEAD.size or data[:4] != self._mark:
            raise DamagedStateError(f"{path} is not {self._kind}")
        _, version, length, checksum = _HEAD.unpack_from(data)
        if version != self._version:
            raise DamagedStateError(
                f"{path} has format {version}; this release reads format {self._version}. "
                f"Use the release that wrote it."
            )
        body = data[_HEAD.size :]
        if len(body) != length or length > _BYTES_MAX:
            raise DamagedStateError(f"{path} is torn: it holds {len(body)} bytes of {length}")
        if crc32c(name + body) != checksum:
            raise DamagedStateError(f"{path} is damaged: its checksum does not fit")
        return body
