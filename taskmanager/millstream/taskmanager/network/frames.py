"""Frames: what travels on a data connection after the handshake.

Header, little-endian, 28 bytes::

    u16 magic | u8 version | u8 kind | u32 channel | u32 sequence | u32 length | u32 number
    | u32 payload crc | u32 header crc

``number`` is the backlog in DATA and DATA_MORE, the credit in OPEN and CREDIT. A payload is at most one segment; a
larger message is cut into DATA_MORE frames and a last DATA frame. Checksums are CRC32C. Whatever does not fit closes
the connection: nothing is allocated on the word of a header.
"""

from __future__ import annotations

import enum
import struct
from typing import Final, NamedTuple

import google_crc32c

from millstream.core.errors import ExternalError

MAGIC: Final = 0x4D53
VERSION: Final = 1
HEADER: Final = struct.Struct("<HBBIIIIII")
_CHECKED: Final = struct.Struct("<HBBIIIII")


class FrameKind(enum.IntEnum):
    """Who sends what."""

    DATA = 1
    """Producer: the end of an encoded batch, or all of it."""
    DATA_MORE = 2
    """Producer: a piece of an encoded batch; more follows."""
    CONTROL = 3
    """Producer: a control element. Costs a credit like data, so that order and bounds hold."""
    CREDIT = 4
    """Consumer: may send ``number`` more frames."""
    OPEN = 5
    """Consumer: wants a partition; the payload names it, ``number`` is the first credit."""
    REFUSE = 6
    """Producer: the partition will not come; the payload says why."""
    CLOSE = 7
    """Consumer: took the end of the data, or wants no more."""
    ERROR = 8
    """Producer: the channel ends early; the payload says why."""


class Frame(NamedTuple):
    kind: FrameKind
    channel: int
    sequence: int
    number: int
    payload: bytes


class FrameError(ExternalError):
    """Bytes that are no frame. The connection is closed."""


def pack_header(kind: FrameKind, channel: int, sequence: int, number: int, payload: bytes | memoryview) -> bytes:
    """The header of a frame with this payload."""
    crc = google_crc32c.value(payload) if len(payload) else 0
    checked = _CHECKED.pack(MAGIC, VERSION, kind, channel, sequence, len(payload), number, crc)
    header_crc: int = google_crc32c.value(checked)
    return checked + header_crc.to_bytes(4, "little")


class FrameParser:
    """Cuts received bytes into frames."""

    def __init__(self, segment_bytes_max: int) -> None:
        self._segment_bytes_max = segment_bytes_max
        self._buffer = bytearray()

    def feed(self, data: memoryview | bytes) -> list[Frame]:
        """All frames that ``data`` completes. Raises ``FrameError``; the stream is then useless."""
        buffer = self._buffer
        if buffer:
            buffer += data
            view = memoryview(buffer)
        else:
            view = memoryview(data)
        frames: list[Frame] = []
        position, size = 0, len(view)
        while size - position >= HEADER.size:
            magic, version, kind, channel, sequence, length, number, crc, header_crc = HEADER.unpack_from(
                view, position
            )
            self._check(magic, version, length, bytes(view[position : position + _CHECKED.size]), header_crc)
            end = position + HEADER.size + length
            if end > size:
                break
            payload = bytes(view[position + HEADER.size : end])
            if length and google_crc32c.value(payload) != crc:
                raise FrameError(f"the checksum of a frame of {length} bytes on channel {channel} does not match")
            try:
                frames.append(Frame(FrameKind(kind), channel, sequence, number, payload))
            except ValueError:
                raise FrameError(f"a frame has the unknown kind {kind}") from None
            position = end
        rest = bytes(view[position:])
        view.release()
        self._buffer = bytearray(rest)
        return frames

    def _check(self, magic: int, version: int, length: int, checked: bytes, header_crc: int) -> None:
        if magic != MAGIC:
            raise FrameError("bytes that are no Millstream frame")
        if version != VERSION:
            raise FrameError(f"a frame of data-plane version {version}; this process speaks version {VERSION}")
        if google_crc32c.value(checked) != header_crc:
            raise FrameError("the checksum of a frame header does not match")
        if length > self._segment_bytes_max:
            raise FrameError(f"a frame claims {length} bytes; the limit is {self._segment_bytes_max}")
