"""Aggregation by TUMBLE, HOP and CUMULATE windows, and by windows that rows bring with them.

State is one row for each key and slice. When the watermark passes the end of a window its slices are merged and what
comes out is emitted, windows in order of their ends; a slice goes when the last window that has it is over. The slices
of CUMULATE windows are merged into the newest one as windows fire, so that each firing costs one merge.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.elements.control import MIN_WATERMARK_MS, Watermark
from millstream.core.graph.specs import ChainedOperator
from millstream.core.kernels.accumulating import ALL_ADDED
from millstream.core.kernels.groups import Grouping
from millstream.core.table.specs import WindowAggregateSpec, WindowKind
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.table.aggregates.accumulator import AggregateRows
from millstream.taskmanager.operators.table.aggregates.aggregate_set import AggregateSet, aggregate_logs
from millstream.taskmanager.operators.table.aggregates.trial import trial
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator, columns_at, key_fields
from millstream.taskmanager.operators.table.row_kinds import signs_of
from millstream.taskmanager.operators.table.slice_slots import SliceSlots
from millstream.taskmanager.operators.table.table_operator import ROWS_MAX, arrow_batch
from millstream.taskmanager.operators.table.timestamps import Int64Array, is_instant, milliseconds_of
from millstream.taskmanager.operators.table.window_properties import WindowTimes, last_of
from millstream.taskmanager.operators.table.window_slices import Slices
from millstream.taskmanager.operators.table.window_table import NULL_TIMES_DROPPED
from millstream.taskmanager.state.columnar.table import ColumnTable

_WINDOWS = "windows"
_SLICE = "slice_end"
_START = "window_start"


class WindowAggregateOperator(KeyedTableOperator[WindowAggregateSpec]):
    """All kinds of windows but sessions that are found here."""

    def __init__(self, chained: ChainedOperator, spec: WindowAggregateSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self.logs = aggregate_logs(_WINDOWS, spec.aggregates, spec.retracts)
        self._attached = spec.attached_start is not None
        self._slices = Slices(spec.window)
        self._shared = self._slices.shared and not self._attached
        self._cumulates = self._shared and spec.window.kind is WindowKind.CUMULATE
        self._by_slice: dict[int, list[Int64Array]] = {}
        """The slots of each slice that has some. Made anew from the state after a restore."""
        self._fired_ms = MIN_WATERMARK_MS
        """Windows up to this end have fired."""

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        shifted = not self._attached and (
            not self.spec.event_time or is_instant(self.spec.input[self.spec.time].type.arrow())
        )
        self._times = WindowTimes(self.time_zone, shifted)
        self._fired_ms = last_of(self._times.progress(self.watermark_ms))
        self._schedule()

    def declare(self) -> None:
        self._keys = key_fields(self.spec.input, self.spec.keys)
        windows = [pa.field(_SLICE, pa.int64())]
        if self._attached:
            windows.append(pa.field(_START, pa.int64()))
        self._set = AggregateSet(
            _WINDOWS, pa.schema([*self._keys, *windows]), self.spec.aggregates, self.spec.retracts, self._make_table
        )
        self._trial = trial(self.spec.input, self.spec.keys, self.spec.aggregates, self.context.clock)
        self._ends = self._set.table.fixed(_SLICE)
        self._remembers = len(self._keys) > 0 and not self._attached
        self._slice_slots = SliceSlots(self._keys.types)
        live = self._set.table.live_slots()
        ends = self._ends.values[live]
        for end in np.unique(ends).tolist():
            self._by_slice[end] = [live[ends == end]]

    def process(self, batch: Batch, input_index: int) -> None:
        on_time, slices = self._on_time(arrow_batch(batch))
        if on_time.num_rows:
            with self.evaluating(on_time.records, self._trial):
                self._add(on_time, slices)
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
        """Windows of processing time are over with their input, as a last watermark would end others."""
        if not self.spec.event_time and self._by_slice:
            self._fire(int(self._slices.last_window(self._known()).max()) if self._shared else int(self._known().max()))
        super().finish()

    def _advance(self, progress_ms: int) -> None:
        """Of processing time the progress is kept like a watermark: what fired must not fire again after a restore."""
        self.watermark_ms = max(self.watermark_ms, progress_ms)
        self._fire(last_of(self._times.progress(self.watermark_ms)))

    # -- adding -------------------------------------------------------------------------------------------------

    def _on_time(self, batch: ArrowBatch) -> tuple[ArrowBatch, Int64Array]:
        """The rows that some window still waits for, and their slices."""
        if self.spec.event_time or self._attached:
            column = batch.records.column(self.spec.time)
            if column.null_count:
                self.context.metrics.add(NULL_TIMES_DROPPED, column.null_count)
                batch = batch.take(np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)))
                column = batch.records.column(self.spec.time)
            times = milliseconds_of(column)
        else:
            times = np.full(batch.num_rows, self.context.clock.wall_ms(), np.int64)
        slices = times if self._attached else self._slices.of(self._times.local(times))
        late = (self._slices.last_window(slices) if self._shared else slices) <= self._fired_ms
        if late.any():
            self.context.metrics.late_records_dropped += int(np.count_nonzero(late))
            kept = np.flatnonzero(~late)
            batch, slices = batch.take(kept), slices[kept]
        if self._cumulates:  # what came too late for a window is in those after it
            slices = np.maximum(slices, self._next_step())
        return batch, slices

    def _next_step(self) -> int:
        """The slice into which CUMULATE windows put rows of slices that have been merged."""
        if self._fired_ms == MIN_WATERMARK_MS:
            return MIN_WATERMARK_MS
        return int(self._slices.of(np.array([self._fired_ms], np.int64))[0])

    def _add(self, batch: ArrowBatch, slices: Int64Array) -> None:
        keys = [*columns_at(batch, self.spec.keys), pa.array(slices)]
        if self._attached:
            assert self.spec.attached_start is not None
            keys.append(pa.array(milliseconds_of(batch.records.column(self.spec.attached_start))))
        known = len(self._set.table)
        if self._remembers:

            def place(positions: Int64Array) -> Int64Array:
                chosen = pa.array(positions)
                return self._set.slots_of([key.take(chosen) for key in keys], len(positions))

            slots = self._slice_slots.of(keys[: len(self._keys)], slices, known, place)
            groups = self._set.grouped(slots)
        else:
            slots, groups = self._set.place(keys, batch.num_rows)
        if len(self._set.table) > known:
            self._note(groups.slots[self._set.row_counts(groups.slots) == 0])
        signs = signs_of(batch)
        self._set.add(AggregateRows(slots, groups, keys, batch.records.columns, ALL_ADDED if signs is None else signs))

    def _note(self, slots: Int64Array) -> None:
        """New rows of state, or (with retractions) such as look new because they are empty."""
        ends = self._ends.values[slots]
        for end in np.unique(ends).tolist():
            self._by_slice.setdefault(end, []).append(slots[ends == end])

    # -- firing -------------------------------------------------------------------------------------------------

    def _fire(self, until_ms: int) -> None:
        """All windows that end at ``until_ms`` or before."""
        if until_ms <= self._fired_ms:
            return
        if not self._shared:
            due = sorted(end for end in self._by_slice if end <= until_ms)
            slots = self._slots_of(due)
            self._emit(self._set, slots, self._ends.values[slots])
            self._purge(due)
        elif self._cumulates:
            for end in self._slices.windows(self._known(), until_ms, self._fired_ms).tolist():
                self._fire_cumulating(end)
        else:
            for end in self._slices.windows(self._known(), until_ms, self._fired_ms).tolist():
                start = end - self.spec.window.size_ms
                self._merge_and_emit(end, self._slots_of(s for s in sorted(self._by_slice) if start < s <= end))
        self._fired_ms = until_ms
        if self._shared:
            known = self._known()
            self._purge(known[self._slices.last_window(known) <= until_ms].tolist())

    def _merge_and_emit(self, end: int, slots: Int64Array) -> None:
        merged = AggregateSet("merged", self._keys, self.spec.aggregates, self.spec.retracts, self._passing_table)
        merged.merge(self._set.keys(slots)[: len(self._keys)], self._set, slots)
        targets = merged.table.live_slots()
        self._emit(merged, targets, np.full(len(targets), end, np.int64))

    def _fire_cumulating(self, end: int) -> None:
        """Slices before ``end`` become part of the one that ends there."""
        start = int(self._slices.start(np.array([end], np.int64))[0])
        before = [known for known in sorted(self._by_slice) if start < known < end]
        if before:
            slots = self._slots_of(before)
            keys = [*self._set.keys(slots)[: len(self._keys)], pa.array(np.full(len(slots), end, np.int64))]
            known = self._by_slice.get(end, [])
            targets = Grouping().of(self._set.merge(keys, self._set, slots)).slots
            self._by_slice[end] = [np.union1d(targets, np.concatenate(known)) if known else targets]
            self._purge(before)
        slots = self._slots_of([end])
        self._emit(self._set, slots, np.full(len(slots), end, np.int64))

    def _emit(self, source: AggregateSet, slots: Int64Array, ends: Int64Array) -> None:
        if self.spec.retracts:
            some = source.row_counts(slots) > 0
            slots, ends = slots[some], ends[some]
        kinds = self.schema.types[len(self.schema) - len(self.spec.properties) :]
        now_ms = self.context.clock.wall_ms()
        for first in range(0, len(slots), ROWS_MAX):
            part, its_ends = slots[first : first + ROWS_MAX], ends[first : first + ROWS_MAX]
            keys = source.keys(part)
            starts = milliseconds_of(keys[-1]) if self._attached else self._slices.start(its_ends)
            windows = self._times.columns(self.spec.properties, starts, its_ends, now_ms, kinds)
            columns = [*keys[: len(self._keys)], *source.results(part), *windows]
            self.emit_columns(
                [
                    column if column.type == field.type else column.cast(field.type)
                    for column, field in zip(columns, self.schema, strict=True)
                ]
            )

    # -- inner --------------------------------------------------------------------------------------------------

    def _known(self) -> Int64Array:
        return np.fromiter(self._by_slice, np.int64, len(self._by_slice))

    def _slots_of(self, slices: Iterable[int]) -> Int64Array:
        parts = [part for end in slices for part in self._by_slice.get(end, [])]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _purge(self, slices: Iterable[int]) -> None:
        slices = list(slices)
        self._set.remove(self._slots_of(slices))
        self._slice_slots.forget(slices)
        for end in slices:
            self._by_slice.pop(end, None)

    def _schedule(self) -> None:
        if self.spec.event_time or not self._by_slice:
            return
        known = self._known()
        following = self._slices.next_window(known, self._fired_ms) if self._shared else int(known.min())
        if following is not None:
            self.context.schedule(self._times.due_ms(following))

    def _make_table(self, name: str, keys: pa.Schema, values: pa.Schema) -> ColumnTable:
        return self.table(name, keys, values, len(self._keys))

    def _passing_table(self, name: str, keys: pa.Schema, values: pa.Schema) -> ColumnTable:
        """Not part of the state: it lives while windows are merged."""
        return ColumnTable(name, keys, values, clock=self.context.clock, tracks_changes=False)
