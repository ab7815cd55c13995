"""From the values of key columns to slots.

One column of integers or times is looked up by its integers, every other combination by the words of its rows. NULL is
a key like any other, as GROUP BY has it. Without key columns there is one key, which all rows have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from millstream.core.kernels.arrow_views import fixed_dtype, flat, integers_of, valid_of
from millstream.core.kernels.row_index import RowIndex
from millstream.core.kernels.slot_index import BoolArray, Int64Array, SlotIndex
from millstream.taskmanager.state.columnar.row_encoding import encode_rows


class KeyIndex(Protocol):
    """Slots of distinct keys. A slot is given to another key after ``remove``."""

    @property
    def live(self) -> BoolArray:
        """By slot, at least ``slots_end`` long: whether it has a key."""
        ...

    @property
    def slots_end(self) -> int:
        """Above all slots ever given out."""
        ...

    def __len__(self) -> int: ...

    def slots_of(self, columns: Sequence[pa.Array], rows: int) -> tuple[Int64Array, Int64Array]:
        """``(slot of each row's key, positions at which new keys stood first)``; unknown keys get slots."""
        ...

    def find(self, columns: Sequence[pa.Array], rows: int) -> Int64Array:
        """The slot of each row's key, -1 for unknown ones."""
        ...

    def remove(self, slots: Int64Array) -> None:
        """Forget the keys of ``slots``; free slots among them, and repeated ones, do no harm."""
        ...

    def clear(self) -> None:
        """Forget all keys, and keep the room."""
        ...

    def estimated_bytes(self) -> int: ...


def key_index_for(kinds: Sequence[pa.DataType]) -> KeyIndex:
    """A new index for keys of these types."""
    if len(kinds) == 1:
        dtype = fixed_dtype(kinds[0])
        if dtype is not None:
            return _IntegerKeys(dtype)
    return _RowKeys() if kinds else _OneKey()


class _IntegerKeys:
    """One column of at most 64 bits."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._index = SlotIndex()

    @property
    def live(self) -> BoolArray:
        return self._index.live

    @property
    def slots_end(self) -> int:
        return self._index.slots_end

    def __len__(self) -> int:
        return len(self._index)

    def slots_of(self, columns: Sequence[pa.Array], rows: int) -> tuple[Int64Array, Int64Array]:
        column = flat(columns[0])
        codes, valid = integers_of(column, self._dtype), valid_of(column)
        if not len(valid):
            return self._index.slots_of(codes)
        positions = np.flatnonzero(valid)
        slots: Int64Array = np.empty(rows, np.int64)
        slots[positions], firsts = self._index.slots_of(codes[positions])
        nulls = np.flatnonzero(~valid)
        slots[nulls], is_new = self._index.codeless_slot()
        firsts = positions[firsts]
        return slots, np.sort(np.append(firsts, nulls[0])) if is_new else firsts

    def find(self, columns: Sequence[pa.Array], rows: int) -> Int64Array:
        column = flat(columns[0])
        codes, valid = integers_of(column, self._dtype), valid_of(column)
        slots = self._index.find(codes)
        if len(valid):
            slots[~valid] = self._index.codeless
        return slots

    def remove(self, slots: Int64Array) -> None:
        self._index.remove(slots)

    def clear(self) -> None:
        self._index.clear()

    def estimated_bytes(self) -> int:
        return self._index.estimated_bytes


class _RowKeys:
    """Any columns."""

    def __init__(self) -> None:
        self._index = RowIndex()

    @property
    def live(self) -> BoolArray:
        return self._index.live

    @property
    def slots_end(self) -> int:
        return self._index.slots_end

    def __len__(self) -> int:
        return len(self._index)

    def slots_of(self, columns: Sequence[pa.Array], rows: int) -> tuple[Int64Array, Int64Array]:
        return self._index.slots_of_rows(*encode_rows(columns, rows))

    def find(self, columns: Sequence[pa.Array], rows: int) -> Int64Array:
        return self._index.find_rows(*encode_rows(columns, rows))

    def remove(self, slots: Int64Array) -> None:
        self._index.remove(slots)

    def clear(self) -> None:
        self._index.clear()

    def estimated_bytes(self) -> int:
        return self._index.estimated_bytes


class _OneKey:
    """No columns: the one key of a global aggregate, in slot 0."""

    slots_end = 1

    def __init__(self) -> None:
        self.live: BoolArray = np.zeros(1, np.bool_)

    def __len__(self) -> int:
        return int(self.live[0])

    def slots_of(self, columns: Sequence[pa.Array], rows: int) -> tuple[Int64Array, Int64Array]:
        is_new = rows > 0 and not self.live[0]
        self.live[0] |= is_new
        return np.zeros(rows, np.int64), np.zeros(int(is_new), np.int64)

    def find(self, columns: Sequence[pa.Array], rows: int) -> Int64Array:
        return np.full(rows, 0 if self.live[0] else -1, np.int64)

    def remove(self, slots: Int64Array) -> None:
        if len(slots):
            self.live[0] = False

    def clear(self) -> None:
        self.live[0] = False

    def estimated_bytes(self) -> int:
        return 1
