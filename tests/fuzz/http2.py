"""As much of HTTP/2 as it takes to call a gRPC server by hand, right or wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM: Final = 1
END_HEADERS: Final = 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """``length``: what the head says of the payload, if that is not true."""
    told = len(payload) if length is None else length
    return (
        (told & 0xFFFFFF).to_bytes(3) + bytes((kind & 0xFF, flags & 0xFF)) + (stream & 0xFFFFFFFF).to_bytes(4) + payload
    )


def opening() -> bytes:
    """What a client begins with."""
    return PREFACE + frame(SETTINGS, 0, 0)


def header_block(headers: Iterable[tuple[str, str]]) -> bytes:
    """HPACK: literals that nobody has to remember."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in headers)


def call(
    path: str, metadata: Iterable[tuple[str, str]], message: bytes, stream: int, claimed: int | None = None
) -> bytes:
    """A unary call: two frames. ``claimed``: the length that its message is said to have."""
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "millstream"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *metadata,
    ]
    length = len(message) if claimed is None else claimed
    body = b"\0" + (length & 0xFFFFFFFF).to_bytes(4) + message
    return frame(HEADERS, END_HEADERS, stream, header_block(headers)) + frame(DATA, END_STREAM, stream, body)


def _text(text: str) -> bytes:
    data = text.encode()
    if len(data) < 127:
        return bytes((len(data),)) + data
    rest, head = len(data) - 127, b"\x7f"
    while rest >= 128:
        head += bytes((rest % 128 + 128,))
        rest //= 128
    return head + bytes((rest,)) + data
