"""Settings of the data plane of one slot process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkSettings:
    """Sizes in bytes, times in seconds."""

    segment_bytes: int = 128 * 1024
    """Payload of a frame at most: one network buffer."""
    exclusive_buffers: int = 2
    """Buffers that belong to one channel."""
    floating_buffers: int = 8
    """Buffers that the channels of one gate share by backlog."""
    memory_bytes: int = 64 * 1024 * 1024
    """Received data that waits for its consumers, over all gates of the slot."""
    message_bytes_max: int = 256 * 1024 * 1024
    """One encoded batch at most; a single row may span many frames up to this."""
    handshake_timeout_s: float = 2.0
    partition_request_timeout_s: float = 10.0
    """How long a consumer waits for its producer to be there."""
    unauthenticated_connections_max: int = 64
    compression: str = "none"
    """``none``, ``lz4`` or ``zstd``."""
