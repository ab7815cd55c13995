"""A channel at its producer: takes elements from a subpartition, encodes them, and sends frames as credit allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.elements.control import Barrier
from millstream.core.errors import MillstreamError, RecordTypeError
from millstream.core.serde import encode_batch
from millstream.taskmanager.network.compression import Compression
from millstream.taskmanager.network.control_codec import encode_control
from millstream.taskmanager.network.credit import SenderCredit
from millstream.taskmanager.network.frames import FLAG_MORE, Bytes, FrameKind
from millstream.taskmanager.network.subpartition import Subpartition

UNSENT_BYTES_MAX: Final = 512 * 1024
"""A channel encodes no more while this much waits for the socket of its connection."""
_FLUSH_BYTES: Final = 64 * 1024
_SCATTER_BYTES_MIN: Final = 16 * 1024
_SCATTER_MAX: Final = 8
REASON_BYTES_MAX: Final = 1024


class FrameSender(Protocol):
    """The connection, as a channel sees it."""

    unsent_bytes: int

    def queue(
        self, kind: int, channel: int, sequence: int, number: int, payload: Sequence[Bytes] = (), flags: int = 0
    ) -> None: ...

    def flush(self) -> None: ...


class SendingChannel:
    """Sends one subpartition over a connection that it shares with other channels."""

    def __init__(
        self,
        channel: int,
        subpartition: Subpartition,
        connection: FrameSender,
        segment_bytes: int,
        message_bytes_max: int,
        generic_types: bool,
        compression: Compression,
        on_error: Callable[[MillstreamError], None],
    ) -> None:
        self.channel = channel
        self.subpartition = subpartition
        self.credit = SenderCredit()
        self.bytes_out = 0
        self.buffers_out = 0
        self.closed = False
        self._connection = connection
        self._segment_bytes = segment_bytes
        self._message_bytes_max = message_bytes_max
        self._generic_types = generic_types
        self._compression = compression
        self._on_error = on_error
        self._sequence = 0
        self._flush_wanted = False
        self._frames: deque[tuple[FrameKind, int, Sequence[Bytes], int]] = deque()
        self._overtaking: deque[Barrier] = deque()
        subpartition.has_reader = True
        subpartition.on_failure = self._producer_failed

    @property
    def unsent_frames(self) -> int:
        return len(self._frames)

    def add_credit(self, number: int) -> None:
        """Raises ``FrameError`` for a number that cannot be."""
        self.credit.grant(number)
        self.pump()
        self._connection.flush()

    def pump(self, flush: bool = False) -> None:
        """Queue frames while there is credit, something worth sending, and room in the connection.

        ``flush``: send small batches too, now or as soon as credit and room allow. The caller flushes the connection.
        """
        self._flush_wanted |= flush
        connection, subpartition = self._connection, self.subpartition
        while self.credit.available and not self.closed:
            if not self._frames:
                if connection.unsent_bytes > UNSENT_BYTES_MAX:
                    return
                if not self._flush_wanted and not subpartition.is_worth_sending():
                    return
                if not self._encode_next():
                    self._flush_wanted = False
                    return
            kind, flags, payload, size = self._frames.popleft()
            self.credit.spend()
            backlog = len(self._frames) + subpartition.backlog()
            connection.queue(kind, self.channel, self._sequence, backlog, payload, flags)
            self._sequence = (self._sequence + 1) & 0xFFFFFFFF
            self.bytes_out += size
            self.buffers_out += 1
            while self._overtaking and not self._frames:
                self.overtake(self._overtaking.popleft())
            if connection.unsent_bytes > _FLUSH_BYTES:
                connection.flush()

    def overtake(self, barrier: Barrier) -> None:
        """Send a barrier before everything that waits, but not into the middle of a batch."""
        if self._frames:
            self._overtaking.append(barrier)
        elif not self.closed:
            self._connection.queue(FrameKind.URGENT, self.channel, 0, 0, (encode_control(barrier),))

    def flush_connection(self) -> None:
        """Hand queued frames to the socket."""
        self._connection.flush()

    def consumer_closed(self) -> None:
        """The consumer sent CLOSE: it took the end, or wants no more."""
        self.closed = True
        self._frames.clear()
        self.subpartition.drain()

    def _producer_failed(self, failure: MillstreamError) -> None:
        if not self.closed:
            self.closed = True
            self._frames.clear()
            reason = str(failure).encode()[:REASON_BYTES_MAX]
            self._connection.queue(FrameKind.ERROR, self.channel, 0, 0, (reason,))
            self._connection.flush()

    # -- encoding -----------------------------------------------------------------------------------------------

    def _encode_next(self) -> bool:
        """Make frames of the next element; False when there is none or it cannot be encoded."""
        taken = self.subpartition.take_sized()
        if taken is None:
            return False
        element, size = taken
        if not isinstance(element, ObjectBatch | ArrowBatch):
            payload = encode_control(element)
            self._frames.append((FrameKind.CONTROL, 0, (payload,), len(payload)))
            return True
        try:
            self._encode_batch(self._cut_rows(element, size))
        except Exception as error:  # a record that cannot be encoded fails its task, not the connection
            failure = error if isinstance(error, MillstreamError) else _cannot_encode(error)
            self._on_error(failure)
            self._producer_failed(failure)
            return False
        return True

    def _cut_rows(self, batch: Batch, size: int) -> Batch:
        """The first rows of ``batch``, about a segment by estimate; the others wait their turn."""
        rows = batch.num_rows
        if size <= self._segment_bytes or rows <= 1:
            return batch
        # A little less than a segment, for what encoding adds: two frames for one would cost more than a smaller frame.
        first = max(1, int(rows * (self._segment_bytes * 0.97 - 512) / size))
        if first >= rows:
            return batch
        self.subpartition.put_back(batch.slice(first, rows), size - size * first // rows)
        return batch.slice(0, first)

    def _encode_batch(self, batch: Batch) -> None:
        buffers = encode_batch(batch, generic_types=self._generic_types)
        size, segment = sum(map(len, buffers)), self._segment_bytes
        if _SCATTER_BYTES_MIN <= size <= segment and len(buffers) <= _SCATTER_MAX and not self._compression.is_on:
            # Large buffers go to the socket as they are; many small ones are cheaper in one piece.
            self._frames.append((FrameKind.DATA, 0, buffers, size))
            return
        flags, message = self._compression.compress(buffers[0] if len(buffers) == 1 else b"".join(buffers))
        size = len(message)
        if size <= segment:
            self._frames.append((FrameKind.DATA, flags, (message,), size))
            return
        if size > self._message_bytes_max:
            raise RecordTypeError(
                f"a batch of {batch.num_rows} rows takes {size} bytes encoded; the limit is {self._message_bytes_max}. "
                f"Send smaller records, for example references to large objects."
            )
        view = memoryview(message)
        for start in range(0, size, segment):
            more = FLAG_MORE if start + segment < size else 0
            piece = view[start : start + segment]
            self._frames.append((FrameKind.DATA, flags | more, (piece,), len(piece)))


def _cannot_encode(error: Exception) -> MillstreamError:
    failure = RecordTypeError(
        f"a record cannot be sent to another process: {type(error).__name__}: {error}. "
        f"Emit plain values, tuples, dicts, dataclasses or other objects that pickle accepts."
    )
    failure.__cause__ = error
    return failure
