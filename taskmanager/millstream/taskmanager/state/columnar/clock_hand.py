"""Which places of a cache have been used least lately: the clock algorithm over arrays."""

from __future__ import annotations

import numpy as np

from millstream.core.kernels.slot_index import BoolArray, Int64Array
from millstream.taskmanager.state.columnar.columns import grown


class ClockHand:
    """The hand goes round the places; one that was used since it passed is spared once."""

    def __init__(self) -> None:
        self.used: BoolArray = np.zeros(0, np.bool_)
        """By place: the hand has to pass once more."""
        self._position = 0

    def reserve(self, places: int) -> None:
        if places > len(self.used):
            self.used = grown(self.used, places)

    def coldest(self, places: Int64Array, count: int) -> Int64Array:
        """``count`` of ``places``, which ascend, in the order of the hand; used ones behind the others if need be."""
        split = int(np.searchsorted(places, self._position))
        ahead = np.concatenate([places[split:], places[:split]])
        used = self.used[ahead]
        unused = np.flatnonzero(~used)
        if len(unused) >= count:
            chosen = ahead[unused[:count]]
            self.used[ahead[: unused[count - 1]]] = False
        else:
            chosen = np.concatenate([ahead[unused], ahead[np.flatnonzero(used)[: count - len(unused)]]])
            self.used[ahead] = False
        self.used[chosen] = False
        self._position = int(chosen[-1]) + 1
        return chosen
