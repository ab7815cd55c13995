"""Which slot a restored row has: rows of a snapshot that are told apart by their key group and a number."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from millstream.core.errors import invariant
from millstream.core.kernels.slot_index import BoolArray, Int64Array, SlotIndex

_NUMBER_BITS: Final = 47
"""A key group has 15 bits and a number the rest of a positive integer."""


class RestoredSlots:
    """Lives until all chunks are in."""

    def __init__(self) -> None:
        self._index = SlotIndex()

    @property
    def end(self) -> int:
        """Above all slots ever given out."""
        return self._index.slots_end

    @property
    def live(self) -> BoolArray:
        """By slot below ``end``, whether it has a row."""
        return self._index.live[: self.end]

    def slots_of(self, groups: pa.Array, numbers: pa.Array) -> Int64Array:
        """The slots of rows, new ones for new rows."""
        return self._index.slots_of(_codes(groups, numbers))[0]

    def take_out(self, groups: pa.Array, numbers: pa.Array) -> Int64Array:
        """Rows that are no more: the slots of those that were there, which are free now."""
        slots = self._index.find(_codes(groups, numbers))
        slots = slots[slots >= 0]
        self._index.remove(slots)
        return slots


def _codes(groups: pa.Array, numbers: pa.Array) -> Int64Array:
    rows: Int64Array = numbers.to_numpy()
    largest = int(rows.max(initial=0))
    invariant(largest >> _NUMBER_BITS == 0, f"the number {largest} of a row has more than {_NUMBER_BITS} bits")
    codes: Int64Array = (groups.to_numpy().astype("int64") << _NUMBER_BITS) | rows
    return codes
