"""The only module that reads a clock. Everything else is given a ``Clock``, so that time can be simulated."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings: one for deadlines, one for labels and processing-time timers."""

    def monotonic_s(self) -> float:
        """Seconds that never go back; for timeouts, leases and rates."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC; for processing time and for display, never for a deadline."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only when told; both readings advance together."""

    def __init__(self, wall_ms: int = 0) -> None:
        self._wall_ms = wall_ms
        self._monotonic_s = 0.0

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def wall_ms(self) -> int:
        return self._wall_ms

    def advance(self, milliseconds: int) -> None:
        self._wall_ms += milliseconds
        self._monotonic_s += milliseconds / 1000

    def set_wall(self, wall_ms: int) -> None:
        """Somebody sets the time of day; the other reading goes on as before."""
        self._wall_ms = wall_ms
