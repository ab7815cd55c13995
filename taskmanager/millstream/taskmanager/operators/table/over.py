"""OVER: each row with aggregates of the frame that ends at it.

By event time, rows wait until the watermark has passed them, and then come in order; late ones are dropped. By
processing time they are taken as they come. So what is emitted never changes; for all other orders and inputs there is
``general_over``. Frames with a bound keep the rows that later frames reach back to, those without one accumulators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import Batch
from millstream.core.elements.control import MIN_WATERMARK_MS, Watermark
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.specs import FrameKind, OverSpec, SortKey
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.table.aggregates.accumulator import AggregateRows, Int64Array, LazyColumns
from millstream.taskmanager.operators.table.aggregates.aggregate_set import AggregateSet
from millstream.taskmanager.operators.table.aggregates.trial import trial
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator, columns_at, key_fields
from millstream.taskmanager.operators.table.ordering import codes_of
from millstream.taskmanager.operators.table.over_distances import Distances
from millstream.taskmanager.operators.table.over_frames import SortedRows, aggregate_frames, running_results
from millstream.taskmanager.operators.table.over_numbers import (
    NUMBERS,
    OFFSETS,
    goes_by_place,
    offset_of,
    refuse_unbounded,
    shifted,
)
from millstream.taskmanager.operators.table.partitioned_rows import PartitionedRows, partition_logs
from millstream.taskmanager.operators.table.table_operator import arrow_batch
from millstream.taskmanager.operators.table.timestamps import milliseconds_of
from millstream.taskmanager.operators.table.window_table import NULL_TIMES_DROPPED
from millstream.taskmanager.state.columnar.table import ColumnTable


class OverOperator(KeyedTableOperator[OverSpec]):
    """State: rows that wait or that frames reach back to, and accumulators of frames without a bound."""

    def __init__(self, chained: ChainedOperator, spec: OverSpec) -> None:
        super().__init__(chained, spec, spec.output, spec.ttl_ms)
        self.logs = partition_logs(spec.input, [spec.order])
        for call in spec.aggregates:
            refuse_unbounded(call)
        self._plain = [call for call in spec.aggregates if not goes_by_place(call)]
        bounded = spec.preceding is not None
        self._counted = [] if bounded else list(self._plain)
        self._numbers = any(call.name in NUMBERS for call in spec.aggregates)
        if self._numbers:  # rows so far, and different times so far
            count = AggregateCall("COUNT", (), (), lt.BIGINT)
            self._counted += [count, replace(count, filter=len(spec.input))]
        offsets = [offset_of(call) for call in spec.aggregates if call.name in OFFSETS]
        by_rows = bounded and bool(self._plain) and spec.frame is FrameKind.ROWS
        self._keep_rows = max([*offsets, (spec.preceding or 0) if by_rows else 0])
        by_range = bounded and bool(self._plain) and spec.frame is FrameKind.RANGE
        self._keep_ms = spec.preceding if by_range else None

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        log = self._rows.log
        entries, _, _ = log.unordered(self._rows.all_partitions())
        waits = entries
        if len(entries):
            waits = entries[milliseconds_of(log.column(self.spec.order, entries)) > self.watermark_ms]
        self._waiting = [waits] if self.spec.event_time else []

    def declare(self) -> None:
        spec = self.spec
        keys = key_fields(spec.input, spec.partition)
        self._rows = PartitionedRows(spec.input, keys, self._make_table, self.context.clock)
        self._set = AggregateSet("frames", keys, self._counted, False, self._make_table) if self._counted else None
        self._trial = trial(spec.input, spec.partition, self._plain, self.context.clock)

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if self.spec.event_time:
            column = batch.records.column(self.spec.order)
            valid = column.is_valid().to_numpy(zero_copy_only=False)
            late = valid & (milliseconds_of(column) <= self.watermark_ms)
            if self.watermark_ms == MIN_WATERMARK_MS:
                late[:] = False
            if late.any() or column.null_count:
                self.context.metrics.add(NULL_TIMES_DROPPED, column.null_count)
                self.context.metrics.late_records_dropped += int(np.count_nonzero(late))
                batch = batch.take(np.flatnonzero(valid & ~late))
        if not batch.num_rows:
            return
        keys = columns_at(batch, self.spec.partition)
        groups = self._rows.place(keys, batch.num_rows)
        first_new = self._rows.log.next_number
        entries = self._rows.log.append(groups.slots[groups.of_rows], keys, batch.records.columns)
        if self.spec.event_time:
            self._waiting.append(entries)
        else:
            with self.evaluating(batch.records, self._trial):
                self._fire(groups.slots, first_new, None)

    def process_watermark(self, watermark: Watermark) -> None:
        if self.spec.event_time and self._waiting:
            log = self._rows.log
            waiting = np.concatenate(self._waiting)
            due = milliseconds_of(log.column(self.spec.order, waiting)) <= watermark.timestamp_ms
            self._waiting = [waiting[~due]] if not due.all() else []
            if due.any():
                with self.evaluating(lambda: self._rows_of(waiting[due]), self._trial):
                    self._fire(np.unique(log.owners(waiting[due])), 0, watermark.timestamp_ms)
        super().process_watermark(watermark)

    def _rows_of(self, entries: Int64Array) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(self._rows.log.values(entries), schema=self.spec.input.arrow_schema())

    # -- firing -------------------------------------------------------------------------------------------------

    def _fire(self, partitions: Int64Array, first_new: int, until_ms: int | None) -> None:
        """Emit the rows of ``partitions`` that wait: those up to ``until_ms``, or numbered from ``first_new``."""
        log = self._rows.log
        entries, positions, _ = log.unordered(partitions)
        key = SortKey(self.spec.order)
        if until_ms is not None:
            column = log.column(key.column, entries)
            ms = milliseconds_of(column)
            reached = ms <= until_ms
            entries, positions, ms = entries[reached], positions[reached], ms[reached]
            times = codes_of(column.filter(pa.array(reached)), key)
            is_due = ms > self.watermark_ms
        else:
            is_due = log.numbers(entries) >= first_new
            if self._keep_ms is not None:
                times = codes_of(log.column(key.column, entries), key)
            else:
                times = log.numbers(entries)  # by arrival, whatever the clock shows
        order = np.lexsort((log.numbers(entries), times, positions))
        entries, is_due = entries[order], is_due[order]
        columns = LazyColumns(len(self.spec.input), lambda index: log.column(index, entries))
        distances = None if self._keep_ms is None else Distances(columns[key.column], key)
        rows = SortedRows(positions[order], times[order], columns, distances)
        due = np.flatnonzero(is_due)
        if not len(due):
            return
        results = self._results(rows, due)
        out = np.lexsort((log.numbers(entries[due]), rows.times[due]))
        emitted = [*log.values(entries[due]), *results]
        self.emit_columns(
            [column.take(pa.array(out)).cast(field.type) for column, field in zip(emitted, self.schema, strict=True)]
        )
        self._forget(rows, entries, until_ms)

    def _results(self, rows: SortedRows, due: Int64Array) -> list[pa.Array]:
        plain = iter(self._plain_results(rows, due))
        counted = self._counted_results(rows, due)
        numbers = counted[-2:] if self._numbers else []
        if self.spec.preceding is None:
            plain = iter(counted)
        results = []
        for call in self.spec.aggregates:
            if call.name in OFFSETS and goes_by_place(call):
                results.append(shifted(call, rows, due))
            elif goes_by_place(call):
                results.append(self._number(call, rows, due, numbers))
            else:
                results.append(next(plain))
        return results

    def _plain_results(self, rows: SortedRows, due: Int64Array) -> list[pa.Array]:
        """Of frames over rows that are all here."""
        if not self._plain or self.spec.preceding is None:
            return []
        first, last = rows.frames(self.spec.frame, self.spec.preceding, 0, due)
        return aggregate_frames(self._plain, rows.columns, first, last, self._passing_table)

    def _counted_results(self, rows: SortedRows, due: Int64Array) -> list[pa.Array]:
        """Of frames that began with the first row ever: one step for the first row of each partition, and so on."""
        if self._set is None:
            return []
        by_range = self.spec.frame is FrameKind.RANGE and self.spec.event_time
        chosen = pa.array(due)
        opens_peers = pa.array(rows.opens_peers[due])
        width = len(self.spec.input)
        columns = LazyColumns(
            width + 1, lambda index: rows.columns[index].take(chosen) if index < width else opens_peers
        )
        keys = [columns[index] for index in self.spec.partition]
        slots, groups = self._set.place(keys, len(due))
        whole = AggregateRows(slots, groups, keys, columns)
        partitions = rows.partitions[due]
        opens = np.ones(len(due), np.bool_)
        opens[1:] = partitions[1:] != partitions[:-1]
        places = np.arange(len(due))
        steps = places - np.maximum.accumulate(np.where(opens, places, 0))
        running = running_results(self._set, whole, steps)
        if not by_range:
            return running
        last = pa.array(np.searchsorted(due, rows.last_peer[due]))
        hidden = 2 if self._numbers else 0
        reach = len(running) - hidden
        return [column.take(last) if index < reach else column for index, column in enumerate(running)]

    def _number(self, call: AggregateCall, rows: SortedRows, due: Int64Array, counts: Sequence[pa.Array]) -> pa.Array:
        """From the running counts of rows and of times."""
        if call.name == "DENSE_RANK":
            return counts[1]
        if call.name == "ROW_NUMBER":
            return counts[0]
        return counts[0].take(pa.array(np.searchsorted(due, rows.first_peer[due])))

    # -- inner --------------------------------------------------------------------------------------------------

    def _forget(self, rows: SortedRows, entries: Int64Array, until_ms: int | None) -> None:
        """Rows that no later frame reaches."""
        needless = rows.end - np.arange(len(entries)) > self._keep_rows
        if self._keep_ms is not None and until_ms is not None:
            ms = milliseconds_of(self._rows.log.column(self.spec.order, entries))
            needless &= ms <= until_ms - self._keep_ms
        elif self._keep_ms is not None:
            clock_ms = self.context.clock.wall_ms()
            ms = milliseconds_of(self._rows.log.column(self.spec.order, entries))
            needless &= ms < clock_ms - self._keep_ms
        owners = np.unique(self._rows.log.owners(entries))
        self._rows.log.forget(entries[needless])
        _, _, starts = self._rows.log.unordered(owners)
        self._rows.forget_partitions(owners[starts[1:] == starts[:-1]])

    def _make_table(self, name: str, keys: pa.Schema, values: pa.Schema) -> ColumnTable:
        return self.table(name, keys, values, len(self.spec.partition))

    def _passing_table(self, name: str, keys: pa.Schema, values: pa.Schema) -> ColumnTable:
        """Not part of the state: it lives while frames are aggregated."""
        return ColumnTable(name, keys, values, clock=self.context.clock, tracks_changes=False)
