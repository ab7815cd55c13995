"""Timers of one operator: by key and namespace, in event time and in processing time.

A timer is unique by (time, key, namespace). Due timers fire in order of time, then of registration. Deleting leaves an
entry in the heap; when most of it is dead the heap is rebuilt, so that a timeout moved by each record costs no memory.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Final

from millstream.core.errors import invariant
from millstream.core.keys import KeyGroupCache, key_groups
from millstream.core.serde import decode_value, encode_value

_DEAD_MIN: Final = 64


class TimerQueue:
    """Timers of one time domain."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Any, Any]] = []
        self._live: dict[tuple[int, Any, Any], int] = {}
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._live)

    def add(self, time_ms: int, key: Any, namespace: Any = None) -> None:
        """Register; again is once."""
        identity = (time_ms, key, namespace)
        if identity not in self._live:
            self._sequence += 1
            self._live[identity] = self._sequence
            heapq.heappush(self._heap, (time_ms, self._sequence, key, namespace))

    def remove(self, time_ms: int, key: Any, namespace: Any = None) -> None:
        """Forget a timer; it need not exist."""
        if self._live.pop((time_ms, key, namespace), None) is None:
            return
        if len(self._heap) > 2 * len(self._live) + _DEAD_MIN:
            self._heap = [(time, sequence, k, n) for (time, k, n), sequence in self._live.items()]
            heapq.heapify(self._heap)

    def pop_due(self, now_ms: int) -> tuple[int, Any, Any] | None:
        """``(time, key, namespace)`` of the first timer at or before ``now_ms``."""
        heap = self._heap
        while heap and heap[0][0] <= now_ms:
            time_ms, sequence, key, namespace = heapq.heappop(heap)
            if self._live.get((time_ms, key, namespace)) == sequence:
                del self._live[(time_ms, key, namespace)]
                return time_ms, key, namespace
        return None

    def first_ms(self) -> int | None:
        """The time of the first timer."""
        heap = self._heap
        while heap and self._live.get((heap[0][0], heap[0][2], heap[0][3])) != heap[0][1]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def rows(self) -> list[tuple[int, Any, Any]]:
        """All timers, in order of registration."""
        return sorted(self._live, key=self._live.__getitem__)

    def check(self) -> None:
        """Every live timer is in the heap, and not too many dead ones are."""
        found = sum(self._live.get((time, key, n)) == sequence for time, sequence, key, n in self._heap)
        invariant(found == len(self._live), f"{len(self._live)} live timers, {found} of them in the heap")


class KeyedTimers:
    """Event-time and processing-time timers of one operator. ``schedule`` asks the task for a call at a wall time."""

    def __init__(self, schedule: Callable[[int], None]) -> None:
        self.event = TimerQueue()
        self.processing = TimerQueue()
        self._schedule = schedule
        self._asked_ms: int | None = None  # the earliest call the task owes

    def add_processing(self, time_ms: int, key: Any, namespace: Any = None) -> None:
        self.processing.add(time_ms, key, namespace)
        if self._asked_ms is None or time_ms < self._asked_ms:
            self._asked_ms = time_ms
            self._schedule(time_ms)

    def pop_processing(self, now_ms: int) -> tuple[int, Any, Any] | None:
        """The first timer due at ``now_ms``; without one, the task is asked for a call at the next timer's time."""
        due = self.processing.pop_due(now_ms)
        if due is None and (self._asked_ms is None or self._asked_ms <= now_ms):
            self._asked_ms = self.processing.first_ms()
            if self._asked_ms is not None:
                self._schedule(self._asked_ms)
        return due

    def snapshot(self, max_parallelism: int) -> dict[int, bytes]:
        """By key group."""
        groups: dict[int, list[list[Any]]] = {}
        cache = KeyGroupCache(max_parallelism)
        for domain, queue in enumerate((self.event, self.processing)):
            rows = queue.rows()
            of_rows = key_groups([key for _, key, _ in rows], max_parallelism, cache).tolist() if rows else []
            for group, (time_ms, key, namespace) in zip(of_rows, rows, strict=True):
                groups.setdefault(group, []).append([domain, time_ms, key, namespace])
        return {group: encode_value(rows) for group, rows in groups.items()}

    def restore(self, groups: dict[int, bytes]) -> None:
        """Take in the timers of any number of snapshots."""
        for data in groups.values():
            for domain, time_ms, key, namespace in decode_value(data):
                if domain == 0:
                    self.event.add(time_ms, key, namespace)
                else:
                    self.add_processing(time_ms, key, namespace)
