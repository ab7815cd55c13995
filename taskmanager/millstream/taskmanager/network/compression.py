"""Optional compression of encoded batches, with a bound on what comes out.

A compressed message is its plain length as ``u32`` and the codec's bytes. Each frame names its codec, so the setting of
the sender decides and the receiver follows.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from millstream.core.errors import ConfigError, MalformedRecordError
from millstream.taskmanager.network.frames import FLAG_LZ4, FLAG_ZSTD, Bytes

_SIZE: Final = struct.Struct("<I")
_FLAGS: Final = {"none": 0, "lz4": FLAG_LZ4, "zstd": FLAG_ZSTD}
_NAMES: Final = {flag: name for name, flag in _FLAGS.items()}
_WORTHWHILE_BYTES: Final = 512


class Compression:
    """``codec``: ``none``, ``lz4`` or ``zstd``; ``message_bytes_max`` bounds what decompression makes."""

    def __init__(self, codec: str, message_bytes_max: int) -> None:
        if codec not in _FLAGS:
            raise ConfigError(f"taskmanager.network.compression.codec is {codec!r}; choose none, lz4 or zstd")
        self._name = codec
        self._message_bytes_max = message_bytes_max
        self._codecs: dict[str, Any] = {}

    @property
    def is_on(self) -> bool:
        return self._name != "none"

    def compress(self, data: Bytes) -> tuple[int, Bytes]:
        """The flags for the frames of a message, and its bytes; as they are where compression does not pay."""
        if not self.is_on or len(data) < _WORTHWHILE_BYTES:
            return 0, data
        packed = self._codec(self._name).compress(data, asbytes=True)
        if len(packed) + _SIZE.size >= len(data):
            return 0, data
        return _FLAGS[self._name], _SIZE.pack(len(data)) + packed

    def decompress(self, flags: int, data: Bytes) -> Bytes:
        """Raises ``MalformedRecordError`` when the bytes are damaged or claim too much."""
        flags &= FLAG_LZ4 | FLAG_ZSTD
        if not flags:
            return data
        name = _NAMES.get(flags)
        if name is None or len(data) < _SIZE.size:
            raise MalformedRecordError("a compressed batch is cut short or names two codecs")
        (size,) = _SIZE.unpack_from(data)
        if size > self._message_bytes_max:
            raise MalformedRecordError(
                f"a compressed batch claims {size} bytes; the limit is {self._message_bytes_max}"
            )
        import pyarrow as pa

        source = pa.py_buffer(memoryview(data)[_SIZE.size :])
        try:
            return memoryview(self._codec(name).decompress(source, decompressed_size=size))
        except (OSError, ValueError) as error:
            raise MalformedRecordError(f"a compressed batch is damaged: {error}") from error

    def _codec(self, name: str) -> Any:
        """pyarrow is loaded only where something is compressed."""
        codec = self._codecs.get(name)
        if codec is None:
            import pyarrow as pa

            codec = self._codecs[name] = pa.Codec(name)
        return codec
