"""Windows in plain Python."""

from __future__ import annotations

from typing import Any

from millstream.core.table.specs import Window, WindowKind

WINDOWS = {
    "tumble": Window(WindowKind.TUMBLE, 10),
    "tumble with offset": Window(WindowKind.TUMBLE, 10, offset_ms=-3),
    "hop": Window(WindowKind.HOP, 10, 5),
    "hop with a rest": Window(WindowKind.HOP, 10, 4, 1),
    "hop with gaps": Window(WindowKind.HOP, 4, 10),
    "cumulate": Window(WindowKind.CUMULATE, 12, 4),
    "cumulate with offset": Window(WindowKind.CUMULATE, 12, 3, 2),
}


def milliseconds(value: Any) -> int:
    """Since the epoch."""
    return round((value - type(value)(1970, 1, 1)).total_seconds() * 1000)


def windows_of(time: int, window: Window) -> list[tuple[int, int]]:
    """``(start, end)`` of each window that has ``time``."""
    size, step, offset = window.size_ms, window.step_ms, window.offset_ms
    if window.kind is WindowKind.TUMBLE:
        start = (time - offset) // size * size + offset
        return [(start, start + size)]
    if window.kind is WindowKind.HOP:
        start = (time - offset) // step * step + offset
        found = []
        while start > time - size:
            found.append((start, start + size))
            start -= step
        return found
    start = (time - offset) // size * size + offset
    return [(start, end) for end in range(start + step, start + size + 1, step) if end > time]
