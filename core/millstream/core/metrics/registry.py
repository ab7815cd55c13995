"""Counters and gauges of one task, kept as plain numbers and read once a second.

A hot path touches an attribute, nothing more: no locks, no label look-up. The slot process snapshots all groups and
sends them to its TaskManager, which serves them to Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable

from millstream.core.elements.control import MIN_WATERMARK_MS


class OperatorMetricGroup:
    """The figures of one operator of one subtask. Cumulative, except watermarks and gauges."""

    __slots__ = (
        "_counters",
        "_gauges",
        "current_watermark_ms",
        "late_records_dropped",
        "malformed_records",
        "records_in",
        "records_out",
        "timers_fired",
    )

    def __init__(self) -> None:
        self.records_in = 0
        self.records_out = 0
        self.late_records_dropped = 0
        self.malformed_records = 0
        self.timers_fired = 0
        self.current_watermark_ms = MIN_WATERMARK_MS
        self._gauges: dict[str, Callable[[], float]] = {}
        self._counters: dict[str, float] = {}

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Register a value that is read at each snapshot, for example ``state_bytes``."""
        self._gauges[name] = read

    def add(self, name: str, amount: float = 1) -> None:
        """Grow a user's counter."""
        self._counters[name] = self._counters.get(name, 0) + amount

    def snapshot(self) -> dict[str, float]:
        """Names without the ``millstream_operator_`` prefix."""
        values: dict[str, float] = {
            "records_in_total": self.records_in,
            "records_out_total": self.records_out,
            "late_records_dropped_total": self.late_records_dropped,
            "malformed_records_total": self.malformed_records,
            "timers_fired_total": self.timers_fired,
        }
        if self.current_watermark_ms != MIN_WATERMARK_MS:
            values["current_watermark_ms"] = self.current_watermark_ms
        values.update(self._counters)
        for name, read in self._gauges.items():
            values[name] = read()
        return values
