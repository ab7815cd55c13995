"""Optional compression of encoded batches, with a bound on what comes out."""

from __future__ import annotations

import struct
from typing import Any, Final

from millstream.core.errors import ConfigError, MalformedRecordError

_SIZE: Final = struct.Struct("<I")


class Compression:
    """``codec``: ``none``, ``lz4`` or ``zstd``. A compressed message is its plain length and the codec's bytes."""

    def __init__(self, codec: str, message_bytes_max: int) -> None:
        if codec not in ("none", "lz4", "zstd"):
            raise ConfigError(f"taskmanager.network.compression.codec is {codec!r}; choose none, lz4 or zstd")
        self._name = codec
        self._message_bytes_max = message_bytes_max
        self._codec: Any = None

    def compress(self, data: bytes) -> bytes:
        if self._name == "none":
            return data
        return _SIZE.pack(len(data)) + bytes(self._load().compress(data, asbytes=True))

    def decompress(self, data: bytes) -> bytes:
        """Raises ``MalformedRecordError`` when the bytes are damaged or claim too much."""
        if self._name == "none":
            return data
        if len(data) < _SIZE.size:
            raise MalformedRecordError("a compressed batch is cut short")
        (size,) = _SIZE.unpack_from(data)
        if size > self._message_bytes_max:
            raise MalformedRecordError(
                f"a compressed batch claims {size} bytes; the limit is {self._message_bytes_max}"
            )
        try:
            return bytes(self._load().decompress(data[_SIZE.size :], decompressed_size=size, asbytes=True))
        except OSError as error:
            raise MalformedRecordError(f"a compressed batch is damaged: {error}") from error

    def _load(self) -> Any:
        if self._codec is None:
            import pyarrow as pa

            self._codec = pa.Codec(self._name)
        return self._codec
