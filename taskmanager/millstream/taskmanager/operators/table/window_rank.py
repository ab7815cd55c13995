"""Top-n in each window, and window deduplication, which is top-1: emitted when the watermark passes the window."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.elements.control import Watermark
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import WindowRankSpec
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator, columns_at, key_fields
from millstream.taskmanager.operators.table.partitioned_rows import PartitionedRows, partition_logs
from millstream.taskmanager.operators.table.ranking import ranks_in_order
from millstream.taskmanager.operators.table.table_operator import arrow_batch
from millstream.taskmanager.operators.table.timestamps import Int64Array, is_instant, milliseconds_of
from millstream.taskmanager.operators.table.window_properties import WindowTimes, last_of

_END = "window_end"


class WindowRankOperator(KeyedTableOperator[WindowRankSpec]):
    """State: the rows of open windows, of each partition no more than may be asked for."""

    def __init__(self, chained: ChainedOperator, spec: WindowRankSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self.logs = partition_logs(spec.input, (key.column for key in spec.order))

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self._times = WindowTimes(self.time_zone, self._shifted())
        self._fired_ms = last_of(self._times.progress(self.watermark_ms))
        self._schedule()

    def declare(self) -> None:
        keys = key_fields(self.spec.input, self.spec.partition)
        self._rows = PartitionedRows(
            self.spec.input,
            pa.schema([*keys, pa.field(_END, pa.int64())]),
            lambda name, fields, values: self.table(name, fields, values, len(keys)),
            self.context.clock,
        )

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        ends = milliseconds_of(batch.records.column(self.spec.window_end))
        late = ends <= self._fired_ms
        if late.any():
            self.context.metrics.late_records_dropped += int(np.count_nonzero(late))
            kept = np.flatnonzero(~late)
            batch, ends = batch.take(kept), ends[kept]
        if batch.num_rows:
            self._add(batch, ends)
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
        """Windows of processing time are over with their input."""
        if not self.spec.event_time:
            _, ends = self._open_windows()
            if len(ends):
                self._fire(int(ends.max()))
        super().finish()

    def _add(self, batch: ArrowBatch, ends: Int64Array) -> None:
        keys = [*columns_at(batch, self.spec.partition), pa.array(ends)]
        groups = self._rows.place(keys, batch.num_rows)
        log = self._rows.log
        log.append(groups.slots[groups.of_rows], keys, batch.records.columns)
        entries, ranks = self._ranked(groups.slots)
        log.forget(entries[ranks > self.spec.last])

    def _advance(self, progress_ms: int) -> None:
        """Of processing time the progress is kept like a watermark: what fired must not fire again after a restore."""
        self.watermark_ms = max(self.watermark_ms, progress_ms)
        self._fire(last_of(self._times.progress(self.watermark_ms)))

    def _fire(self, until_ms: int) -> None:
        if until_ms <= self._fired_ms:
            return
        self._fired_ms = until_ms
        partitions, ends = self._open_windows()
        due = np.flatnonzero(ends <= until_ms)
        if not len(due):
            return
        partitions = partitions[due[np.argsort(ends[due], kind="stable")]]
        entries, ranks = self._ranked(partitions)
        chosen = (ranks >= self.spec.first) & (ranks <= self.spec.last)
        columns = self._rows.log.values(entries[chosen])
        if self.spec.with_rank:
            columns.append(pa.array(ranks[chosen]).cast(self.schema.types[-1]))
        self.emit_columns(columns)
        self._rows.log.forget(entries)
        self._rows.forget_partitions(partitions)

    def _ranked(self, partitions: Int64Array) -> tuple[Int64Array, Int64Array]:
        """``(entries, their ranks)``, by partition and rank."""
        entries, positions, codes = self._rows.sorted(partitions, self.spec.order)
        return entries, ranks_in_order("ROW_NUMBER", positions, codes)

    def _open_windows(self) -> tuple[Int64Array, Int64Array]:
        """``(partitions, the ends of their windows)``."""
        partitions = self._rows.all_partitions()
        return partitions, milliseconds_of(self._rows.keys(partitions)[-1])

    def _shifted(self) -> bool:
        """Whether window ends are shown by the clocks of the session while watermarks are instants."""
        columns = self.spec.input.columns
        return any(is_instant(column.type.arrow()) for column in columns if column.name == "window_time")

    def _schedule(self) -> None:
        if not self.spec.event_time:
            _, ends = self._open_windows()
            if len(ends):
                self.context.schedule(self._times.due_ms(int(ends.min())))
