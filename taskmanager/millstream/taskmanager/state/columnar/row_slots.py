"""Slots of rows that have no key of their own, given out and taken back."""

from __future__ import annotations

import numpy as np

from millstream.core.kernels.slot_index import BoolArray, Int64Array
from millstream.taskmanager.state.columnar.columns import grown


class RowSlots:
    """Slots that are free are given out before new ones."""

    def __init__(self) -> None:
        self.live: BoolArray = np.zeros(0, np.bool_)
        """By slot, at least ``end`` long."""
        self.end = 0
        """Above all slots ever given out."""
        self._free: Int64Array = np.empty(0, np.int64)
        self._free_count = 0

    @classmethod
    def holding(cls, live: BoolArray) -> RowSlots:
        """Slots that are given out where ``live``, and free elsewhere."""
        made = cls()
        made.extend(len(live))
        made.free(np.flatnonzero(~live))
        return made

    def __len__(self) -> int:
        return self.end - self._free_count

    def allocate(self, count: int) -> Int64Array:
        reused = min(count, self._free_count)
        slots: Int64Array = np.empty(count, np.int64)
        slots[:reused] = self._free[self._free_count - reused : self._free_count][::-1]
        self._free_count -= reused
        slots[reused:] = np.arange(self.end, self.end + count - reused)
        self.live[slots[:reused]] = True
        self.extend(self.end + count - reused)
        return slots

    def extend(self, end: int) -> None:
        """Give out all slots from the present end on, free ones being left alone."""
        if end > self.end:
            if end > len(self.live):
                room = max(end, 2 * len(self.live))
                self.live = grown(self.live, room)
            self.live[self.end : end] = True
            self.end = end

    def free(self, slots: Int64Array) -> None:
        """Take distinct live slots back."""
        self.live[slots] = False
        if self._free_count + len(slots) > len(self._free):
            self._free = grown(self._free, max(self._free_count + len(slots), 2 * len(self._free)))
        self._free[self._free_count : self._free_count + len(slots)] = slots
        self._free_count += len(slots)

    def estimated_bytes(self) -> int:
        return self.live.nbytes + self._free.nbytes
