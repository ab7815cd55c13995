"""Aggregation by sessions: windows that grow while rows of their key come within the gap.

Sessions are intervals ``[first time, last time + gap)``; those that overlap or touch are one. State is one row for each
session, under a number of its own, for its ends move. The rows of a batch are first put together to sessions among
themselves, then with those in the state. A row that would be late on its own is taken by itself, in its order, for it
lives only if an open session takes it in.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS, Watermark
from millstream.core.graph.specs import ChainedOperator
from millstream.core.kernels.accumulating import ALL_ADDED, keep_greatest, keep_least
from millstream.core.kernels.arrow_views import NOTHING_NULL
from millstream.core.kernels.entry_lists import EntryLists
from millstream.core.kernels.groups import Grouping
from millstream.core.kernels.intervals import number_merged
from millstream.core.table.specs import WindowAggregateSpec
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.table.aggregates.accumulator import AggregateRows, BoolArray
from millstream.taskmanager.operators.table.aggregates.aggregate_set import AggregateSet, aggregate_logs
from millstream.taskmanager.operators.table.aggregates.trial import trial
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator, columns_at, key_fields
from millstream.taskmanager.operators.table.row_kinds import signs_of
from millstream.taskmanager.operators.table.table_operator import ROWS_MAX, arrow_batch
from millstream.taskmanager.operators.table.timestamps import Int64Array, is_instant, milliseconds_of
from millstream.taskmanager.operators.table.window_properties import WindowTimes, last_of
from millstream.taskmanager.operators.table.window_table import NULL_TIMES_DROPPED
from millstream.taskmanager.state.columnar.key_index import KeyIndex, key_index_for

_SESSIONS = "sessions"
_NUMBER = "session"
_START = "session_start"
_END = "session_end"


class SessionAggregateOperator(KeyedTableOperator[WindowAggregateSpec]):
    """Found by key through lists in memory, which are made anew after a restore."""

    def __init__(self, chained: ChainedOperator, spec: WindowAggregateSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self.logs = aggregate_logs(_SESSIONS, spec.aggregates, spec.retracts)
        self._gap_ms = spec.window.size_ms
        self._lists = EntryLists()
        self._grouping = Grouping()
        self._next_number = 0

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        shifted = not self.spec.event_time or is_instant(self.spec.input[self.spec.time].type.arrow())
        self._times = WindowTimes(self.time_zone, shifted)
        self._fired_ms = last_of(self._times.progress(self.watermark_ms))
        self._schedule()

    def declare(self) -> None:
        self._keys = key_fields(self.spec.input, self.spec.keys)
        self._owners: KeyIndex = key_index_for(self._keys.types)
        self._set = AggregateSet(
            _SESSIONS,
            pa.schema([*self._keys, pa.field(_NUMBER, pa.int64())]),
            self.spec.aggregates,
            self.spec.retracts,
            lambda name, keys, values: self.table(name, keys, values, len(self._keys)),
            [pa.field(_START, pa.int64()), pa.field(_END, pa.int64())],
        )
        self._trial = trial(self.spec.input, self.spec.keys, self.spec.aggregates, self.context.clock)
        table = self._set.table
        self._starts, self._ends, numbers = table.fixed(_START), table.fixed(_END), table.fixed(_NUMBER)
        live = table.live_slots()
        if len(live):
            self._next_number = int(numbers.values[live].max()) + 1
            owners, _ = self._owners.slots_of(self._set.keys(live)[:-1], len(live))
            self._lists.link(live, owners)

    def process(self, batch: Batch, input_index: int) -> None:
        batch, times = self._timed(arrow_batch(batch))
        if not batch.num_rows:
            return
        late = times + self._gap_ms <= self._fired_ms
        with self.evaluating(batch.records, self._trial):
            if not late.any():
                self._add(batch, times)
            else:
                self._add_in_parts(batch, times, late)
        self._schedule()

    def process_watermark(self, watermark: Watermark) -> None:
        if self.spec.event_time:
            self._advance(watermark.timestamp_ms)
        self.output.emit_watermark(watermark)

    def on_processing_time(self, now_ms: int) -> None:
        super().on_processing_time(now_ms)
        if not self.spec.event_time:
            self._advance(now_ms - 1)
            self._schedule()

    def finish(self) -> None:
        """Sessions of processing time are over with their input."""
        if not self.spec.event_time:
            self._fire(MAX_WATERMARK_MS)
        super().finish()

    # -- adding -------------------------------------------------------------------------------------------------

    def _timed(self, batch: ArrowBatch) -> tuple[ArrowBatch, Int64Array]:
        if not self.spec.event_time:
            now = np.full(batch.num_rows, self.context.clock.wall_ms(), np.int64)
            return batch, self._times.local(now)
        column = batch.records.column(self.spec.time)
        if column.null_count:
            self.context.metrics.add(NULL_TIMES_DROPPED, column.null_count)
            batch = batch.take(np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)))
            column = batch.records.column(self.spec.time)
        return batch, self._times.local(milliseconds_of(column))

    def _add_in_parts(self, batch: ArrowBatch, times: Int64Array, late: BoolArray) -> None:
        """Runs of rows in time together, each late row by itself."""
        bounds = np.flatnonzero(late[1:] | late[:-1]) + 1
        for start, stop in zip([0, *bounds.tolist()], [*bounds.tolist(), len(late)], strict=True):
            part, its_times = batch.slice(start, stop), times[start:stop]
            if late[start] and not self._meets_open(part, int(its_times[0])):
                self.context.metrics.late_records_dropped += 1
            else:
                self._add(part, its_times)

    def _meets_open(self, row: ArrowBatch, time_ms: int) -> bool:
        """Whether a late row falls into a session that is still open."""
        owner = self._owners.find(columns_at(row, self.spec.keys), 1)
        if owner[0] < 0:
            return False
        sessions, _, _ = self._lists.of(owner)
        meets = (self._starts.values[sessions] <= time_ms + self._gap_ms) & (self._ends.values[sessions] >= time_ms)
        return bool(meets.any())

    def _add(self, batch: ArrowBatch, times: Int64Array) -> None:
        keys = columns_at(batch, self.spec.keys)
        owners, _ = self._owners.slots_of(keys, batch.num_rows)
        groups = self._grouping.of(owners)
        known, its_owners, _ = self._lists.of(groups.slots)
        # The intervals of all rows, and of all sessions of their keys, in order.
        of = np.concatenate([its_owners, groups.of_rows])
        starts = np.concatenate([self._starts.values[known], times])
        ends = np.concatenate([self._ends.values[known], times + self._gap_ms])
        order = np.lexsort((starts, of))
        merged: Int64Array = np.empty(len(order), np.int64)
        count = number_merged(of[order], starts[order], ends[order], merged)
        union: Int64Array = np.empty(len(order), np.int64)
        union[order] = merged
        of_known, of_rows = union[: len(known)], union[len(known) :]
        slots = self._sessions(count, known, of_known, keys, of_rows, owners)
        changed = np.unique(of_rows)
        least: Int64Array = np.empty(count, np.int64)
        greatest: Int64Array = np.empty(count, np.int64)
        keep_least(union, starts, NOTHING_NULL, least, np.zeros(count, np.bool_))
        keep_greatest(union, ends, NOTHING_NULL, greatest, np.zeros(count, np.bool_))
        self._starts.values[slots[changed]], self._ends.values[slots[changed]] = least[changed], greatest[changed]
        signs = signs_of(batch)
        of_slots = slots[of_rows]
        self._set.add(
            AggregateRows(
                of_slots,
                self._grouping.of(of_slots),
                [*keys, pa.array(self._set.table.fixed(_NUMBER).values[of_slots])],
                batch.records.columns,
                ALL_ADDED if signs is None else signs,
            )
        )

    def _sessions(
        self,
        count: int,
        known: Int64Array,
        of_known: Int64Array,
        keys: list[pa.Array],
        of_rows: Int64Array,
        owners: Int64Array,
    ) -> Int64Array:
        """By union, the slot of its session: one it has, that all others of it are merged into, or a new one."""
        slots: Int64Array = np.full(count, -1, np.int64)
        slots[of_known[::-1]] = known[::-1]  # of several the first one stays
        table = self._set.table
        absorbed = known[slots[of_known] != known]
        table.touch(np.unique(slots[of_known]))
        if len(absorbed):
            targets = slots[of_known[slots[of_known] != known]]
            self._set.merge(self._set.keys(targets), self._set, absorbed)
            self._lists.unlink(absorbed)
            self._set.remove(absorbed)
        firsts: Int64Array = np.full(count, -1, np.int64)
        firsts[of_rows[::-1]] = np.arange(len(of_rows) - 1, -1, -1)
        new = np.flatnonzero(slots < 0)
        if len(new):
            numbers = np.arange(self._next_number, self._next_number + len(new))
            self._next_number += len(new)
            rows = pa.array(firsts[new])
            placed, _ = self._set.place([*(key.take(rows) for key in keys), pa.array(numbers)], len(new))
            self._starts.valid[placed] = self._ends.valid[placed] = True
            self._lists.link(placed, owners[firsts[new]])
            slots[new] = placed
        return slots

    # -- firing -------------------------------------------------------------------------------------------------

    def _advance(self, progress_ms: int) -> None:
        """Of processing time the progress is kept like a watermark."""
        self.watermark_ms = max(self.watermark_ms, progress_ms)
        self._fire(last_of(self._times.progress(self.watermark_ms)))

    def _fire(self, until_ms: int) -> None:
        if until_ms <= self._fired_ms and self._fired_ms != MIN_WATERMARK_MS:
            return
        self._fired_ms = until_ms
        live = self._set.table.live_slots()
        ends = self._ends.values[live]
        due = np.flatnonzero(ends <= until_ms)
        due = due[np.argsort(ends[due], kind="stable")]
        slots = live[due]
        if not len(slots):
            return
        self._emit(slots[self._set.row_counts(slots) > 0])
        owners = np.unique(self._lists.owners_of(slots))
        self._lists.unlink(slots)
        self._set.remove(slots)
        _, has, _ = self._lists.of(owners)
        self._owners.remove(np.delete(owners, np.unique(has)))

    def _emit(self, slots: Int64Array) -> None:
        kinds = self.schema.types[len(self.schema) - len(self.spec.properties) :]
        now_ms = self.context.clock.wall_ms()
        for first in range(0, len(slots), ROWS_MAX):
            part = slots[first : first + ROWS_MAX]
            starts, ends = self._starts.values[part], self._ends.values[part]
            windows = self._times.columns(self.spec.properties, starts, ends, now_ms, kinds)
            columns = [*self._set.keys(part)[:-1], *self._set.results(part), *windows]
            self.emit_columns(
                [
                    column if column.type == field.type else column.cast(field.type)
                    for column, field in zip(columns, self.schema, strict=True)
                ]
            )

    def _schedule(self) -> None:
        if not self.spec.event_time and len(self._set.table):
            self.context.schedule(self._times.due_ms(int(self._ends.values[self._set.table.live_slots()].min())))
