"""The window columns at the end of what window operators emit, and the times at which windows end."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS
from millstream.taskmanager.operators.table.timestamps import (
    Int64Array,
    from_local,
    is_instant,
    timestamps_from,
    to_local,
)

_LIMIT_MS = 8_000_000_000_000_000
"""Beyond all times that a calendar has: watermarks out there are not converted."""


class WindowTimes:
    """``shifted``: windows follow the clocks of ``zone``, since their times are instants."""

    def __init__(self, zone: ZoneInfo, shifted: bool) -> None:
        self._zone = zone
        self._shifted = shifted and zone.key != "UTC"
        self._reached_ms = MIN_WATERMARK_MS

    def local(self, times: Int64Array) -> Int64Array:
        """Times of rows as windows count them."""
        return to_local(times, self._zone) if self._shifted else times

    def progress(self, watermark_ms: int) -> int:
        """Windows whose last millisecond is at most this are over; never goes back, as clocks may."""
        if self._shifted and -_LIMIT_MS < watermark_ms < _LIMIT_MS:
            watermark_ms = int(to_local(np.array([watermark_ms], np.int64), self._zone)[0])
        self._reached_ms = max(self._reached_ms, watermark_ms)
        return self._reached_ms

    def due_ms(self, end_ms: int) -> int:
        """When, on the wall clock, a window with this end is over."""
        if not self._shifted:
            return end_ms
        return int(from_local(np.array([end_ms], np.int64), self._zone)[0])

    def columns(
        self, properties: Sequence[str], starts: Int64Array, ends: Int64Array, now_ms: int, kinds: Sequence[pa.DataType]
    ) -> list[pa.Array]:
        """The columns ``properties`` of windows, of the types ``kinds``."""
        made = []
        for name, kind in zip(properties, kinds, strict=True):
            if name == "window_start":
                values = starts
            elif name == "window_end":
                values = ends
            elif name == "proctime":
                values = np.full(len(ends), now_ms, np.int64)
            else:
                values = ends - 1
                if self._shifted and is_instant(kind):
                    values = from_local(values, self._zone)
            made.append(timestamps_from(values, kind))
        return made


def last_of(progress_ms: int) -> int:
    """The greatest window end that is over."""
    return progress_ms if progress_ms == MAX_WATERMARK_MS else progress_ms + 1
