"""Keyed state with any number of rows a key: the sides of joins, the candidates of a top-n, the rows of an OVER window.

Rows have slots, and their columns are addressed by them. The rows of a key form a chain in the order in which they
came, so a join looks a batch's keys up and has all pairs in two arrays::

    positions, rows = table.rows_of(table.find([batch.column("id")]))
    left, right = batch.take(pa.array(positions)), table.gather(rows)

A snapshot tells rows apart by key group and ``_row``, a number that grows within a key group for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, cast

import numpy as np
import pyarrow as pa

from millstream.core.clock import Clock
from millstream.core.kernels.slot_index import BoolArray, Int64Array, distinct_marked
from millstream.taskmanager.state.column_chunks import ROW, ROWS, ColumnChunk
from millstream.taskmanager.state.columnar.changes import SlotChanges
from millstream.taskmanager.state.columnar.column_set import ColumnSet
from millstream.taskmanager.state.columnar.columns import Column, FixedColumn, column_for, grown
from millstream.taskmanager.state.columnar.expiry import Expiry
from millstream.taskmanager.state.columnar.key_index import key_index_for
from millstream.taskmanager.state.columnar.matching import RowMatches
from millstream.taskmanager.state.columnar.restored_slots import RestoredSlots
from millstream.taskmanager.state.columnar.row_chains import RowChains
from millstream.taskmanager.state.columnar.row_slots import RowSlots
from millstream.taskmanager.state.columnar.slot_capture import SlotCapture
from millstream.taskmanager.state.columnar.table import SLICE_SLOTS

_KEY_PREFIX: Final = "_key_"


class RowTable:
    """Rows by key. ``row_schema`` may have fields named like those of ``key_schema``; they are kept apart.

    ``matched`` are the fields by which ``find_matching`` and ``remove_matching`` compare rows, beside the key; None for
    all. ``partition_keys`` and ``ttl_ms`` are as of ``ColumnTable``; a row lives from when it is appended or touched.
    """

    kind = ROWS
    hash_mask: ClassVar[int] = -1
    """The bits of the hash that rows are matched by."""

    def __init__(
        self,
        name: str,
        key_schema: pa.Schema,
        row_schema: pa.Schema,
        *,
        clock: Clock,
        matched: Sequence[str] | None = None,
        partition_keys: int | None = None,
        ttl_ms: int | None = None,
        tracks_changes: bool = True,
        columns: Callable[[pa.Schema], ColumnSet] = ColumnSet,
    ) -> None:
        if len(set(row_schema.names)) < len(row_schema):
            raise ValueError(f"the rows of {name!r} have two fields of one name: {row_schema.names}")
        self.name = name
        self.key_schema = key_schema
        self.value_schema = row_schema
        self.partition_keys = len(key_schema) if partition_keys is None else partition_keys
        self.changes = SlotChanges(tracks_changes)
        self.expiry = None if ttl_ms is None else Expiry(ttl_ms, clock)
        self._matched = row_schema.names if matched is None else list(matched)
        self._keys = key_index_for(key_schema.types)
        self._key_columns = [column_for(field.type) for field in key_schema]
        self._columns = columns(row_schema)
        self._slots = RowSlots()
        self._chains = RowChains()
        self._matches: RowMatches | None = None
        self._ids: Int64Array = np.empty(0, np.int64)
        self._next_id = 0
        self._key_room = 0
        self._restoring: RestoredSlots | None = None
        self._capture: SlotCapture | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._slots)

    # -- access -------------------------------------------------------------------------------------------------

    def find(self, keys: Sequence[pa.Array], rows: int | None = None) -> Int64Array:
        """The slot of each key, for ``rows_of``; -1 for keys without rows. Valid until rows are removed.

        ``rows`` is the number of keys, needed when there are no key columns.
        """
        return self._keys.find(keys, len(keys[0]) if rows is None else rows)

    def append(self, keys: Sequence[pa.Array], rows: pa.RecordBatch) -> Int64Array:
        """Add one row to each key; their row slots."""
        self._restoring = None
        key_slots, new = self._keys.slots_of(keys, rows.num_rows)
        slots = self._slots.allocate(rows.num_rows)
        self._reserve()
        self._set_keys(key_slots, new, keys)
        self._columns.put(slots, self.value_schema.names, [rows.column(name) for name in self.value_schema.names])
        self._ids[slots] = np.arange(self._next_id, self._next_id + len(slots))
        self._next_id += len(slots)
        self._chains.append(key_slots, slots)
        self.changes.touch(slots)
        if self.expiry is not None:
            self.expiry.renew(slots)
        if self._matches is not None:
            self._matches.add(slots, keys, rows)
        return slots

    def rows_of(self, key_slots: Int64Array) -> tuple[Int64Array, Int64Array]:
        """``(positions in key_slots, row slots)``: all rows of each key in turn, none of -1, in the order they came."""
        positions, rows = self._chains.rows_of(key_slots)
        if self.expiry is not None and len(rows):
            expired = self.expiry.have_expired(rows)
            if expired.any():
                return positions[~expired], rows[~expired]
        return positions, rows

    def counts(self, key_slots: Int64Array) -> Int64Array:
        """The number of rows of each key, 0 of -1; expired rows count until they are swept."""
        known = key_slots >= 0
        found: Int64Array = np.zeros(len(key_slots), np.int64)
        found[known] = self._chains.counts_of(key_slots[known])
        return found

    def gather(self, row_slots: Int64Array) -> pa.RecordBatch:
        """The rows at ``row_slots``."""
        columns = self.columns_at(row_slots, self.value_schema.names)
        return pa.RecordBatch.from_arrays(columns, schema=self.value_schema)

    def columns_at(self, row_slots: Int64Array, names: Sequence[str]) -> list[pa.Array]:
        """Some columns of the rows at ``row_slots``. ``KeyError`` for a name that is none."""
        return self._columns.gather(row_slots, names)

    def contents(self) -> pa.RecordBatch:
        """All rows with their keys, which have a prefix where a field of the rows has their name."""
        slots = self.live_slots()
        schema = pa.schema([*self._key_fields(), *self.value_schema])
        return pa.RecordBatch.from_arrays([*self.keys_of(slots), *self.gather(slots).columns], schema=schema)

    def keys_of(self, row_slots: Int64Array) -> list[pa.Array]:
        """The key columns of the rows at ``row_slots``."""
        key_slots = self._chains.groups_of(row_slots)
        return [column.gather(key_slots) for column in self._key_columns]

    def touch(self, row_slots: Int64Array) -> None:
        """The rows are about to change: call it before each change. Fields in ``matched`` must not change."""
        self._note(row_slots)
        if self.expiry is not None:
            self.expiry.renew(row_slots)

    def column(self, name: str) -> Column:
        """The column of a field, by row slot. ``KeyError`` for a name that is none."""
        return self._columns[name]

    def fixed(self, name: str) -> FixedColumn:
        """The same of a field of numbers, booleans or times. ``TypeError`` for other types."""
        column = self._columns[name]
        if not isinstance(column, FixedColumn):
            raise TypeError(f"the column {name!r} of {self.name!r} has type {column.kind}, not one of fixed width")
        return column

    def live_slots(self) -> Int64Array:
        """The slots of all rows, ascending."""
        return np.flatnonzero(self._slots.live[: self._slots.end])

    # -- removal ------------------------------------------------------------------------------------------------

    def find_matching(self, keys: Sequence[pa.Array], rows: pa.RecordBatch) -> Int64Array:
        """The slot of a row that has the key and equals the row in the ``matched`` fields; -1 when there is none.

        Equal rows of the batch find different rows of the table, the oldest first. NULL equals NULL. ``rows`` has those
        fields at least.
        """
        self._restoring = None
        if self._matches is None:
            self._matches = RowMatches(self._matched, self.hash_mask)
            live = self.live_slots()
            live = live[np.argsort(self._ids[live])]
            self._matches.reserve(self._slots.end)
            for start in range(0, len(live), SLICE_SLOTS):
                part = live[start : start + SLICE_SLOTS]
                self._matches.add(part, self.keys_of(part), self.gather(part))
        found = self._matches.find(keys, rows, lambda slots: (self.keys_of(slots), self.gather(slots)))
        if self.expiry is not None:
            known = np.flatnonzero(found >= 0)
            found[known[self.expiry.have_expired(found[known])]] = -1
        return found

    def remove_matching(self, keys: Sequence[pa.Array], rows: pa.RecordBatch) -> BoolArray:
        """Remove one equal row for each row of the batch; which of them were found."""
        found = self.find_matching(keys, rows)
        known: BoolArray = found >= 0
        self.remove_rows(found[known])
        return known

    def remove_rows(self, row_slots: Int64Array) -> None:
        """Remove the rows at ``row_slots``; free slots among them, and repeated ones, do no harm."""
        slots = distinct_marked(row_slots, self._slots.live)
        if not len(slots):
            return
        self._restoring = None
        self._note(slots)
        gone = self.changes.saved_among(slots)
        if len(gone):
            self.changes.add_gone(self._identities(gone))
        if self._matches is not None:
            self._matches.remove(slots)
        emptied = self._chains.unlink(slots)
        self._slots.free(slots)
        self._columns.clear(slots)
        self._remove_keys(emptied)

    def remove_keys(self, keys: Sequence[pa.Array], rows: int | None = None) -> None:
        """Remove all rows of these keys."""
        _, slots = self._chains.rows_of(np.unique(self.find(keys, rows)))
        self.remove_rows(slots)

    def expire(self) -> Int64Array:
        """Remove expired rows among the next few thousand slots; the slots that became free."""
        if self.expiry is None:
            return np.empty(0, np.int64)
        slots = self.expiry.next_expired(self._slots.live, self._slots.end, SLICE_SLOTS)
        self.remove_rows(slots)
        return slots

    def estimated_bytes(self) -> int:
        parts: list[Any] = [self._keys, self._chains, self._slots, *self._key_columns, self._columns]
        if self._matches is not None:
            parts.append(self._matches)
        return self._ids.nbytes + sum(int(part.estimated_bytes()) for part in parts)

    def close(self) -> None:
        """Give everything back."""
        self._columns.close()

    # -- checkpoints --------------------------------------------------------------------------------------------

    @property
    def saved_schema(self) -> pa.Schema:
        """The columns of a snapshot, without key groups."""
        expiry = [] if self.expiry is None else [self.expiry.field]
        return pa.schema([pa.field(ROW, pa.int64()), *expiry, *self._key_fields(), *self.value_schema])

    def capture(self, checkpoint_id: int, full: bool) -> SlotCapture:
        """List what is to be saved; its ``advance`` takes the rows."""
        self._restoring = None
        self.changes.reserve(self._slots.end)
        gone = self.changes.take(checkpoint_id, self._slots.live, self._slots.end, full)
        self._capture = SlotCapture(self.changes, self._slots.end, self._saved_rows, gone)
        self._capture.aside = self._columns.aside()
        return self._capture

    def load(self, chunk: ColumnChunk) -> None:
        """Take in rows of a snapshot, over those that are there; before anything is appended."""
        if self._restoring is None:
            self._restoring = RestoredSlots()
        known = self._restoring
        if chunk.gone is not None and chunk.gone.num_rows:
            self._columns.clear(known.take_out(*chunk.gone.columns[:2]))
        rows = chunk.rows
        if not rows.num_rows:
            return
        slots = known.slots_of(*rows.columns[:2])
        self._slots.extend(known.end)
        first, end = chunk.first_key, chunk.first_key + chunk.keys
        key_slots, new = self._keys.slots_of(rows.columns[first:end], rows.num_rows)
        self._reserve()
        self._set_keys(key_slots, new, rows.columns[first:end])
        self._columns.put(slots, self.value_schema.names, rows.columns[end:])
        self._ids[slots] = rows.column(1).to_numpy()
        self._next_id = max(self._next_id, int(self._ids[slots].max()) + 1)
        self._chains.note_groups(slots, key_slots)
        self.changes.restored(slots)
        if self.expiry is not None:
            self.expiry.restored(slots, rows.column(2) if chunk.with_ttl else None)

    def loaded(self) -> None:
        """All chunks are in: put the rows into chains, in the order of their numbers."""
        if self._restoring is None:
            return
        live = np.flatnonzero(self._restoring.live)
        self._slots = RowSlots.holding(self._restoring.live)
        self._restoring = None
        rows = live[np.argsort(self._ids[live], kind="stable")]
        key_slots = self._chains.groups_of(rows)
        self._chains = RowChains()
        self._reserve()
        self._chains.append(key_slots, rows)
        held = np.flatnonzero(self._keys.live[: self._keys.slots_end])
        self._remove_keys(held[self._chains.counts_of(held) == 0])

    def adopt(self, saved: RowTable) -> None:
        """Take the rows of a table with the same columns that was restored before this one was declared."""
        own = (self.expiry, self._matched)
        for name in ("_keys", "_key_columns", "_slots", "_chains", "_ids", "_next_id", "_key_room"):
            setattr(self, name, getattr(saved, name))
        self._columns.reserve(len(self._ids))
        self._columns = self._columns.in_place_of(saved._columns, self.live_slots())
        self.changes, self._capture, self._restoring = saved.changes, saved._capture, saved._restoring
        self.expiry, self._matched = own
        if self.expiry is not None:
            self.expiry.adopt(saved.expiry, len(self._ids))

    # -- inner --------------------------------------------------------------------------------------------------

    def _note(self, slots: Int64Array) -> None:
        copied = self.changes.touch(slots)
        if len(copied):
            cast("SlotCapture", self._capture).copy(copied)

    def _key_fields(self) -> list[pa.Field]:
        taken = set(self.value_schema.names)
        return [
            field.with_name(_KEY_PREFIX + field.name) if field.name in taken else field for field in self.key_schema
        ]

    def _identities(self, slots: Int64Array) -> pa.RecordBatch:
        schema = pa.schema([pa.field(ROW, pa.int64()), *self._key_fields()])
        return pa.RecordBatch.from_arrays([pa.array(self._ids[slots]), *self.keys_of(slots)], schema=schema)

    def _saved_rows(self, slots: Int64Array) -> pa.RecordBatch:
        columns = [pa.array(self._ids[slots])]
        if self.expiry is not None:
            columns.append(self.expiry.updated(slots))
        columns += [*self.keys_of(slots), *self._columns.gather_once(slots, self.value_schema.names)]
        return pa.RecordBatch.from_arrays(columns, schema=self.saved_schema)

    def _set_keys(self, key_slots: Int64Array, new: Int64Array, keys: Sequence[pa.Array]) -> None:
        if len(new) == len(key_slots):
            for column, values in zip(self._key_columns, keys, strict=True):
                column.set(key_slots, values)
        elif len(new):
            chosen = pa.array(new)
            for column, values in zip(self._key_columns, keys, strict=True):
                column.set(key_slots[new], values.take(chosen))

    def _remove_keys(self, key_slots: Int64Array) -> None:
        if len(key_slots):
            self._keys.remove(key_slots)
            for column in self._key_columns:
                column.clear(key_slots)

    def _reserve(self) -> None:
        keys, rows = self._keys.slots_end, self._slots.end
        self._chains.reserve(keys, rows)
        if keys > self._key_room:
            self._key_room = max(keys, 2 * self._key_room)
            for column in self._key_columns:
                column.reserve(self._key_room)
        if rows > len(self._ids):
            room = max(rows, 2 * len(self._ids))
            self._ids = grown(self._ids, room)
            self._columns.reserve(room)
            self.changes.reserve(room)
            if self.expiry is not None:
                self.expiry.reserve(room)
        if self._matches is not None:
            self._matches.reserve(rows)


def plain_key_names(keys: pa.Schema, rows: pa.Schema) -> pa.Schema:
    """The key fields of a snapshot under the names that the table's ``key_schema`` has."""
    taken = set(rows.names)
    plain = []
    for field in keys:
        name = field.name.removeprefix(_KEY_PREFIX)
        plain.append(field.with_name(name) if name in taken else field)
    return pa.schema(plain)
