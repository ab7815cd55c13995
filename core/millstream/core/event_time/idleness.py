"""Tells when a split has been silent for too long. Pure: the clock is an argument."""

from __future__ import annotations

from millstream.core.clock import Clock


class IdlenessTracker:
    """Idle once ``timeout_ms`` passed since the last record (or since creation). None: never idle."""

    def __init__(self, timeout_ms: int | None, clock: Clock) -> None:
        self._timeout_s = None if timeout_ms is None else timeout_ms / 1000
        self._clock = clock
        self._last_activity_s = clock.monotonic_s()

    def record_seen(self) -> None:
        """A record arrived now; cheap, called once a batch."""
        if self._timeout_s is not None:
            self._last_activity_s = self._clock.monotonic_s()

    def is_idle(self) -> bool:
        return self._timeout_s is not None and self._clock.monotonic_s() - self._last_activity_s >= self._timeout_s

    def ms_until_idle(self) -> int | None:
        """Milliseconds (rounded up, at least 0) until ``is_idle`` turns true without records; None for never."""
        if self._timeout_s is None:
            return None
        left_s = self._last_activity_s + self._timeout_s - self._clock.monotonic_s()
        return max(0, int(-(-left_s * 1000 // 1)))
