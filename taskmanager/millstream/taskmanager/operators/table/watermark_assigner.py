"""WATERMARK FOR: the watermark follows the greatest value of an expression over the rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.elements.batch import Batch
from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS, Watermark, WatermarkStatus
from millstream.core.errors import ErrorPlace, MalformedRecordError
from millstream.core.graph.specs import ChainedOperator
from millstream.core.serde import encode_value
from millstream.core.table.evaluation import compile_projections
from millstream.core.table.specs import WatermarkAssignerSpec
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.snapshots import WATERMARK, OperatorSnapshot, restored_watermark
from millstream.taskmanager.operators.table.table_operator import TableOperator, arrow_batch
from millstream.taskmanager.operators.table.timestamps import milliseconds_of
from millstream.taskmanager.operators.user_code import preview_of


class WatermarkAssignerOperator(TableOperator[WatermarkAssignerSpec]):
    """A watermark after each batch that moved it. Those from before are dropped, except the last."""

    def __init__(self, chained: ChainedOperator, spec: WatermarkAssignerSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self._express = compile_projections((spec.expression,), spec.input)
        self._emitted_ms = MIN_WATERMARK_MS
        self._idle = False
        self._active_ms = 0

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self._active_ms = context.clock.wall_ms()
        self._schedule()

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        records = batch.records
        if records.num_rows == 0:
            return
        self._set_idle(False)
        self._active_ms = self.context.clock.wall_ms()
        self._refuse_nulls(records)
        with self.evaluating(records, self._greatest):
            watermark_ms = self._greatest(records)
        self.emit_records(pa.RecordBatch.from_arrays(records.columns, schema=self.schema), batch.row_kinds)
        if watermark_ms is not None and watermark_ms > self._emitted_ms:
            self._emitted_ms = self.watermark_ms = watermark_ms
            self.output.emit_watermark(Watermark(watermark_ms))

    def process_watermark(self, watermark: Watermark) -> None:
        if watermark.timestamp_ms == MAX_WATERMARK_MS:
            self._set_idle(False)
            self.output.emit_watermark(watermark)

    def process_status(self, status: WatermarkStatus) -> None:
        if self.spec.idle_timeout_ms == 0:
            self._set_idle(status.idle)

    def on_processing_time(self, now_ms: int) -> None:
        if now_ms - self._active_ms >= self.spec.idle_timeout_ms:
            self._set_idle(True)
        self._schedule()

    def snapshot(self, checkpoint_id: int, full: bool = True) -> OperatorSnapshot | None:
        return OperatorSnapshot(union={WATERMARK: [encode_value(self._emitted_ms)]})

    def restore(self, snapshot: OperatorSnapshot) -> None:
        self._emitted_ms = self.watermark_ms = restored_watermark(snapshot)

    def _greatest(self, records: pa.RecordBatch) -> int | None:
        """In milliseconds; None where the expression is NULL for all rows."""
        times = self._express(records, self.evaluation(records.num_rows))[0]
        times = times.drop_null()
        return int(np.max(milliseconds_of(times))) if len(times) else None

    def _refuse_nulls(self, records: pa.RecordBatch) -> None:
        column = records.column(self.spec.rowtime)
        if column.null_count == 0:
            return
        position = pc.index(pc.is_null(column), True).as_py()
        preview = preview_of(records.slice(position, 1).to_pylist()[0])
        name = self.spec.input[self.spec.rowtime].name
        raise MalformedRecordError(
            f"operator {self.chained.name!r}: the event time {name!r} is NULL in the row {preview}. Filter such rows "
            f"out before WATERMARK FOR, or give them a time in a computed column.",
            place=ErrorPlace(operator=self.chained.name, record=preview),
        )

    def _set_idle(self, idle: bool) -> None:
        if idle != self._idle:
            self._idle = idle
            self.output.emit_status(WatermarkStatus(idle))

    def _schedule(self) -> None:
        timeout_ms = self.spec.idle_timeout_ms
        if timeout_ms > 0:
            now_ms = self.context.clock.wall_ms()
            due_ms = self._active_ms + timeout_ms
            self.context.schedule(due_ms if due_ms > now_ms else now_ms + timeout_ms)
