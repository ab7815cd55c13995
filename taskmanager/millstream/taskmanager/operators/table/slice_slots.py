"""The slots of (key, slice) pairs, remembered by slice: a batch has many keys but few slices.

The key is looked up in an index of its own, and an array for each slice says which slot the key has there; only pairs
that are new go through the table, whose index of pairs costs twice as much. In memory only, and made anew when keys
have piled up that no slice has any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from millstream.taskmanager.operators.table.timestamps import Int64Array
from millstream.taskmanager.state.columnar.key_index import KeyIndex, key_index_for

_KEYS_MIN: Final = 1 << 16
Place = Callable[[Int64Array], Int64Array]
"""``positions -> the slots of the pairs there``."""


class SliceSlots:
    """``kinds`` are the types of the key columns."""

    def __init__(self, kinds: Sequence[pa.DataType]) -> None:
        self._kinds = list(kinds)
        self._keys: KeyIndex = key_index_for(self._kinds)
        self._slots: dict[int, Int64Array] = {}

    def of(self, keys: Sequence[pa.Array], slices: Int64Array, pairs: int, place: Place) -> Int64Array:
        """The slot of each row; ``place`` finds those that are not known. ``pairs``: how many the table has."""
        if len(self._keys) > max(_KEYS_MIN, 4 * pairs):
            self._keys = key_index_for(self._kinds)
            self._slots.clear()
        owners, _ = self._keys.slots_of(keys, len(slices))
        slots: Int64Array = np.empty(len(slices), np.int64)
        lowest, highest = int(slices.min()), int(slices.max())
        if lowest == highest:
            slots[:] = self._known(lowest)[owners]
        else:
            for end in np.unique(slices).tolist():
                rows = np.flatnonzero(slices == end)
                slots[rows] = self._known(end)[owners[rows]]
        unknown = np.flatnonzero(slots < 0)
        if len(unknown):
            slots[unknown] = place(unknown)
            for end in np.unique(slices[unknown]).tolist():
                rows = unknown[slices[unknown] == end]
                self._slots[end][owners[rows]] = slots[rows]
        return slots

    def forget(self, slices: Sequence[int]) -> None:
        """Slices that are no more."""
        for end in slices:
            self._slots.pop(end, None)

    def _known(self, end: int) -> Int64Array:
        known = self._slots.get(end)
        room = self._keys.slots_end
        if known is None or len(known) < room:
            larger: Int64Array = np.full(max(room, 1024) * 2, -1, np.int64)
            if known is not None:
                larger[: len(known)] = known
            known = self._slots[end] = larger
        return known
