"""Frames: what travels on a data connection after the handshake.

Header, little-endian, 28 bytes::

    u16 magic | u8 version | u8 kind and flags | u32 channel | u32 sequence | u32 length | u32 number
    | u32 payload crc | u32 header crc

``number`` is the backlog in DATA and CONTROL, the credit in OPEN and CREDIT. A payload is at most one segment; a larger
message is cut into DATA frames of which all but the last carry the flag MORE. The flags LZ4 and ZSTD say how the whole
message is compressed, PLAIN that the payload has no checksum. Checksums are CRC32C. Whatever does not fit closes the
connection: nothing beyond a segment is allocated on the word of a header.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

import google_crc32c
import numpy as np

from millstream.core.errors import ExternalError

MAGIC: Final = 0x4D53
VERSION: Final = 1
HEADER: Final = struct.Struct("<HBBIIIIII")
_CHECKED: Final = struct.Struct("<HBBIIIII")
_AHEAD_BYTES: Final = 16 * 1024

KIND_BITS: Final = 0x0F
FLAG_LZ4: Final = 0x10
FLAG_ZSTD: Final = 0x20
FLAG_PLAIN: Final = 0x40
"""The payload has no checksum: the frame goes through a Unix socket, from memory to memory of one machine."""
FLAG_MORE: Final = 0x80

Bytes = bytes | memoryview


class FrameKind(enum.IntEnum):
    """Who sends what."""

    DATA = 1
    """Producer: an encoded batch, or a piece of one."""
    CONTROL = 2
    """Producer: a control element. Costs a credit like data, so that order and bounds hold."""
    CREDIT = 3
    """Consumer: may send ``number`` more frames."""
    OPEN = 4
    """Consumer: wants a partition; the payload names it, ``number`` is the first credit."""
    REFUSE = 5
    """Producer: the partition will not come; the payload says why."""
    CLOSE = 6
    """Consumer: took the end of the data, or wants no more."""
    ERROR = 7
    """Producer: the channel ends early; the payload says why."""
    URGENT = 8
    """Producer: a barrier that overtakes what waits for credit. Costs none and has no sequence; one a checkpoint."""


_KINDS: Final = {kind.value: kind for kind in FrameKind}


class Frame(NamedTuple):
    kind: FrameKind
    flags: int
    channel: int
    sequence: int
    number: int
    payload: Bytes


class FrameError(ExternalError):
    """Bytes that are no frame, or a frame that nobody may send. The connection is closed."""


def crc32c(data: Bytes) -> int:
    """The checksum of ``data``. The library takes bytes and arrays, but no memory views."""
    checksum: int = google_crc32c.value(data if type(data) is bytes else np.frombuffer(data, np.uint8))
    return checksum


def pack_header(
    kind: int, channel: int, sequence: int, number: int, payload: Sequence[Bytes] = (), flags: int = 0
) -> bytes:
    """The header of a frame whose payload is the concatenation of ``payload``; ``FLAG_PLAIN``: no checksum of it."""
    length, crc = sum(map(len, payload)), 0
    if not flags & FLAG_PLAIN:
        for part in payload:
            crc = google_crc32c.extend(crc, part if type(part) is bytes else np.frombuffer(part, np.uint8))
    checked = _CHECKED.pack(MAGIC, VERSION, kind | flags, channel, sequence, length, number, crc)
    header_crc: int = google_crc32c.value(checked)
    return checked + header_crc.to_bytes(4, "little")


class FrameParser:
    """Cuts received bytes into frames.

    The socket reads into ``buffers()``: the rest of the payload that is being received goes straight to its place, what
    follows goes to a small look-ahead buffer. ``received`` then says how many bytes came and gets the frames.
    """

    def __init__(self, segment_bytes_max: int) -> None:
        self._segment_bytes_max = segment_bytes_max
        self._ahead = memoryview(bytearray(_AHEAD_BYTES))
        self._ahead_filled = 0
        self._payload: memoryview | None = None
        self._payload_filled = 0
        self._header: tuple[FrameKind, int, int, int, int, int] | None = None

    def buffers(self) -> list[memoryview]:
        """Where the next bytes go, in order. Never empty."""
        if self._payload is not None:
            return [self._payload[self._payload_filled :], self._ahead]
        return [self._ahead[self._ahead_filled :]]

    def received(self, count: int) -> list[Frame]:
        """The frames that the next ``count`` bytes complete. Raises ``FrameError``; the stream is then useless."""
        frames: list[Frame] = []
        if self._payload is not None:
            missing = len(self._payload) - self._payload_filled
            if count < missing:
                self._payload_filled += count
                return frames
            count -= missing
            payload, self._payload = self._payload, None
            frames.append(self._frame(payload.toreadonly()))
        self._ahead_filled += count
        self._parse_ahead(frames)
        return frames

    def feed(self, data: Bytes) -> list[Frame]:
        """The same for bytes that are in memory already."""
        frames: list[Frame] = []
        view = memoryview(data)
        while view:
            count = 0
            for buffer in self.buffers():
                size = min(len(buffer), len(view))
                buffer[:size] = view[:size]
                view = view[size:]
                count += size
            frames += self.received(count)
        return frames

    def _parse_ahead(self, frames: list[Frame]) -> None:
        ahead, position, end = self._ahead, 0, self._ahead_filled
        while end - position >= HEADER.size:
            length = self._read_header(position)
            position += HEADER.size
            if length <= end - position:
                frames.append(self._frame(bytes(ahead[position : position + length])))
                position += length
                continue
            # Not zeroed: every byte is overwritten before the frame is complete.
            self._payload = np.empty(length, np.uint8).data
            self._payload_filled = end - position
            self._payload[: end - position] = ahead[position:end]
            position = end
        if position:
            rest = bytes(ahead[position:end])
            ahead[: len(rest)] = rest
            self._ahead_filled = len(rest)

    def _read_header(self, position: int) -> int:
        """Check the header at ``position`` of the look-ahead buffer and remember it; returns the payload's length."""
        magic, version, kind, channel, sequence, length, number, crc, header_crc = HEADER.unpack_from(
            self._ahead, position
        )
        if magic != MAGIC:
            raise FrameError("bytes that are no Millstream frame")
        if version != VERSION:
            raise FrameError(f"a frame of data-plane version {version}; this process speaks version {VERSION}")
        if google_crc32c.value(bytes(self._ahead[position : position + _CHECKED.size])) != header_crc:
            raise FrameError("the checksum of a frame header does not match")
        if length > self._segment_bytes_max:
            raise FrameError(
                f"a frame claims {length} bytes; the limit here is {self._segment_bytes_max} "
                f"(taskmanager.memory.segment-size, which all TaskManagers must share)"
            )
        known = _KINDS.get(kind & KIND_BITS)
        flags = kind & ~KIND_BITS
        if known is None or (flags & ~FLAG_PLAIN and known is not FrameKind.DATA):
            raise FrameError(f"a frame has the unknown kind {kind:#04x}")
        self._header = known, flags, channel, sequence, number, crc
        return int(length)

    def _frame(self, payload: Bytes) -> Frame:
        assert self._header is not None
        kind, flags, channel, sequence, number, crc = self._header
        if not flags & FLAG_PLAIN and len(payload) and crc32c(payload) != crc:
            raise FrameError(f"the checksum of a frame of {len(payload)} bytes on channel {channel} does not match")
        return Frame(kind, flags, channel, sequence, number, payload)
