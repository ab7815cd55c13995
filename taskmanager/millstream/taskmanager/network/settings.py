"""Settings of the data plane of one slot process."""

from __future__ import annotations

from dataclasses import dataclass

from millstream.core.errors import ConfigError


@dataclass(frozen=True)
class NetworkSettings:
    """Sizes in bytes, times in seconds. Raises ``ConfigError`` for values that cannot work."""

    segment_bytes: int = 128 * 1024
    """Payload of a frame at most: one network buffer."""
    exclusive_buffers: int = 2
    """Buffers that belong to one channel."""
    floating_buffers: int = 32
    """Buffers that the channels of one gate share by backlog."""
    memory_bytes: int = 64 * 1024 * 1024
    """Received data that waits for its consumers, over all gates of the slot."""
    message_bytes_max: int = 256 * 1024 * 1024
    """One encoded batch at most; a single row may span many frames up to this."""
    queue_bytes_max: int = 512 * 1024
    """Rows (by estimate) that wait at a producer for one consumer before the producer is held back."""
    handshake_timeout_s: float = 2.0
    """How long a peer may take to say hello."""
    partition_request_timeout_s: float = 60.0
    """How long a consumer waits for its producer to be there."""
    loss_grace_s: float = 1.0
    """How long a channel whose peer vanished waits before it fails: the cause, known to the peer's TaskManager, should
    reach the JobManager first."""
    dial_backoff_s: float = 0.05
    """Wait before the second attempt to connect; doubles up to a second."""
    unauthenticated_connections_max: int = 64
    channels_max: int = 65_536
    """Channels that one connection may open, and consumers that may wait for partitions."""
    compression: str = "none"
    """``none``, ``lz4`` or ``zstd``."""

    def __post_init__(self) -> None:
        if self.segment_bytes < 1024:
            raise ConfigError(
                f"taskmanager.memory.segment-size is {self.segment_bytes} bytes; it must be at least 1024 (1 kb)"
            )
        if self.exclusive_buffers < 1 or self.floating_buffers < 0:
            raise ConfigError(
                f"taskmanager.network.memory.buffers-per-channel is {self.exclusive_buffers} and must be at least 1; "
                f"floating-buffers-per-gate is {self.floating_buffers} and must not be negative"
            )
        if self.memory_bytes < self.segment_bytes:
            raise ConfigError(
                f"taskmanager.memory.network.size is {self.memory_bytes} bytes, less than one buffer of "
                f"{self.segment_bytes} bytes (taskmanager.memory.segment-size)"
            )
