"""A column table whose rows nobody looks up by key: entries of a log, found by whoever keeps their slots.

The last key column numbers the entries; within a key group no number comes twice. So there is no index of keys, which
would take more memory than many a row, and every key that comes is new. Snapshots are those of a ``ColumnTable``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.core.errors import InvariantViolation
from millstream.core.kernels.slot_index import BoolArray, Int64Array
from millstream.taskmanager.state.column_chunks import ColumnChunk
from millstream.taskmanager.state.columnar.restored_slots import RestoredSlots
from millstream.taskmanager.state.columnar.row_slots import RowSlots
from millstream.taskmanager.state.columnar.table import ColumnTable


class EntryTable(ColumnTable):
    """Rows by slot."""

    _index: _NewKeys

    def __init__(self, name: str, key_schema: pa.Schema, value_schema: pa.Schema, **options: Any) -> None:
        super().__init__(name, key_schema, value_schema, **options)
        self._index = _NewKeys()
        self._restoring: RestoredSlots | None = None

    def lookup(self, keys: Sequence[pa.Array], rows: int | None = None) -> tuple[Int64Array, Int64Array]:
        """The slots of new rows with these keys, all of which are new."""
        count = len(keys[0]) if rows is None else rows
        slots, new = self._index.slots_of(keys, count)
        self._reserve()
        self._columns.put(slots, self.key_schema.names, keys)
        self.changes.touch(slots)
        if self.expiry is not None:
            self.expiry.renew(slots)
        return slots, new

    def load(self, chunk: ColumnChunk) -> None:
        """As of ``ColumnTable``; before anything is looked up."""
        if self._restoring is None:
            self._restoring = RestoredSlots()
        known, number = self._restoring, len(self.key_schema) - 1
        if chunk.gone is not None and chunk.gone.num_rows:
            self._columns.clear(known.take_out(chunk.gone.column(0), chunk.gone.column(1 + number)))
        rows = chunk.rows
        if not rows.num_rows:
            return
        slots = known.slots_of(rows.column(0), rows.column(chunk.first_key + number))
        self._index.extend(known.end)
        self._put_restored(slots, chunk)

    def loaded(self) -> None:
        """All chunks are in."""
        if self._restoring is not None:
            self._index = _NewKeys(self._restoring.live)
            self._restoring = None

    def adopt(self, saved: ColumnTable) -> None:
        own = self._columns
        super().adopt(saved)
        own.reserve(self._room)
        self._columns = own.in_place_of(saved._columns, self.live_slots())


class _NewKeys:
    """Implements ``KeyIndex`` for keys of which each is new."""

    def __init__(self, live: BoolArray | None = None) -> None:
        self._slots = RowSlots() if live is None else RowSlots.holding(live)

    @property
    def live(self) -> BoolArray:
        return self._slots.live

    @property
    def slots_end(self) -> int:
        return self._slots.end

    def __len__(self) -> int:
        return len(self._slots)

    def slots_of(self, columns: Sequence[pa.Array], rows: int) -> tuple[Int64Array, Int64Array]:
        return self._slots.allocate(rows), np.arange(rows)

    def find(self, columns: Sequence[pa.Array], rows: int) -> Int64Array:
        raise InvariantViolation(
            f"invariant violated: {rows} entries of a log are looked up by their keys, of which there is no index. "
            "This is a defect of Millstream; please report it."
        )

    def extend(self, end: int) -> None:
        """Give out all slots from the present end on."""
        self._slots.extend(end)

    def remove(self, slots: Int64Array) -> None:
        self._slots.free(slots)

    def clear(self) -> None:
        self._slots = RowSlots()

    def estimated_bytes(self) -> int:
        return self._slots.estimated_bytes()
