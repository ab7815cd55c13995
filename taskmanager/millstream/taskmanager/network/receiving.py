"""A channel at its consumer: the producer is in another process, frames arrive, credit goes back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.elements.control import Barrier, Control, Element, EndOfData
from millstream.core.errors import ExternalError, MalformedRecordError, MillstreamError
from millstream.core.serde import decode_batch
from millstream.taskmanager.network.coalescing import can_merge, merge_batches
from millstream.taskmanager.network.compression import Compression
from millstream.taskmanager.network.control_codec import decode_control
from millstream.taskmanager.network.credit import AssemblyAccount, ReceiverCredit
from millstream.taskmanager.network.frames import FLAG_MORE, Bytes, Frame, FrameError, FrameKind

_BARRIERS_MAX: Final = 64
_ROWS_WANTED: Final = 8192
"""Columnar batches with fewer rows are merged with those that wait behind them."""


class ChannelLink(Protocol):
    """What a channel says to its producer."""

    def grant(self, number: int) -> None: ...

    def close(self) -> None: ...


class _Message:
    """A complete batch or control element: its frames' flags, bytes, buffers held, and bytes of assembly."""

    __slots__ = ("assembled", "buffers", "control", "flags", "kind", "payload")

    def __init__(self, kind: FrameKind, flags: int, payload: Bytes, buffers: int, assembled: int) -> None:
        self.kind = kind
        self.flags = flags
        self.payload = payload
        self.buffers = buffers
        self.assembled = assembled
        self.control: Control | None = None


class ReceivingChannel:
    """Frames of one channel, put together and kept until the task takes them.

    A batch that spans frames may need more buffers than the channel has. Its pieces give their credit back early, but
    only while nothing else waits in this channel: so a channel holds its credit's worth of frames and one large batch.
    """

    def __init__(
        self,
        name: str,
        link: ChannelLink,
        credit: ReceiverCredit,
        assembly: AssemblyAccount,
        message_bytes_max: int,
        compression: Compression,
    ) -> None:
        self.name = name
        self.failure: MillstreamError | None = None
        self.ended = False
        self.bytes_in = 0
        self.buffers_in = 0
        self.on_data: Callable[[], None] = lambda: None
        self.on_barrier: Callable[[Barrier], None] = lambda barrier: None
        self.closed = False
        self.credit = credit
        self._link = link
        self._assembly = assembly
        self._message_bytes_max = message_bytes_max
        self._compression = compression
        self._complete: deque[_Message] = deque()
        self._pieces = bytearray()
        self._pieces_held = 0
        self._sequence = 0

    # -- from the connection ------------------------------------------------------------------------------------

    def receive(self, frame: Frame) -> None:
        """A data or control frame of this channel. Raises ``FrameError`` when it breaks the protocol."""
        if self.closed or self.failure is not None:
            return
        if frame.sequence != self._sequence:
            raise FrameError(f"{self.name}: frame {frame.sequence} where {self._sequence} was expected")
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        size = len(frame.payload)
        self.buffers_in += 1
        self.bytes_in += size
        self.credit.received(frame.number)
        if frame.flags & FLAG_MORE or self._pieces:
            self._assemble(frame)
        else:
            self._arrived(_Message(frame.kind, frame.flags, frame.payload, 1, 0))
        self._announce()
        last = self._complete[-1] if self._complete else None
        if last is not None and isinstance(last.control, Barrier):
            self.on_barrier(last.control)

    def receive_urgent(self, frame: Frame) -> None:
        """A barrier that has overtaken its producer's queue. Raises ``FrameError`` for anything else."""
        if self.closed or self.failure is not None:
            return
        if sum(isinstance(message.control, Barrier) for message in self._complete) >= _BARRIERS_MAX:
            raise FrameError(f"{self.name}: more than {_BARRIERS_MAX} barriers wait")
        message = _Message(FrameKind.CONTROL, frame.flags, frame.payload, 0, 0)
        self._arrived(message)
        if not isinstance(message.control, Barrier):
            raise FrameError(f"{self.name}: a {type(message.control).__name__} in an urgent frame")
        self.on_barrier(message.control)

    def _assemble(self, frame: Frame) -> None:
        if frame.kind is not FrameKind.DATA:
            raise FrameError(f"{self.name}: a {frame.kind.name} frame inside a batch")
        size = len(frame.payload)
        if len(self._pieces) + size > self._message_bytes_max:
            raise FrameError(f"{self.name}: a batch is larger than the limit of {self._message_bytes_max} bytes")
        if not self._assembly.take(size):
            self.fail(
                ExternalError(
                    f"{self.name}: batches larger than a network buffer take more than {self._assembly.bytes_max} "
                    f"bytes in this slot. Send smaller records, or raise taskmanager.memory.network.size."
                )
            )
            return
        self._pieces += frame.payload
        self._pieces_held += 1
        if frame.flags & FLAG_MORE:
            self._release_pieces()
            return
        pieces, self._pieces = self._pieces, bytearray()
        held, self._pieces_held = self._pieces_held, 0
        self._arrived(_Message(FrameKind.DATA, frame.flags, memoryview(pieces), held, len(pieces)))

    def _arrived(self, message: _Message) -> None:
        if message.kind is FrameKind.CONTROL:
            try:
                message.control = decode_control(bytes(message.payload))
            except MalformedRecordError as error:
                self.fail(error)
                return
        self._complete.append(message)
        if len(self._complete) == 1:
            self.on_data()

    def _release_pieces(self) -> None:
        if self._pieces_held and not self._complete:
            held, self._pieces_held = self._pieces_held, 0
            self.credit.consumed(held)

    def _announce(self) -> None:
        number = self.credit.announce()
        if number:
            self._link.grant(number)

    def fail(self, failure: MillstreamError) -> None:
        """Nothing more will come; what is there can still be read."""
        if not self.closed and self.failure is None:
            self.failure = failure
            self.on_data()

    # -- from the gate ------------------------------------------------------------------------------------------

    def has_data(self) -> bool:
        return bool(self._complete)

    def poll(self) -> Element | None:
        """The next element. Raises ``MalformedRecordError`` for bytes that do not decode."""
        if not self._complete:
            return None
        message = self._complete.popleft()
        self._assembly.give(message.assembled)
        if message.control is not None:
            element: Element = message.control
            if isinstance(element, EndOfData):
                self.ended = True
                self.release()
                return element
        else:
            element = self._decoded(message)
            if isinstance(element, ArrowBatch) and element.num_rows < _ROWS_WANTED and self._complete:
                element = self._with_following(element)
        self.credit.consumed(message.buffers)
        self._release_pieces()
        self._announce()
        return element

    def _with_following(self, first: ArrowBatch) -> Batch:
        """A batch of wide rows was cut to fit its frames: put together what waits, for each step costs the same."""
        parts: list[Batch] = [first]
        rows = first.num_rows
        while rows < _ROWS_WANTED and self._complete and self._complete[0].control is None:
            following = self._decoded(self._complete[0])
            if not can_merge(parts[-1], following):
                break
            taken = self._complete.popleft()
            self._assembly.give(taken.assembled)
            self.credit.consumed(taken.buffers)
            parts.append(following)
            rows += following.num_rows
        return merge_batches(parts)

    def _decoded(self, message: _Message) -> Batch:
        return decode_batch(self._compression.decompress(message.flags, message.payload))

    def overtaken(self, checkpoint_id: int) -> tuple[list[Batch], bool]:
        found: list[Batch] = []
        for message in self._complete:
            barrier = message.control
            if isinstance(barrier, Barrier) and barrier.checkpoint_id >= checkpoint_id:
                if barrier.checkpoint_id > checkpoint_id:
                    return found, False
                self._remove(message)
                return found, True
            if barrier is None:
                found.append(self._decoded(message))
        return found, False

    def _remove(self, message: _Message) -> None:
        self._complete.remove(message)
        self.credit.consumed(message.buffers)
        self._release_pieces()
        self._announce()

    def queued(self) -> int:
        return sum(message.buffers for message in self._complete)

    def release(self) -> None:
        """Took the end, or wants no more: tell the producer, give everything back. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self._assembly.give(len(self._pieces) + sum(message.assembled for message in self._complete))
        self._complete.clear()
        self._pieces = bytearray()
        self.credit.close()
        self._link.close()
