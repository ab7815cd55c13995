"""Windows in the plainest Python there is: the reference the operators are compared with.

One list of (record, time) a key and window, searched and sorted again at every step; nothing incremental, no timers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from millstream.core.elements.control import MIN_WATERMARK_MS

Span = tuple[int, int]
"""(start, end) in milliseconds"""


def grid_spans(size_ms: int, slide_ms: int, offset_ms: int = 0) -> Callable[[int], list[Span]]:
    """All spans of the grid that contain a time, by trying every one near it; the latest first."""

    def spans(time_ms: int) -> list[Span]:
        around = range((time_ms - offset_ms - size_ms) // slide_ms - 1, (time_ms - offset_ms) // slide_ms + 2)
        starts = [i * slide_ms + offset_ms for i in around]
        return [(s, s + size_ms) for s in reversed(starts) if s <= time_ms < s + size_ms]

    return spans


@dataclass
class Pane:
    """One window of one key."""

    key: Any
    span: Span
    rows: list[tuple[int, Any]]  # (number of the part it came from, record)
    born: int
    fired: bool = False


@dataclass
class ReferenceWindows:
    """Event-time windows with the default trigger, grids or sessions (``gap``), over keyed records."""

    spans: Callable[[int], list[Span]] | None = None
    gap: Callable[[Any], int] | None = None
    lateness_ms: int = 0
    watermark_ms: int = MIN_WATERMARK_MS
    emitted: list[tuple[Any, Span, list[Any]]] = field(default_factory=list)
    late: list[tuple[Any, int]] = field(default_factory=list)
    panes: list[Pane] = field(default_factory=list)
    clock: int = 0

    def push(self, key: Any, record: Any, time_ms: int) -> None:
        """One record."""
        self.clock += 1
        taken = False
        spans = [(time_ms, time_ms + self.gap(record))] if self.gap else self.spans(time_ms) if self.spans else []
        for span in spans:
            pane = self._session(key, span) if self.gap else self._pane(key, span)
            if self._gone(pane.span):
                if pane in self.panes:
                    self.panes.remove(pane)
                continue
            taken = True
            pane.rows.append((self.clock, record))
            if pane.span[1] - 1 <= self.watermark_ms:
                self._emit(pane)
        if not taken and time_ms + self.lateness_ms <= self.watermark_ms:
            self.late.append((record, time_ms))

    def advance(self, watermark_ms: int) -> None:
        """The watermark moves on: fire what is over, by end and then by age; forget what is gone."""
        self.watermark_ms = max(self.watermark_ms, watermark_ms)
        over = [p for p in self.panes if not p.fired and p.span[1] - 1 <= self.watermark_ms]
        for pane in sorted(over, key=lambda p: (p.span[1], p.born)):
            self._emit(pane)
        self.panes = [p for p in self.panes if not self._gone(p.span)]

    def _emit(self, pane: Pane) -> None:
        pane.fired = True
        self.emitted.append((pane.key, pane.span, [record for _, record in pane.rows]))

    def _gone(self, span: Span) -> bool:
        return span[1] - 1 + self.lateness_ms <= self.watermark_ms

    def _pane(self, key: Any, span: Span) -> Pane:
        for pane in self.panes:
            if (pane.key, pane.span) == (key, span):
                return pane
        pane = Pane(key, span, [], self.clock)
        if not self._gone(span):
            self.panes.append(pane)
        return pane

    def _session(self, key: Any, span: Span) -> Pane:
        """Join ``span`` with every session of the key that it touches; contents in order of the sessions' starts."""
        touching = [p for p in self.panes if p.key == key and p.span[0] <= span[1] and span[0] <= p.span[1]]
        touching.sort(key=lambda p: p.span)
        start = min([span[0], *(p.span[0] for p in touching)])
        end = max([span[1], *(p.span[1] for p in touching)])
        same = [p for p in touching if p.span == (start, end)]
        if same and len(touching) == 1:
            return same[0]
        rows = [row for p in touching for row in p.rows]
        for pane in touching:
            self.panes.remove(pane)
        merged = Pane(key, (start, end), rows, self.clock, fired=end - 1 <= self.watermark_ms)
        self.panes.append(merged)
        return merged
