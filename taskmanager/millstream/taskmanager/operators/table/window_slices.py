"""Slices: the parts that overlapping windows share, so that a row is added once however many windows have it.

A slice is named by its end, in milliseconds, as windows are. TUMBLE has one slice a window, HOP slices of the greatest
common divisor of size and slide, CUMULATE of its step.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from millstream.core.table.specs import Window, WindowKind
from millstream.taskmanager.operators.table.window_assignment import Int64Array, start_of


class Slices:
    """The slices of TUMBLE, HOP and CUMULATE windows."""

    def __init__(self, window: Window) -> None:
        self.window: Final = window
        self.shared: Final = window.kind is not WindowKind.TUMBLE and window.size_ms != window.step_ms
        """Whether a slice belongs to several windows."""
        if not self.shared:
            self.width_ms = window.size_ms
        elif window.kind is WindowKind.HOP:
            self.width_ms = math.gcd(window.size_ms, window.step_ms)
        else:
            self.width_ms = window.step_ms

    def of(self, times: Int64Array) -> Int64Array:
        """The slice of each time."""
        return start_of(times, self.window.offset_ms, self.width_ms) + self.width_ms

    def last_window(self, slices: Int64Array) -> Int64Array:
        """The end of the last window that has the slice: after it, nobody needs the slice."""
        if not self.shared:
            return slices
        window, starts = self.window, slices - self.width_ms
        grid_ms = window.step_ms if window.kind is WindowKind.HOP else window.size_ms
        return start_of(starts, window.offset_ms, grid_ms) + window.size_ms

    def first_window(self, slices: Int64Array) -> Int64Array:
        """The end of the first window that has the slice."""
        window = self.window
        if not self.shared or window.kind is WindowKind.CUMULATE:
            return slices
        lacking = (slices - window.offset_ms - window.size_ms) % window.step_ms
        return np.where(lacking == 0, slices, slices + window.step_ms - lacking)

    def start(self, ends: Int64Array) -> Int64Array:
        """The start of the windows with these ends."""
        if self.shared and self.window.kind is WindowKind.CUMULATE:
            return start_of(ends - 1, self.window.offset_ms, self.window.size_ms)
        return ends - self.window.size_ms

    def windows(self, slices: Int64Array, until_ms: int, after_ms: int) -> Int64Array:
        """The ends above ``after_ms``, at most ``until_ms``, of windows that have one of ``slices``; ascending."""
        if not self.shared:
            ends = slices
        else:
            first, last = self.first_window(slices), self.last_window(slices)
            step = self.window.step_ms
            counts = (last - first) // step + 1
            offsets = np.arange(int(counts.max()) if len(counts) else 0, dtype=np.int64) * step
            grid = first[:, None] + offsets
            ends = grid[grid <= last[:, None]]
        return np.unique(ends[(ends <= until_ms) & (ends > after_ms)])

    def next_window(self, slices: Int64Array, after_ms: int) -> int | None:
        """The least end above ``after_ms`` of a window that has one of ``slices``."""
        if not len(slices):
            return None
        last = self.last_window(slices)
        open_slices = slices[last > after_ms]
        if not len(open_slices):
            return None
        first = self.first_window(open_slices)
        if self.shared:
            behind = np.maximum(after_ms - first, -1) // self.window.step_ms + 1
            first = first + behind * self.window.step_ms
        return int(first.min())
