"""A channel at its producer: takes elements from a subpartition, encodes them, and sends frames as credit allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.elements.control import Control, Element
from millstream.core.serde import encode_batch
from millstream.taskmanager.network.control_codec import encode_control
from millstream.taskmanager.network.frames import FrameKind
from millstream.taskmanager.network.partition import RemoteReader
from millstream.taskmanager.network.subpartition import Subpartition

UNSENT_CONNECTION_BYTES_MAX: Final = 1024 * 1024
"""A channel encodes no more while this much waits for the socket."""


class FrameSender(Protocol):
    """The connection, as a channel sees it."""

    def send(self, kind: FrameKind, channel: int, sequence: int, number: int, payload: bytes) -> None: ...

    def unsent_bytes(self) -> int: ...


class SendingChannel(RemoteReader):
    """Sends one subpartition over a connection that it shares with other channels."""

    def __init__(
        self,
        channel: int,
        subpartition: Subpartition,
        connection: FrameSender,
        segment_bytes: int,
        generic_types: bool,
        compress: Callable[[bytes], bytes],
        on_error: Callable[[Exception], None],
    ) -> None:
        self.channel = channel
        self.subpartition = subpartition
        self.credit = 0
        self.bytes_out = 0
        self.buffers_out = 0
        self.closed = False
        self._connection = connection
        self._segment_bytes = segment_bytes
        self._generic_types = generic_types
        self._compress = compress
        self._on_error = on_error
        self._sequence = 0
        self._frames: deque[tuple[FrameKind, bytes]] = deque()

    @property
    def unsent_frames(self) -> int:  # type: ignore[override]
        return len(self._frames)

    def add_credit(self, number: int) -> None:
        self.credit += number
        self.pump(flush=True)

    def pump(self, flush: bool) -> None:
        """Send while there is credit, something to send, and room in the connection."""
        while self.credit and not self.closed:
            if not self._frames:
                if self._connection.unsent_bytes() > UNSENT_CONNECTION_BYTES_MAX:
                    return
                if not flush and not self.subpartition.wants_flush():
                    return
                element = self.subpartition.take()
                if element is None:
                    return
                try:
                    self._encode(element)
                except Exception as error:  # a record that cannot be encoded fails its task, not the connection
                    self.closed = True
                    self._on_error(error)
                    return
            kind, payload = self._frames.popleft()
            self.credit -= 1
            backlog = len(self._frames) + self.subpartition.queued_elements
            self._connection.send(kind, self.channel, self._sequence, backlog, payload)
            self._sequence = (self._sequence + 1) & 0xFFFFFFFF
            self.bytes_out += len(payload)
            self.buffers_out += 1

    def acknowledge_end(self) -> None:
        """The consumer sent CLOSE: it took the end, or wants no more."""
        self.closed = True
        self._frames.clear()
        self.subpartition.abandon()

    def fail(self, reason: str) -> None:
        if not self.closed:
            self.closed = True
            self._connection.send(FrameKind.ERROR, self.channel, 0, 0, reason.encode()[:4096])

    def _encode(self, element: Element) -> None:
        if isinstance(element, ObjectBatch | ArrowBatch):
            self._encode_batch(element)
        else:
            self._encode_control(element)

    def _encode_control(self, control: Control) -> None:
        self._frames.append((FrameKind.CONTROL, encode_control(control)))

    def _encode_batch(self, batch: Batch) -> None:
        """Cut rows so that a batch fits a segment where it can, then cut its bytes into frames."""
        size = batch.estimated_bytes()
        if size > self._segment_bytes and batch.num_rows > 1:
            rows = max(1, batch.num_rows * self._segment_bytes // size)
            self.subpartition.put_back(batch.slice(rows, batch.num_rows))
            batch = batch.slice(0, rows)
        buffers = encode_batch(batch, generic_types=self._generic_types)
        message = self._compress(b"".join(buffers))
        last = max(0, len(message) - 1) // self._segment_bytes * self._segment_bytes
        for start in range(0, last, self._segment_bytes):
            self._frames.append((FrameKind.DATA_MORE, message[start : start + self._segment_bytes]))
        self._frames.append((FrameKind.DATA, message[last:]))
