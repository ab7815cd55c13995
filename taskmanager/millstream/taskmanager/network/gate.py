"""One input of a subtask: all channels that feed it, read in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from millstream.core.elements.batch import Batch
from millstream.core.elements.control import Barrier, Element, EndOfData
from millstream.core.errors import MillstreamError
from millstream.taskmanager.network.subpartition import Subpartition


@dataclass(frozen=True)
class GateStatistics:
    """Cumulative ``*_in`` (channels from other processes only), current ``queued_buffers``."""

    bytes_in: int
    buffers_in: int
    queued_buffers: int


class InputChannel(Protocol):
    """One producer subtask, as its consumer sees it."""

    failure: MillstreamError | None
    ended: bool
    bytes_in: int
    buffers_in: int
    on_data: Callable[[], None]
    """Set by the gate; called when the channel has something to poll or has failed."""
    on_barrier: Callable[[Barrier], None]
    """Set by the gate; called when a barrier has arrived, before it is polled."""

    def has_data(self) -> bool: ...

    def poll(self) -> Element | None: ...

    def overtaken(self, checkpoint_id: int) -> tuple[list[Batch], bool]:
        """The batches that wait before the checkpoint's barrier, and whether that is here; it is taken out."""
        ...

    def queued(self) -> int: ...

    def release(self) -> None: ...


class LocalChannel:
    """The producer is in this process: its elements are taken by reference."""

    def __init__(self) -> None:
        self.failure: MillstreamError | None = None
        self.ended = False
        self.bytes_in = 0
        self.buffers_in = 0
        self.on_data: Callable[[], None] = lambda: None
        self.on_barrier: Callable[[Barrier], None] = lambda barrier: None
        self.on_producer_failed: Callable[[MillstreamError], None] = self.fail
        self._subpartition: Subpartition | None = None
        self._released = False

    def attach(self, subpartition: Subpartition) -> None:
        """The producer's queue is there now."""
        self._subpartition = subpartition
        subpartition.has_reader = True
        if self._released:
            subpartition.drain()
            return
        subpartition.on_data = self._added
        subpartition.on_failure = self.on_producer_failed
        if subpartition.queued_elements:
            self.on_data()

    def _added(self) -> None:
        self.on_data()
        for element in () if self._subpartition is None else self._subpartition.ends():
            if isinstance(element, Barrier):
                self.on_barrier(element)

    def has_data(self) -> bool:
        return self._subpartition is not None and self._subpartition.queued_elements > 0

    def poll(self) -> Element | None:
        if self._subpartition is None:
            return None
        element = self._subpartition.take()
        if isinstance(element, EndOfData):
            self.ended = True
            self._subpartition.drain()
        return element

    def overtaken(self, checkpoint_id: int) -> tuple[list[Batch], bool]:
        if self._subpartition is None:
            return [], False
        barrier = self._subpartition.barrier(checkpoint_id)
        if barrier is None:
            # What waits is the producer's to save: its barrier comes before it, or after it and then it is read first.
            return [], False
        found = self._subpartition.batches(barrier)
        self._subpartition.remove(barrier)
        return found, True

    def queued(self) -> int:
        return 0 if self._subpartition is None else self._subpartition.queued_elements

    def fail(self, failure: MillstreamError) -> None:
        """Nothing more will come; what is there can still be read."""
        if not self.ended and self.failure is None:
            self.failure = failure
            self.on_data()

    def release(self) -> None:
        self._released = True
        if self._subpartition is not None:
            self._subpartition.drain()


class InputGate:
    """Channels numbered from 0 in the order of edges and producers; ``sources[i]``: edge and producer of channel i."""

    def __init__(
        self,
        input_index: int,
        channels: list[InputChannel],
        on_release: Callable[[], None],
        sources: list[tuple[int, int]] | None = None,
    ) -> None:
        self.input_index = input_index
        self.channels = channels
        self.sources = sources or [(0, number) for number in range(len(channels))]
        self.on_barrier: Callable[[int, Barrier], None] = lambda number, barrier: None
        """Set by the task: a barrier has arrived in channel ``number``, and is not polled yet."""
        self.in_turn: frozenset[int] = frozenset()
        """Channels of which nothing may be overtaken."""
        self._on_release = on_release
        self._released = False
        self._open = len(channels)
        self._ready: deque[int] = deque()
        self._is_ready = [False] * len(channels)
        self._blocked: set[int] = set()
        for number, channel in enumerate(channels):
            self._listen(number, channel)

    def _listen(self, number: int, channel: InputChannel) -> None:
        channel.on_data = lambda: self._mark(number)
        channel.on_barrier = lambda barrier: self.on_barrier(number, barrier)
        if channel.has_data() or channel.failure is not None:
            self._mark(number)

    def block(self, number: int) -> None:
        """Read nothing from a channel until ``unblock``; what arrives waits, and its producer runs out of credit."""
        self._blocked.add(number)
        if self._is_ready[number]:
            self._is_ready[number] = False
            self._ready.remove(number)

    def overtaken(self, number: int, checkpoint_id: int) -> tuple[list[Batch], bool]:
        """What ``InputChannel.overtaken`` says of a channel."""
        return self.channels[number].overtaken(checkpoint_id)

    def unblock(self) -> None:
        """Read all channels again."""
        blocked, self._blocked = self._blocked, set()
        for number in blocked:
            channel = self.channels[number]
            if channel.has_data() or channel.failure is not None:
                self._mark(number)

    def _mark(self, number: int) -> None:
        if number in self._blocked:
            return
        if not self._is_ready[number]:
            self._is_ready[number] = True
            self._ready.append(number)

    @property
    def num_channels(self) -> int:
        return len(self.channels)

    def poll(self) -> tuple[int, Element] | None:
        """``(channel, element)`` from the next channel in turn that has one.

        Raises the failure of a channel of which everything that arrived was taken.
        """
        ready = self._ready
        while ready:
            number = ready.popleft()
            self._is_ready[number] = False
            channel = self.channels[number]
            element = channel.poll()
            failed = channel.failure is not None and not channel.ended
            if failed or channel.has_data():
                self._mark(number)
            if element is not None:
                if isinstance(element, EndOfData):
                    self._open -= 1
                return number, element
            if failed:
                assert channel.failure is not None
                raise channel.failure
        return None

    def has_data(self) -> bool:
        """Whether ``poll`` has an element, or a failure to raise."""
        return bool(self._ready)

    def all_ended(self) -> bool:
        return self._open == 0

    def release(self) -> None:
        """Wants no more: producers drop what they hold for it. Idempotent."""
        if self._released:
            return
        self._released = True
        self._ready.clear()
        for channel in self.channels:
            channel.on_data = lambda: None
            channel.on_barrier = lambda barrier: None
            channel.release()
        self._on_release()

    def statistics(self) -> GateStatistics:
        return GateStatistics(
            bytes_in=sum(channel.bytes_in for channel in self.channels),
            buffers_in=sum(channel.buffers_in for channel in self.channels),
            queued_buffers=sum(channel.queued() for channel in self.channels),
        )
