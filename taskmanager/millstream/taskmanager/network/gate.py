"""One input of a subtask: all channels that feed it, read in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from millstream.core.elements.control import Element, EndOfData
from millstream.core.errors import MillstreamError
from millstream.core.serde import decode_batch
from millstream.taskmanager.network.control_codec import decode_control
from millstream.taskmanager.network.credit import ReceiverCredit
from millstream.taskmanager.network.frames import Frame, FrameError, FrameKind
from millstream.taskmanager.network.subpartition import Subpartition


@dataclass(frozen=True)
class GateStatistics:
    """Cumulative ``*_in``, current ``queued_buffers``."""

    bytes_in: int
    buffers_in: int
    queued_buffers: int


class InputChannel(Protocol):
    """One producer subtask, as its consumer sees it."""

    failure: MillstreamError | None
    ended: bool
    bytes_in: int
    buffers_in: int

    def has_data(self) -> bool: ...

    def poll(self) -> Element | None: ...

    def queued(self) -> int: ...

    def release(self) -> None: ...


class LocalChannel:
    """The producer is in this process: its elements are taken by reference."""

    def __init__(self) -> None:
        self.failure: MillstreamError | None = None
        self.ended = False
        self.bytes_in = 0
        self.buffers_in = 0
        self._subpartition: Subpartition | None = None
        self._released = False

    def attach(self, subpartition: Subpartition) -> None:
        """The producer's queue is there now."""
        self._subpartition = subpartition
        if self._released:
            subpartition.abandon()

    def has_data(self) -> bool:
        return self._subpartition is not None and self._subpartition.queued_elements > 0

    def poll(self) -> Element | None:
        return None if self._subpartition is None else self._subpartition.take()

    def queued(self) -> int:
        return 0 if self._subpartition is None else self._subpartition.queued_elements

    def release(self) -> None:
        self._released = True
        if self._subpartition is not None:
            self._subpartition.abandon()


class ReceivingChannel:
    """The producer is in another process: frames arrive, credit goes back."""

    def __init__(
        self,
        name: str,
        credit: ReceiverCredit,
        message_bytes_max: int,
        decompress: Callable[[bytes], bytes],
    ) -> None:
        self.failure: MillstreamError | None = None
        self.ended = False
        self.bytes_in = 0
        self.buffers_in = 0
        self.credit = credit
        self.name = name
        self.announce: Callable[[int], None] = lambda number: None
        self.send_close: Callable[[], None] = lambda: None
        self.closed = False
        self._message_bytes_max = message_bytes_max
        self._decompress = decompress
        self._complete: deque[tuple[FrameKind, bytes]] = deque()
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._sequence = 0

    def receive(self, frame: Frame) -> None:
        """A data or control frame of this channel. Raises ``FrameError`` when it breaks the protocol."""
        if self.closed:
            return
        if frame.sequence != self._sequence:
            raise FrameError(f"{self.name}: frame {frame.sequence} where {self._sequence} was expected")
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self.buffers_in += 1
        self.bytes_in += len(frame.payload)
        announced = self.credit.received(frame.number)
        if frame.kind is FrameKind.DATA_MORE:
            # Pieces of one message do not hold credit: else a message larger than the credit would wait for itself.
            self._pieces_bytes += len(frame.payload)
            if self._pieces_bytes > self._message_bytes_max:
                raise FrameError(f"{self.name}: a batch is larger than the limit of {self._message_bytes_max} bytes")
            self._pieces.append(frame.payload)
            announced += self.credit.consumed()
        else:
            payload = frame.payload
            if self._pieces:
                payload = b"".join([*self._pieces, payload])
                self._pieces, self._pieces_bytes = [], 0
            self._complete.append((frame.kind, payload))
        if announced:
            self.announce(announced)

    def has_data(self) -> bool:
        return bool(self._complete) or self.failure is not None

    def poll(self) -> Element | None:
        if not self._complete:
            return None
        kind, payload = self._complete.popleft()
        element: Element
        if kind is FrameKind.CONTROL:
            element = decode_control(payload)
            if isinstance(element, EndOfData):
                self.closed = True
                self.credit.close()
                self.send_close()
                return element
        else:
            element = decode_batch(self._decompress(payload))
        announced = self.credit.consumed()
        if announced:
            self.announce(announced)
        return element

    def queued(self) -> int:
        return len(self._complete)

    def fail(self, failure: MillstreamError) -> None:
        """Nothing more will come; what is there can still be read."""
        if not self.closed and self.failure is None:
            self.failure = failure

    def release(self) -> None:
        if not self.closed:
            self.closed = True
            self._complete.clear()
            self._pieces.clear()
            self.credit.close()
            self.send_close()


class InputGate:
    """Channels numbered from 0 in the order of edges and producers."""

    def __init__(self, input_index: int, channels: list[InputChannel], on_release: Callable[[], None]) -> None:
        self.input_index = input_index
        self.channels = channels
        self._on_release = on_release
        self._next = 0
        self._open = len(channels)

    @property
    def num_channels(self) -> int:
        return len(self.channels)

    def poll(self) -> tuple[int, Element] | None:
        """``(channel, element)`` from the next channel that has one; raises the failure of a channel that has ended."""
        channels = self.channels
        count = len(channels)
        for step in range(count):
            number = (self._next + step) % count
            channel = channels[number]
            if channel.ended:
                continue
            element = channel.poll()
            if element is not None:
                self._next = (number + 1) % count
                if isinstance(element, EndOfData):
                    channel.ended = True
                    self._open -= 1
                return number, element
            if channel.failure is not None:
                raise channel.failure
        return None

    def has_data(self) -> bool:
        return any(channel.has_data() for channel in self.channels if not channel.ended)

    def all_ended(self) -> bool:
        return self._open == 0

    def release(self) -> None:
        """Wants no more: producers drop what they hold for it."""
        for channel in self.channels:
            channel.release()
        self._on_release()

    def statistics(self) -> GateStatistics:
        return GateStatistics(
            bytes_in=sum(channel.bytes_in for channel in self.channels),
            buffers_in=sum(channel.buffers_in for channel in self.channels),
            queued_buffers=sum(channel.queued() for channel in self.channels),
        )
