"""Growable columns whose values are addressed by slot.

A column is written and read many slots at a time, in Arrow arrays of its declared type. Slots that were never set, or
were cleared, are null. ``column_for`` chooses the form by the type: numbers and times in a numpy array that kernels
may change in place, strings and bytes in a heap, everything else (decimals, lists, structs, maps) as the
Python values that Arrow makes of them.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.kernels import heaps
from millstream.core.kernels.arrow_views import fixed_dtype, fixed_of, flat, is_text, text_of, valid_of
from millstream.core.kernels.slot_index import BoolArray, Int64Array

_HEAP_FIRST: Final = 1 << 12
_GARBAGE_MIN_BYTES: Final = 1 << 16
_OBJECT_BYTES: Final = 120
"""A guess of what one Python value takes."""


class Column(Protocol):
    """Values of one Arrow type by slot."""

    kind: pa.DataType

    def reserve(self, slots: int) -> None:
        """Make room for the slots below ``slots``; new ones are null."""
        ...

    def set(self, slots: Int64Array, values: pa.Array) -> None:
        """Put value ``i`` at ``slots[i]``; of equal slots the last value stays."""
        ...

    def gather(self, slots: Int64Array) -> pa.Array:
        """The values at ``slots``, of type ``kind``."""
        ...

    def clear(self, slots: Int64Array) -> None:
        """Make the values at ``slots`` null and give back what they took."""
        ...

    def estimated_bytes(self) -> int: ...


def column_for(kind: pa.DataType) -> Column:
    """A new column for values of this type."""
    dtype = fixed_dtype(kind)
    if dtype is not None:
        return FixedColumn(kind, dtype)
    return VarColumn(kind) if is_text(kind) else FallbackColumn(kind)


class FixedColumn:
    """Numbers, booleans and times. Kernels may change ``values`` and ``valid`` in place.

    Both arrays are replaced by longer ones in ``reserve``: hold them for one batch only.
    """

    def __init__(self, kind: pa.DataType, dtype: np.dtype[Any]) -> None:
        self.kind = kind
        self.values: npt.NDArray[Any] = np.zeros(0, dtype)
        self.valid: BoolArray = np.zeros(0, np.bool_)

    def reserve(self, slots: int) -> None:
        if slots > len(self.values):
            room = max(slots, 2 * len(self.values))
            self.values = grown(self.values, room)
            self.valid = grown(self.valid, room)

    def set(self, slots: Int64Array, values: pa.Array) -> None:
        values = flat(values)
        self.values[slots] = fixed_of(values, self.values.dtype)
        valid = valid_of(values)
        self.valid[slots] = valid if len(valid) else True

    def gather(self, slots: Int64Array) -> pa.Array:
        values, valid = self.values[slots], self.valid[slots]
        nulls = len(valid) - int(np.count_nonzero(valid))
        data = _bitmap(values) if values.dtype == np.bool_ else _buffer(values)
        return pa.Array.from_buffers(self.kind, len(slots), [_bitmap(valid) if nulls else None, data], nulls)

    def clear(self, slots: Int64Array) -> None:
        self.values[slots] = 0
        self.valid[slots] = False

    def estimated_bytes(self) -> int:
        return self.values.nbytes + self.valid.nbytes


class VarColumn:
    """Strings and bytes behind each other in a heap, copied together when more than half of it is garbage."""

    def __init__(self, kind: pa.DataType) -> None:
        self.kind = kind
        self._large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
        self._starts: Int64Array = np.zeros(0, np.int64)
        self._lengths: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        self._heap: npt.NDArray[np.uint8] = np.empty(_HEAP_FIRST + heaps.SLACK_BYTES, np.uint8)
        self._end = 0
        self._garbage_bytes = 0

    def reserve(self, slots: int) -> None:
        before = len(self._starts)
        if slots > before:
            room = max(slots, 2 * before)
            self._starts = grown(self._starts, room)
            self._lengths = grown(self._lengths, room)
            self._lengths[before:] = -1

    def set(self, slots: Int64Array, values: pa.Array) -> None:
        values = flat(values)
        offsets, data = text_of(values)
        added = int(offsets[-1] - offsets[0])
        if self._end + added + heaps.SLACK_BYTES > len(self._heap):
            self._make_room(added)
        valid = valid_of(values)
        if len(valid):
            self._end, garbage = heaps.append_values(
                slots, offsets, data, valid, self._starts, self._lengths, self._heap, self._end
            )
        else:
            self._end, garbage = heaps.append_whole(
                slots, offsets, data, self._starts, self._lengths, self._heap, self._end
            )
        self._garbage_bytes += garbage

    def gather(self, slots: Int64Array) -> pa.Array:
        offsets: Int64Array = np.empty(len(slots) + 1, np.int64)
        valid: BoolArray = np.empty(len(slots), np.bool_)
        nulls = heaps.gather_lengths(slots, self._lengths, offsets, valid)
        if not self._large and offsets[-1] > np.iinfo(np.int32).max:
            raise pa.ArrowInvalid(f"{len(slots)} values of {int(offsets[-1])} bytes do not fit one {self.kind} array")
        data = np.empty(int(offsets[-1]) + heaps.SLACK_BYTES, np.uint8)
        heaps.gather_values(slots, self._starts, self._heap, offsets, data)
        ends = offsets if self._large else offsets.astype(np.int32)
        return pa.Array.from_buffers(
            self.kind,
            len(slots),
            [_bitmap(valid) if nulls else None, _buffer(ends), _buffer(data[: len(data) - heaps.SLACK_BYTES])],
            nulls,
        )

    def clear(self, slots: Int64Array) -> None:
        self._garbage_bytes += heaps.release_values(slots, self._lengths)
        if self._garbage_bytes > max(_GARBAGE_MIN_BYTES, self._end // 2):
            self._make_room(0)

    def estimated_bytes(self) -> int:
        return self._starts.nbytes + self._lengths.nbytes + len(self._heap)

    def _make_room(self, added: int) -> None:
        """Move to a heap with room for as much again, or for ``added`` bytes: as it is, which is ten times faster than
        value by value, unless a quarter is garbage."""
        compacts = self._garbage_bytes >= self._end // 4
        kept = self._end - self._garbage_bytes if compacts else self._end
        into = np.empty(max(_HEAP_FIRST, 2 * kept, kept + added) + heaps.SLACK_BYTES, np.uint8)
        if compacts:
            self._end = heaps.compact_values(self._starts, self._lengths, self._heap, into)
            self._garbage_bytes = 0
        else:
            into[: self._end] = self._heap[: self._end]
        self._heap = into


class FallbackColumn:
    """Values of any Arrow type, as the Python values that Arrow makes of them."""

    def __init__(self, kind: pa.DataType) -> None:
        self.kind = kind
        self._values: npt.NDArray[np.object_] = np.empty(0, np.object_)

    def reserve(self, slots: int) -> None:
        if slots > len(self._values):
            larger = np.empty(max(slots, 2 * len(self._values)), np.object_)
            larger[: len(self._values)] = self._values
            self._values = larger

    def set(self, slots: Int64Array, values: pa.Array) -> None:
        stored = self._values
        for slot, value in zip(slots.tolist(), flat(values).to_pylist(), strict=True):
            stored[slot] = value

    def gather(self, slots: Int64Array) -> pa.Array:
        return pa.array(self._values[slots].tolist(), self.kind)

    def clear(self, slots: Int64Array) -> None:
        self._values[slots] = None

    def estimated_bytes(self) -> int:
        return len(self._values) * 8 + _OBJECT_BYTES * int(np.count_nonzero(self._values))


def grown(array: npt.NDArray[Any], room: int) -> npt.NDArray[Any]:
    """A copy with room for ``room`` elements, the new ones zero."""
    larger = np.zeros(room, array.dtype)
    larger[: len(array)] = array
    return larger


def _bitmap(mask: npt.NDArray[Any]) -> pa.Buffer:
    return _buffer(np.packbits(mask, bitorder="little"))


def _buffer(array: npt.NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(array)
