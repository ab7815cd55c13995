"""Timers of single windows of single keys, for the general window operator. Pure.

A heap ordered by time, then by registration, so that firing is deterministic: windows that end together fire in the
order in which their keys arrived. A timer exists once for a key, window and time. Deleting marks; the heap is rebuilt
when most of it is dead, so that sessions which grow with every record do not grow the heap.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Any

from millstream.core.api.windowing.window import Window
from millstream.core.errors import invariant

_DEAD_MIN = 64

Timer = tuple[int, int, Any, Window]
"""(time in ms, order of registration, key, window)"""


class WindowTimers:
    """The event-time or the processing-time timers of an operator."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        self._live: dict[int, Timer] = {}  # by order of registration
        self._orders: dict[tuple[int, Any, Window], int] = {}
        self._next_order = 0

    def __len__(self) -> int:
        return len(self._live)

    def add(self, time_ms: int, key: Any, window: Window) -> None:
        """Register once; a further registration of the same timer changes nothing."""
        identity = (time_ms, key, window)
        if identity in self._orders:
            return
        order = self._next_order
        self._next_order = order + 1
        self._orders[identity] = order
        self._live[order] = (time_ms, order, key, window)
        heapq.heappush(self._heap, (time_ms, order))

    def remove(self, time_ms: int, key: Any, window: Window) -> None:
        """Delete if it exists."""
        order = self._orders.pop((time_ms, key, window), None)
        if order is None:
            return
        del self._live[order]
        if len(self._heap) > 2 * len(self._live) + _DEAD_MIN:
            self._heap = [(timer[0], timer[1]) for timer in self._live.values()]
            heapq.heapify(self._heap)

    def next_time_ms(self) -> int | None:
        """The earliest time; None without timers."""
        while self._heap and self._heap[0][1] not in self._live:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, time_ms: int) -> Iterator[Timer]:
        """Take out all timers up to ``time_ms`` in order, also those added while iterating."""
        while self._heap and self._heap[0][0] <= time_ms:
            timer = self._live.pop(heapq.heappop(self._heap)[1], None)
            if timer is not None:
                del self._orders[(timer[0], timer[2], timer[3])]
                yield timer

    def all(self) -> list[Timer]:
        """Every timer in order of registration."""
        return sorted(self._live.values(), key=lambda timer: timer[1])

    def restore(self, timers: Iterable[Timer]) -> None:
        """Register again, in the order of the old registrations."""
        for time_ms, _, key, window in sorted(timers, key=lambda timer: timer[1]):
            self.add(time_ms, key, window)

    def check(self) -> None:
        """Every live timer is in the heap and known by its identity."""
        invariant(
            len(self._orders) == len(self._live) <= len(self._heap),
            f"identities={len(self._orders)} live={len(self._live)} heap={len(self._heap)}",
        )
