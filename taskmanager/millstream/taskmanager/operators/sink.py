"""The sink operator: one writer a subtask."""

from __future__ import annotations

from typing import Final

from millstream.core.api.sink import SinkContext, SinkWriter
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import Watermark
from millstream.core.graph.specs import ChainedOperator, SinkSpec
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output
from millstream.taskmanager.operators.user_code import wrap_user_error

_TIME_INTERVAL_MS: Final = 1000


class SinkContextOfTask(SinkContext):
    """``SinkContext`` over the operator's context."""

    def __init__(self, context: OperatorContext) -> None:
        self.job_id = context.job_id
        self.operator_id = context.chained.operator_id
        self.subtask_index = context.subtask_index
        self.parallelism = context.parallelism
        self.attempt = context.attempt
        self.clock = context.clock


class SinkOperator(Operator):
    """Hands batches to the writer; errors of a writer name the operator."""

    def __init__(self, chained: ChainedOperator, spec: SinkSpec) -> None:
        self.chained = chained
        self._sink = spec.sink
        self._writer: SinkWriter | None = None

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        try:
            self._writer = self._sink.create_writer(SinkContextOfTask(context))
            self._writer.open()
        except Exception as error:
            raise wrap_user_error(error, chained=self.chained, function=self._sink) from error
        context.schedule(context.clock.wall_ms() + _TIME_INTERVAL_MS)

    @property
    def writer(self) -> SinkWriter:
        assert self._writer is not None
        return self._writer

    def process(self, batch: Batch, input_index: int) -> None:
        try:
            self.writer.write(batch)
        except Exception as error:
            raise wrap_user_error(error, chained=self.chained, function=self._sink) from error
        self.context.metrics.records_out += batch.num_rows

    def process_watermark(self, watermark: Watermark) -> None:
        self.writer.write_watermark(watermark)
        super().process_watermark(watermark)

    def on_processing_time(self, now_ms: int) -> None:
        self.writer.on_time(now_ms)
        self.context.schedule(now_ms + _TIME_INTERVAL_MS)

    def finish(self) -> None:
        try:
            self.writer.flush()
        except Exception as error:
            raise wrap_user_error(error, chained=self.chained, function=self._sink) from error

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
