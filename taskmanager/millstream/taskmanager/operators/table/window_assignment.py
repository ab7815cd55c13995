"""Which windows the rows of a batch fall into; all times in milliseconds, windows are ``[start, end)``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from millstream.core.table.specs import Window, WindowKind

Int64Array = npt.NDArray[np.int64]


def start_of(times: Int64Array, offset_ms: int, size_ms: int) -> Int64Array:
    """The start of the tumbling window of each time."""
    return times - (times - offset_ms) % size_ms


def assign(times: Int64Array, window: Window) -> tuple[Int64Array, Int64Array, Int64Array]:
    """``(rows, starts, ends)``: one element for each row and window of it.

    The windows of a row follow each other as in Flink: HOP from the last to the first, CUMULATE from the first.
    """
    if window.kind is WindowKind.TUMBLE:
        starts = start_of(times, window.offset_ms, window.size_ms)
        return np.arange(len(times)), starts, starts + window.size_ms
    if window.kind is WindowKind.HOP:
        last = start_of(times, window.offset_ms, window.step_ms)
        steps = np.arange(-(-window.size_ms // window.step_ms), dtype=np.int64) * window.step_ms
        starts = last[:, None] - steps
        inside = starts > (times - window.size_ms)[:, None]
        rows, _ = np.nonzero(inside)
        chosen = starts[inside]
        return rows, chosen, chosen + window.size_ms
    first = start_of(times, window.offset_ms, window.size_ms)
    steps = np.arange(1, window.size_ms // window.step_ms + 1, dtype=np.int64) * window.step_ms
    ends = first[:, None] + steps
    inside = ends > times[:, None]
    rows, _ = np.nonzero(inside)
    return rows, first[rows], ends[inside]
