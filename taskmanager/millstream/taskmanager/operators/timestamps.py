"""Event times and watermarks given in the middle of a stream."""

from __future__ import annotations

from typing import Final

from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS, Watermark, WatermarkStatus
from millstream.core.event_time.stamping import BatchStamper
from millstream.core.graph.specs import ChainedOperator, TimestampsAndWatermarksSpec
from millstream.core.serde import encode_value
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output
from millstream.taskmanager.operators.snapshots import WATERMARK, OperatorSnapshot, restored_watermark
from millstream.taskmanager.operators.user_code import wrap_user_error

_IDLE_CHECK_MS: Final = 200


class TimestampsOperator(Operator):
    """Stamps batches, and makes its own watermarks: those from before are dropped, except the last."""

    def __init__(self, chained: ChainedOperator, spec: TimestampsAndWatermarksSpec) -> None:
        self.chained = chained
        self._strategy = spec.strategy
        self._emitted_ms = MIN_WATERMARK_MS
        self._idle = False
        self._restored_ms: int | None = None

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self._stamper = BatchStamper(self._strategy, context.clock)
        self._stamper.restore(self._restored_ms)
        self._schedule()

    def process(self, batch: Batch, input_index: int) -> None:
        try:
            stamped = self._stamper.stamp(batch)
        except Exception as error:
            record = self._stamper.failed_record
            raise wrap_user_error(
                error, chained=self.chained, function=self._strategy.assigner, record=record
            ) from error
        self._set_idle(False)
        if isinstance(stamped, ObjectBatch):
            # Without keys: they are those of the key_by before, and the next one has its own.
            stamped = ObjectBatch(stamped.values, stamped.timestamps)
        self.output.emit(stamped)
        self._advance()

    def process_watermark(self, watermark: Watermark) -> None:
        if watermark.timestamp_ms == MAX_WATERMARK_MS:
            self._set_idle(False)
            self.output.emit_watermark(watermark)

    def process_status(self, status: WatermarkStatus) -> None:
        """Idleness is this operator's own to find."""

    def on_processing_time(self, now_ms: int) -> None:
        self._advance()
        self._set_idle(self._stamper.is_idle())
        self._schedule()

    def snapshot(self, checkpoint_id: int, full: bool = True) -> OperatorSnapshot | None:
        watermark_ms = self._stamper.watermark()
        return None if watermark_ms is None else OperatorSnapshot(union={WATERMARK: [encode_value(watermark_ms)]})

    def restore(self, snapshot: OperatorSnapshot) -> None:
        self._restored_ms = restored_watermark(snapshot)

    def _advance(self) -> None:
        watermark_ms = self._stamper.watermark()
        if watermark_ms is not None and watermark_ms > self._emitted_ms:
            self._emitted_ms = watermark_ms
            self.output.emit_watermark(Watermark(watermark_ms))

    def _set_idle(self, idle: bool) -> None:
        if idle != self._idle:
            self._idle = idle
            self.output.emit_status(WatermarkStatus(idle))

    def _schedule(self) -> None:
        """Watermarks follow batches; time alone matters only for idleness."""
        wait_ms = self._stamper.ms_until_idle()
        if wait_ms is not None:
            self.context.schedule(self.context.clock.wall_ms() + max(wait_ms, _IDLE_CHECK_MS))
