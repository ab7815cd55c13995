"""How many rows a generator may emit by now."""

from __future__ import annotations

from millstream.core.clock import Clock


class RateLimit:
    """A steady schedule of ``rows_per_second`` from the first question on (open loop: a stall is caught up).

    Catching up is bounded: at most ``burst_s`` seconds of rows are owed.
    """

    def __init__(self, rows_per_second: float, clock: Clock, burst_s: float = 1.0) -> None:
        if rows_per_second <= 0:
            raise ValueError(f"rows_per_second must be positive, not {rows_per_second}")
        self._rate = rows_per_second
        self._clock = clock
        self._burst_rows = max(1.0, rows_per_second * burst_s)
        self._owed_rows = 0.0
        self._last_s: float | None = None

    def allowed(self, rows_max: int) -> int:
        """Rows that may be emitted now, at most ``rows_max``; they count as emitted."""
        now_s = self._clock.monotonic_s()
        if self._last_s is None:
            self._last_s = now_s
        self._owed_rows = min(self._burst_rows, self._owed_rows + (now_s - self._last_s) * self._rate)
        self._last_s = now_s
        rows = min(rows_max, int(self._owed_rows))
        self._owed_rows -= rows
        return rows

    def wait_s(self) -> float:
        """Seconds until at least one row, and at least a millisecond's worth of rows, is owed."""
        wanted = max(1.0, self._rate / 1000)
        return max(0.0, (wanted - self._owed_rows) / self._rate)
