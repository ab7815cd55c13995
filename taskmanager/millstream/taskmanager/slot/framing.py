"""Length-prefixed protobuf messages on the socket pair between a TaskManager and a slot process.

Each message is an unsigned 32-bit big-endian length and that many bytes. The pair is private to the two processes, yet
a length is still checked before it is believed: a slot runs user code that may write anywhere.
"""

from __future__ import annotations

import struct
from typing import Final, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from millstream.core.errors import ExternalError

MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024

_LENGTH: Final = struct.Struct(">I")

MessageT = TypeVar("MessageT", bound=Message)


def pack(message: Message) -> bytes:
    """The bytes of one framed message."""
    body = message.SerializeToString()
    if len(body) > MESSAGE_BYTES_MAX:
        raise ExternalError(f"a control message of {len(body)} bytes exceeds the limit of {MESSAGE_BYTES_MAX} bytes")
    return _LENGTH.pack(len(body)) + body


class Unpacker(Generic[MessageT]):
    """Cuts a byte stream into messages of one class.

    Raises ``ExternalError`` on a length beyond the limit or a body that does not parse; the stream is then useless.
    """

    def __init__(self, message_class: type[MessageT]) -> None:
        self._message_class = message_class
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[MessageT]:
        """All messages that ``data`` completes, in order."""
        self._buffer += data
        messages: list[MessageT] = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > MESSAGE_BYTES_MAX:
                raise ExternalError(f"a control message claims {length} bytes; the limit is {MESSAGE_BYTES_MAX}")
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            message = self._message_class()
            try:
                message.ParseFromString(bytes(self._buffer[start + _LENGTH.size : end]))
            except DecodeError as error:
                raise ExternalError(f"a control message of {length} bytes does not parse: {error}") from error
            messages.append(message)
            start = end
        del self._buffer[:start]
        return messages
