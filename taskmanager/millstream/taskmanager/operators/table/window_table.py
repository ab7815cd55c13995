"""TUMBLE, HOP and CUMULATE as table functions: each row comes once for each of its windows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import WindowTableSpec
from millstream.taskmanager.operators.table.row_kinds import chosen
from millstream.taskmanager.operators.table.table_operator import TableOperator, arrow_batch
from millstream.taskmanager.operators.table.timestamps import (
    from_local,
    is_instant,
    milliseconds_of,
    timestamps_from,
    to_local,
)
from millstream.taskmanager.operators.table.window_assignment import assign

NULL_TIMES_DROPPED = "numNullRowTimeRecordsDropped"


class WindowTableOperator(TableOperator[WindowTableSpec]):
    """Adds window_start, window_end and window_time. Windows of instants follow the clocks of the session's zone."""

    def __init__(self, chained: ChainedOperator, spec: WindowTableSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self._instants = not spec.event_time or is_instant(spec.input[spec.time].type.arrow())
        self._whole = spec.window.size_ms == spec.window.step_ms or not spec.window.step_ms

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if self.spec.event_time:
            batch = self._timed(batch)
            times = milliseconds_of(batch.records.column(self.spec.time))
        else:
            times = np.full(batch.num_rows, self.context.clock.wall_ms(), np.int64)
        if self._instants:
            times = to_local(times, self.time_zone)
        rows, starts, ends = assign(times, self.spec.window)
        columns, kinds = batch.records.columns, batch.row_kinds
        if not self._whole:
            indices = pa.array(rows)
            columns, kinds = [column.take(indices) for column in columns], chosen(kinds, rows)
        last = ends - 1
        if is_instant(self.schema.types[-1]):
            last = from_local(last, self.time_zone)
        windows = [
            timestamps_from(values, kind)
            for values, kind in zip((starts, ends, last), self.schema.types[-3:], strict=True)
        ]
        self.emit_columns([*columns, *windows], kinds)

    def _timed(self, batch: ArrowBatch) -> ArrowBatch:
        """Rows without a time are in no window."""
        column = batch.records.column(self.spec.time)
        if not column.null_count:
            return batch
        self.context.metrics.add(NULL_TIMES_DROPPED, column.null_count)
        return batch.take(np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)))
