"""Keyed state with one row a key: a key index, and one column for each key and value field.

An operator looks its batch's keys up once, says with ``touch`` which rows it is going to change, and changes them slot
by slot in the columns: through ``set`` and ``gather``, or with kernels on the arrays of a ``FixedColumn``::

    slots, new = table.lookup([batch.column("auction")])
    table.touch(slots)
    total = table.column("total")
    total.valid[slots] = True
    add_at(total.values, slots, prices)

Values of a new key are null, with 0 in the arrays of fixed columns. A slot is given to another key after ``remove``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.clock import Clock
from millstream.core.kernels.slot_index import Int64Array, distinct_marked
from millstream.core.table.projection import zero_column_batch
from millstream.taskmanager.state.column_chunks import TABLE, ColumnChunk
from millstream.taskmanager.state.columnar.changes import SlotChanges
from millstream.taskmanager.state.columnar.column_set import ColumnSet
from millstream.taskmanager.state.columnar.columns import Column, FixedColumn
from millstream.taskmanager.state.columnar.expiry import Expiry
from millstream.taskmanager.state.columnar.key_index import key_index_for
from millstream.taskmanager.state.columnar.slot_capture import SlotCapture

SLICE_SLOTS: Final = 1 << 14
"""Rows captured, or looked at for expiry, in one step."""


class ColumnTable:
    """Rows by key. ``key_schema`` and ``value_schema`` have no field name in common.

    ``partition_keys`` is how many of the leading key columns the exchange before the operator hashes; None for all.
    ``ttl_ms`` lets a row expire that long after it was last touched; expired rows are never found.
    """

    kind = TABLE

    def __init__(
        self,
        name: str,
        key_schema: pa.Schema,
        value_schema: pa.Schema,
        *,
        clock: Clock,
        partition_keys: int | None = None,
        ttl_ms: int | None = None,
        tracks_changes: bool = True,
        columns: Callable[[pa.Schema], ColumnSet] = ColumnSet,
    ) -> None:
        self.name = name
        self.key_schema = key_schema
        self.value_schema = value_schema
        self.partition_keys = len(key_schema) if partition_keys is None else partition_keys
        self.row_schema = pa.schema([*key_schema, *value_schema])
        if len(set(self.row_schema.names)) < len(self.row_schema):
            raise ValueError(f"the fields of table {name!r} have no names of their own: {self.row_schema.names}")
        self.changes = SlotChanges(tracks_changes)
        self.expiry = None if ttl_ms is None else Expiry(ttl_ms, clock)
        self._index = key_index_for(key_schema.types)
        self._columns = columns(self.row_schema)
        self._room = 0
        self._capture: SlotCapture | None = None

    def __len__(self) -> int:
        return len(self._index)

    # -- access -------------------------------------------------------------------------------------------------

    def lookup(self, keys: Sequence[pa.Array], rows: int | None = None) -> tuple[Int64Array, Int64Array]:
        """``(slot of each row's key, positions at which new keys stood first)``; unknown keys become rows.

        ``rows`` is the number of rows, needed when there are no key columns.
        """
        count = len(keys[0]) if rows is None else rows
        slots, new = self._index.slots_of(keys, count)
        if self.expiry is not None:
            self._reserve()
            fresh = slots[new]
            self.expiry.renew(fresh)
            expired = self.expiry.expired_among(slots)
            if len(expired):
                self.remove(expired)
                slots, renewed = self._index.slots_of(keys, count)
                self.expiry.renew(slots[renewed])
                new = np.union1d(new, renewed)
        if len(new):
            self._reserve()
            fresh = slots[new]
            for field in self.key_schema:
                position = self.key_schema.get_field_index(field.name)
                self._columns[field.name].set(fresh, keys[position].take(pa.array(new)))
            self.changes.touch(fresh)
        return slots, new

    def find(self, keys: Sequence[pa.Array], rows: int | None = None) -> Int64Array:
        """The slot of each row's key, -1 for unknown ones."""
        slots = self._index.find(keys, len(keys[0]) if rows is None else rows)
        if self.expiry is not None and len(self):
            expired = self.expiry.expired_among(slots[slots >= 0])
            if len(expired):
                slots[np.isin(slots, expired)] = -1
        return slots

    def touch(self, slots: Int64Array) -> None:
        """The rows at ``slots`` are about to change: call it before each change."""
        copied = self.changes.touch(slots)
        if len(copied):
            cast("SlotCapture", self._capture).copy(copied)
        if self.expiry is not None:
            self.expiry.renew(slots)

    def remove(self, slots: Int64Array) -> None:
        """Remove the rows at ``slots``; free slots among them, and repeated ones, do no harm."""
        slots = distinct_marked(slots, self._index.live)
        if not len(slots):
            return
        copied = self.changes.touch(slots)
        if len(copied):
            cast("SlotCapture", self._capture).copy(copied)
        gone = self.changes.saved_among(slots)
        if len(gone):
            self.changes.add_gone(self._gather(self.key_schema, gone))
        self._index.remove(slots)
        self._columns.clear(slots)

    def put(self, slots: Int64Array, names: Sequence[str], columns: Sequence[pa.Array]) -> None:
        """Set some columns of the rows at ``slots``. ``KeyError`` for a name that is none."""
        self._columns.put(slots, names, columns)

    def columns_at(self, slots: Int64Array, names: Sequence[str]) -> list[pa.Array]:
        """Some columns of the rows at ``slots``. ``KeyError`` for a name that is none."""
        return self._columns.gather(slots, names)

    def rows(self, slots: Int64Array) -> pa.RecordBatch:
        """The rows at ``slots``: keys, then values."""
        return self._gather(self.row_schema, slots)

    def contents(self) -> pa.RecordBatch:
        """All rows."""
        return self.rows(self.live_slots())

    def column(self, name: str) -> Column:
        """The column of a field. ``KeyError`` for a name that is none."""
        return self._columns[name]

    def fixed(self, name: str) -> FixedColumn:
        """The same of a field of numbers, booleans or times. ``TypeError`` for other types."""
        column = self._columns[name]
        if not isinstance(column, FixedColumn):
            raise TypeError(
                f"the column {name!r} of table {self.name!r} has type {column.kind}, which is not of fixed width"
            )
        return column

    def alive(self, slots: Int64Array) -> npt.NDArray[np.bool_]:
        """Whether there is a row, which has not expired, at each of ``slots``."""
        there: npt.NDArray[np.bool_] = self._index.live[slots]
        if self.expiry is not None:
            there = there & ~np.isin(slots, self.expiry.expired_among(slots))
        return there

    def live_slots(self) -> Int64Array:
        """The slots of all rows, ascending."""
        return np.flatnonzero(self._index.live[: self._index.slots_end])

    def expire(self) -> Int64Array:
        """Remove expired rows among the next few thousand slots; the slots that became free."""
        if self.expiry is None:
            return np.empty(0, np.int64)
        slots = self.expiry.next_expired(self._index.live, self._index.slots_end, SLICE_SLOTS)
        self.remove(slots)
        return slots

    def estimated_bytes(self) -> int:
        return self._index.estimated_bytes() + self._columns.estimated_bytes()

    def close(self) -> None:
        """Give everything back."""
        self._columns.close()

    # -- checkpoints --------------------------------------------------------------------------------------------

    def capture(self, checkpoint_id: int, full: bool) -> SlotCapture:
        """List what is to be saved; its ``advance`` takes the rows."""
        self.changes.reserve(self._index.slots_end)
        gone = self.changes.take(checkpoint_id, self._index.live, self._index.slots_end, full)
        self._capture = SlotCapture(self.changes, self._index.slots_end, self._saved_rows, gone)
        self._capture.aside = self._columns.aside()
        return self._capture

    def load(self, chunk: ColumnChunk) -> None:
        """Take in rows of a snapshot, over those that are there."""
        if chunk.gone is not None and chunk.gone.num_rows:
            slots = self._index.find(chunk.gone.columns[1:], chunk.gone.num_rows)
            self._forget(slots[slots >= 0])
        rows = chunk.rows
        if not rows.num_rows:
            return
        keys = rows.columns[chunk.first_key : chunk.first_key + chunk.keys]
        slots, _ = self._index.slots_of(keys, rows.num_rows)
        self._put_restored(slots, chunk)

    def _put_restored(self, slots: Int64Array, chunk: ColumnChunk) -> None:
        """The rows of a chunk, whose slots are known."""
        self._reserve()
        self._columns.put(slots, self.row_schema.names, chunk.rows.columns[chunk.first_key :])
        self.changes.restored(slots)
        if self.expiry is not None:
            self.expiry.restored(slots, chunk.rows.column(1) if chunk.with_ttl else None)

    def loaded(self) -> None:
        """All chunks are in."""

    def adopt(self, saved: ColumnTable) -> None:
        """Take the rows of a table with the same columns that was restored before this one was declared."""
        self._index, self._columns, self.changes = saved._index, saved._columns, saved.changes
        self._room, self._capture = saved._room, saved._capture
        if self.expiry is not None:
            self.expiry.adopt(saved.expiry, self._room)

    @property
    def saved_schema(self) -> pa.Schema:
        """The columns of a snapshot, without key groups."""
        return self.row_schema if self.expiry is None else pa.schema([self.expiry.field, *self.row_schema])

    # -- inner --------------------------------------------------------------------------------------------------

    def _forget(self, slots: Int64Array) -> None:
        slots = np.unique(slots)
        self._index.remove(slots)
        self._columns.clear(slots)

    def _saved_rows(self, slots: Int64Array) -> pa.RecordBatch:
        if not len(self.saved_schema):
            return zero_column_batch(len(slots))
        columns = self._columns.gather_once(slots, self.row_schema.names)
        if self.expiry is not None:
            columns = [self.expiry.updated(slots), *columns]
        return pa.RecordBatch.from_arrays(columns, schema=self.saved_schema)

    def _gather(self, schema: pa.Schema, slots: Int64Array) -> pa.RecordBatch:
        if not len(schema):
            return zero_column_batch(len(slots))
        return pa.RecordBatch.from_arrays(self._columns.gather(slots, schema.names), schema=schema)

    def _reserve(self) -> None:
        slots = self._index.slots_end
        if slots > self._room:
            self._room = max(slots, 2 * self._room)
            self._columns.reserve(self._room)
            self.changes.reserve(self._room)
            if self.expiry is not None:
                self.expiry.reserve(self._room)
