"""A column table that keeps a share of memory and moves rows that are cold to RocksDB.

Before a batch is looked up, rows leave if the table would outgrow its share: those that no batch has found since the
hand of a clock last passed them. The batch's keys that are not in memory are then read back in one call. A row in
memory may have a copy in the database: it is written again only if the row changed, and what is in memory counts.

A snapshot has what a ``ColumnTable`` has in it. Changed rows that leave before they are saved are logged, so that an
incremental snapshot finds them; a full one reads the database beside the task, as it was at the barrier.

Slots are valid until the next ``lookup``, and they do not list all rows: operators that remember slots, or ask for
``live_slots``, use a ``ColumnTable``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final, cast

import numpy as np
import pyarrow as pa

from millstream.core.errors import InvariantViolation
from millstream.core.kernels.slot_index import BoolArray, Int64Array, distinct_marked
from millstream.taskmanager.state.column_chunks import ColumnChunk
from millstream.taskmanager.state.columnar.clock_hand import ClockHand
from millstream.taskmanager.state.columnar.cold_rows import ColdRows, Slice
from millstream.taskmanager.state.columnar.columns import grown
from millstream.taskmanager.state.columnar.key_index import key_index_for
from millstream.taskmanager.state.columnar.local_database import Spilling
from millstream.taskmanager.state.columnar.row_log import RowLog
from millstream.taskmanager.state.columnar.slot_capture import SlotCapture
from millstream.taskmanager.state.columnar.table import SLICE_SLOTS, ColumnTable

_UNTIMED: Final = -1
"""When a row was written of whose life nobody had spoken."""
_CHECKED_LOOKUPS: Final = 32
"""The size of a row may change: it is measured again after so many batches."""


class SpillingTable(ColumnTable):
    """Rows by key, in memory and in ``spilling``'s database."""

    rows_min: ClassVar[int] = 32
    """So many rows may be in memory however small the share is."""

    def __init__(
        self, name: str, key_schema: pa.Schema, value_schema: pa.Schema, *, spilling: Spilling, **options: Any
    ) -> None:
        super().__init__(name, key_schema, value_schema, **options)
        self._cold = ColdRows(spilling, len(key_schema), self.partition_keys, self.row_schema)
        self._log = RowLog()
        self._cold_only = 0
        """Keys that are in the database and not in memory."""
        none: BoolArray = np.zeros(0, np.bool_)
        self._stored, self._same = none, none
        """By slot: the database has a row of the key; it is the row in memory."""
        self._hand = ClockHand()
        self._rows_max = self.rows_min
        self._lookups = 0
        self._untimed_ms = 0
        self._swept = b""

    def __len__(self) -> int:
        return len(self._index) + self._cold_only

    # -- access -------------------------------------------------------------------------------------------------

    def lookup(self, keys: Sequence[pa.Array], rows: int | None = None) -> tuple[Int64Array, Int64Array]:
        """As of ``ColumnTable``; slots of earlier calls are not valid any more."""
        count = len(keys[0]) if rows is None else rows
        self._make_room(count)
        self._fetch(keys, count)
        slots, new = super().lookup(keys, count)
        self._hand.used[slots] = True
        self._hand.used[slots[new]] = False
        return slots, new

    def find(self, keys: Sequence[pa.Array], rows: int | None = None) -> Int64Array:
        count = len(keys[0]) if rows is None else rows
        self._fetch(keys, count)
        return super().find(keys, count)

    def touch(self, slots: Int64Array) -> None:
        super().touch(slots)
        self._same[slots] = False

    def remove(self, slots: Int64Array) -> None:
        slots = distinct_marked(slots, self._index.live)
        self._delete_stored(slots)
        super().remove(slots)

    def contents(self) -> pa.RecordBatch:
        memory = self.rows(self._in_memory())
        cold = [pa.RecordBatch.from_arrays(columns, schema=self.row_schema) for _, columns in self._cold_rows([memory])]
        return pa.concat_batches([memory, *cold]) if cold else memory

    def live_slots(self) -> Int64Array:
        raise InvariantViolation(
            f"invariant violated: all slots of table {self.name!r} are asked for, and {self._cold_only} of its "
            f"{len(self)} rows have none. This is a defect of Millstream; please report it."
        )

    def expire(self) -> Int64Array:
        """Remove expired rows among the next few thousand slots, and as many of the database; the freed slots."""
        freed = super().expire()
        if self.expiry is not None and self._cold_only:
            self._sweep_cold()
        return freed

    def estimated_bytes(self) -> int:
        return self._memory_bytes() + self._cold.estimated_bytes()

    def close(self) -> None:
        """Delete what is on disk."""
        self._cold.close()

    # -- checkpoints --------------------------------------------------------------------------------------------

    def capture(self, checkpoint_id: int, full: bool) -> SlotCapture:
        self._log.rotate()
        capture = super().capture(checkpoint_id, full)
        if full and self._cold_only:
            frozen = self._cold.frozen()
            capture.cold = lambda taken: self._saved_cold(frozen, taken)
        return capture

    def load(self, chunk: ColumnChunk) -> None:
        rows, gone = chunk.rows, chunk.gone
        keys = rows.columns[chunk.first_key : chunk.first_key + chunk.keys]
        self._make_room(rows.num_rows + (0 if gone is None else gone.num_rows))
        if gone is not None:
            self._fetch(gone.columns[1:], gone.num_rows)
        self._fetch(keys, rows.num_rows)
        super().load(chunk)
        slots = self._index.find(keys, rows.num_rows)
        self._same[slots] = False

    def adopt(self, saved: ColumnTable) -> None:
        super().adopt(saved)
        if self.expiry is not None:
            self._untimed_ms = self.expiry.now_ms()
        self._reserve_marks()
        if isinstance(saved, SpillingTable):
            self._cold.close()
            self._cold, self._log, self._cold_only = saved._cold, saved._log, saved._cold_only
            self._stored, self._same, self._hand = saved._stored, saved._same, saved._hand

    def load_all(self) -> None:
        """Bring all rows into memory, for a table that cannot spill."""
        for updated_ms, columns in self._cold_rows([]):
            keys = columns[: len(self.key_schema)]
            absent = np.flatnonzero(self._index.find(keys, len(updated_ms)) < 0)
            self._insert([column.take(pa.array(absent)) for column in columns], updated_ms[absent])
        self._cold_only = 0

    # -- inner --------------------------------------------------------------------------------------------------

    def _fetch(self, keys: Sequence[pa.Array], count: int) -> None:
        """Read those of the keys that are not in memory and have a row."""
        if not self._cold_only or not count:
            return
        missing = np.flatnonzero(self._index.find(keys, count) < 0)
        if not len(missing):
            return
        wanted = pa.array(missing)
        rows = self._cold.get([key.take(wanted) for key in keys], len(missing))
        if not rows:
            return
        updated_ms, columns = self._cold.decode(rows)
        self._cold_only -= len(rows)
        if self.expiry is not None:
            updated_ms = np.where(updated_ms == _UNTIMED, self._untimed_ms, updated_ms)
            expired = self.expiry.are_past(updated_ms)
            if expired.any():
                self._drop_cold([column.filter(pa.array(expired)) for column in columns[: len(self.key_schema)]])
                columns = [column.filter(pa.array(~expired)) for column in columns]
                updated_ms = updated_ms[~expired]
        self._insert(columns, updated_ms)

    def _insert(self, columns: list[pa.Array], updated_ms: Int64Array) -> None:
        """Rows of the database that are not in memory, each once."""
        slots, _ = self._index.slots_of(columns[: len(self.key_schema)], len(updated_ms))
        self._reserve()
        self._columns.put(slots, self.row_schema.names, columns)
        self.changes.restored(slots)
        if self.expiry is not None:
            self.expiry.restored(slots, pa.array(updated_ms))
        self._stored[slots], self._same[slots], self._hand.used[slots] = True, True, False

    def _make_room(self, count: int) -> None:
        """Let rows leave if ``count`` more would be too many."""
        self._lookups += 1
        wanted = len(self._index) + count
        if wanted > self._rows_max or self._lookups % _CHECKED_LOOKUPS == 0:
            self._rows_max = self._measured_max()
            if wanted > self._rows_max:
                self._evict(min(len(self._index), wanted - self._rows_max * 3 // 4))

    def _measured_max(self) -> int:
        """Arrays double: they may when twice as much fits; else there are as many rows as fit now."""
        budget, taken = self._cold.budget_bytes, max(1, self._memory_bytes())
        rows = 2 * self._room if 2 * taken <= budget else min(self._room, self._room * budget // taken)
        return max(self.rows_min, rows)

    def _evict(self, count: int) -> None:
        """The coldest rows leave."""
        if not count:
            return
        slots = self._hand.coldest(self._in_memory(), count)
        pending = slots[self.changes.pending[slots]]
        if len(pending):
            self.changes.pending[pending] = False
            cast("SlotCapture", self._capture).copy(pending)
        if not self.changes.lost:
            unsaved = slots[self.changes.unsaved(slots)]
            if len(unsaved):
                self.changes.add_gone(self._log.append(self._saved_rows(unsaved), self._cold.directory))
        written = slots[~self._same[slots]]
        if len(written):
            self._cold.put(self._updated_ms(written), self.rows(written).columns)
        self._cold_only += len(slots)
        self._forget_in_memory(slots)
        self.changes.evicted(slots, len(self))

    def _sweep_cold(self) -> None:
        rows, self._swept = self._cold.following(self._swept, SLICE_SLOTS)
        if not rows:
            return
        updated_ms, columns = self._cold.decode(rows)
        updated_ms = np.where(updated_ms == _UNTIMED, self._untimed_ms, updated_ms)
        keys = columns[: len(self.key_schema)]
        assert self.expiry is not None
        expired = self.expiry.are_past(updated_ms) & (self._index.find(keys, len(rows)) < 0)
        dropped = int(np.count_nonzero(expired))
        if dropped:
            self._cold_only -= dropped
            self._drop_cold([key.filter(pa.array(expired)) for key in keys])

    def _drop_cold(self, keys: list[pa.Array]) -> None:
        """Rows that are in the database alone have expired."""
        gone = pa.RecordBatch.from_arrays(keys, schema=self.key_schema)
        self._cold.delete(keys, gone.num_rows)
        if self.changes.tracks:
            self.changes.add_gone(gone)

    def _cold_rows(self, memory: Sequence[pa.RecordBatch]) -> Iterator[Slice]:
        return self._without(self._cold.frozen(), memory, 0) if self._cold_only else iter(())

    def _saved_cold(self, frozen: Iterable[Slice], taken: Sequence[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Beside the task: the rows of the database at a barrier but for those that were in memory."""
        for updated_ms, columns in self._without(frozen, taken, int(self.expiry is not None)):
            if self.expiry is not None:
                updated_ms = np.where(updated_ms == _UNTIMED, self._untimed_ms, updated_ms)
                columns = [pa.array(updated_ms), *columns]
            yield pa.RecordBatch.from_arrays(columns, schema=self.saved_schema)

    def _without(self, slices: Iterable[Slice], known: Sequence[pa.RecordBatch], first_key: int) -> Iterator[Slice]:
        """The rows whose keys, which begin at column ``first_key`` there, are not among ``known``."""
        index = key_index_for(self.key_schema.types)
        for batch in known:
            index.slots_of(batch.columns[first_key : first_key + len(self.key_schema)], batch.num_rows)
        for updated_ms, columns in slices:
            absent = index.find(columns[: len(self.key_schema)], len(updated_ms)) < 0
            if absent.all():
                yield updated_ms, columns
            elif absent.any():
                mask = pa.array(absent)
                yield updated_ms[absent], [column.filter(mask) for column in columns]

    def _updated_ms(self, slots: Int64Array) -> Int64Array:
        if self.expiry is None:
            return np.full(len(slots), _UNTIMED, np.int64)
        times: Int64Array = self.expiry.updated(slots).to_numpy()
        return times

    def _in_memory(self) -> Int64Array:
        return super().live_slots()

    def _memory_bytes(self) -> int:
        return super().estimated_bytes() + 3 * self._stored.nbytes

    def _delete_stored(self, slots: Int64Array) -> None:
        stored = slots[self._stored[slots]]
        if len(stored):
            self._cold.delete(self._gather(self.key_schema, stored).columns, len(stored))
            self._stored[stored] = False

    def _forget(self, slots: Int64Array) -> None:
        self._delete_stored(np.unique(slots))
        super()._forget(slots)

    def _forget_in_memory(self, slots: Int64Array) -> None:
        super()._forget(slots)
        self._stored[slots] = False
        self._same[slots] = False

    def _reserve(self) -> None:
        super()._reserve()
        self._reserve_marks()

    def _reserve_marks(self) -> None:
        if self._room > len(self._stored):
            self._stored, self._same = (grown(marks, self._room) for marks in (self._stored, self._same))
            self._hand.reserve(self._room)
