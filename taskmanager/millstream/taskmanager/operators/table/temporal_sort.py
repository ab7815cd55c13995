"""ORDER BY event time first: rows leave in order when the watermark has passed them; late ones are dropped.

Where the first column is processing time, rows come in its order, and only those of one batch are sorted.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import Batch
from millstream.core.elements.control import MIN_WATERMARK_MS, Watermark
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.row_type import TimeAttribute
from millstream.core.table.specs import TemporalSortSpec
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator
from millstream.taskmanager.operators.table.ordering import sort_positions
from millstream.taskmanager.operators.table.partitioned_rows import PartitionedRows, partition_logs
from millstream.taskmanager.operators.table.table_operator import arrow_batch
from millstream.taskmanager.operators.table.timestamps import milliseconds_of


class TemporalSortOperator(KeyedTableOperator[TemporalSortSpec]):
    """State: the rows that are still ahead of the watermark."""

    def __init__(self, chained: ChainedOperator, spec: TemporalSortSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self.logs = partition_logs(spec.input, (key.column for key in spec.order))
        self._time = spec.order[0].column
        self._by_clock = spec.input[self._time].time is TimeAttribute.PROCTIME

    def declare(self) -> None:
        self._rows = PartitionedRows(
            self.spec.input,
            pa.schema([]),
            lambda name, keys, values: self.table(name, keys, values, 0),
            self.context.clock,
        )

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if self._by_clock:
            rest = self.spec.order[1:]
            positions = sort_positions([batch.records.column(key.column) for key in rest], rest)
            self.emit_records(batch.take(positions).records if rest else batch.records)
            return
        if self.watermark_ms != MIN_WATERMARK_MS:
            late = milliseconds_of(batch.records.column(self._time)) <= self.watermark_ms
            if late.any():
                self.context.metrics.late_records_dropped += int(np.count_nonzero(late))
                batch = batch.take(np.flatnonzero(~late))
        if batch.num_rows:
            groups = self._rows.place([], batch.num_rows)
            self._rows.log.append(groups.slots[groups.of_rows], [], batch.records.columns)

    def process_watermark(self, watermark: Watermark) -> None:
        log = self._rows.log
        entries, _, _ = log.unordered(self._rows.all_partitions())
        if len(entries):
            due = entries[milliseconds_of(log.column(self._time, entries)) <= watermark.timestamp_ms]
            columns = [log.column(key.column, due) for key in self.spec.order]
            self.emit_columns(log.values(due[sort_positions(columns, self.spec.order, log.numbers(due))]))
            log.forget(due)
        super().process_watermark(watermark)
