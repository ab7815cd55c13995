"""One watermark out of many channels: the smallest one, over the channels that count.

A channel does not count while it is *idle*, after it has *ended* (its watermark is the maximum), or while it is
*behind*: it was idle, came back, and its watermark is still below what was already passed on. The merged watermark
never goes back. When no channel counts because all are idle (or some ended), the merged stream is idle; when all have
ended, the merged watermark is the maximum. Unlike Flink, going idle as a whole does not advance the watermark, and an
ended channel beside idle ones does not end event time for them: the idle ones may come back with records.
"""

from __future__ import annotations

from millstream.core.elements.control import (
    MAX_WATERMARK_MS,
    MIN_WATERMARK_MS,
    Watermark,
    WatermarkStatus,
)
from millstream.core.errors import invariant


class WatermarkMerger:
    """Merges the watermarks and statuses of ``n_channels`` channels, numbered from 0."""

    def __init__(self, n_channels: int) -> None:
        self._watermarks_ms = [MIN_WATERMARK_MS] * n_channels
        self._idle = [False] * n_channels
        self._merged_ms = MIN_WATERMARK_MS
        self._merged_idle = False

    @property
    def watermark_ms(self) -> int:
        """What was passed on last; ``MIN_WATERMARK_MS`` before anything was."""
        return self._merged_ms

    @property
    def is_idle(self) -> bool:
        """True after ``WatermarkStatus(idle=True)`` was passed on."""
        return self._merged_idle

    def update(self, channel: int, watermark: Watermark) -> Watermark | WatermarkStatus | None:
        """``channel`` sent ``watermark``. Returns what to pass on: an advanced watermark, a status, or nothing."""
        self._watermarks_ms[channel] = now_ms = max(self._watermarks_ms[channel], watermark.timestamp_ms)
        if self._idle[channel] and now_ms != MAX_WATERMARK_MS:
            return None
        return self._recompute()

    def set_idle(self, channel: int, idle: bool) -> Watermark | WatermarkStatus | None:
        """``channel`` became idle or active. Returns what to pass on."""
        if self._idle[channel] == idle:
            return None
        self._idle[channel] = idle
        return self._recompute()

    def _recompute(self) -> Watermark | WatermarkStatus | None:
        floor_ms = self._merged_ms
        least_ms: int | None = None
        active = ended = 0
        for watermark_ms, idle in zip(self._watermarks_ms, self._idle, strict=True):
            if watermark_ms == MAX_WATERMARK_MS:
                ended += 1
            elif not idle:
                active += 1
                if watermark_ms >= floor_ms and (least_ms is None or watermark_ms < least_ms):
                    least_ms = watermark_ms
        if ended == len(self._watermarks_ms):
            least_ms = MAX_WATERMARK_MS
        elif active == 0:
            if self._merged_idle:
                return None
            self._merged_idle = True
            return WatermarkStatus(idle=True)
        elif self._merged_idle:
            # At the instant a channel comes back nothing else can have advanced: it was the only one to change.
            self._merged_idle = False
            return WatermarkStatus(idle=False)
        if least_ms is None or least_ms <= floor_ms:
            return None
        self._merged_ms = least_ms
        return Watermark(least_ms)

    def check(self) -> None:
        """No counting channel is below the merged watermark unless it is behind; idle means that nobody counts."""
        invariant(
            not self._merged_idle
            or all(i or w == MAX_WATERMARK_MS for i, w in zip(self._idle, self._watermarks_ms, strict=True)),
            f"merged idle={self._merged_idle} with idle={self._idle} watermarks={self._watermarks_ms}",
        )
        invariant(
            self._merged_ms <= max(self._watermarks_ms, default=MIN_WATERMARK_MS),
            f"merged={self._merged_ms} is ahead of every channel: {self._watermarks_ms}",
        )
