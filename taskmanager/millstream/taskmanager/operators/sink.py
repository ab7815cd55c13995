"""The sink operator: one writer a subtask."""

from __future__ import annotations

from typing import Final

from millstream.core.api.sink import SinkContext, SinkWriter
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import LatencyMarker, Watermark
from millstream.core.errors import MillstreamError
from millstream.core.graph.specs import ChainedOperator, SinkSpec
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output
from millstream.taskmanager.operators.user_code import wrap_connector_error

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
        self._latency_ms = -1.0

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        try:
            self._writer = self._sink.create_writer(SinkContextOfTask(context))
            self._writer.open()
        except Exception as error:
            raise self._failed(error) from error
        context.schedule(context.clock.wall_ms() + _TIME_INTERVAL_MS)

    @property
    def writer(self) -> SinkWriter:
        assert self._writer is not None
        return self._writer

    def process(self, batch: Batch, input_index: int) -> None:
        try:
            self.writer.write(batch)
        except Exception as error:
            raise self._failed(error) from error
        self.context.metrics.records_out += batch.num_rows

    def process_latency_marker(self, marker: LatencyMarker) -> None:
        """The end of its way: its age is the latency from source to sink."""
        if self._latency_ms < 0:
            self.context.metrics.gauge("latency_ms", lambda: self._latency_ms)
        self._latency_ms = max(0.0, float(self.context.clock.wall_ms() - marker.emitted_wall_ms))

    def process_watermark(self, watermark: Watermark) -> None:
        try:
            self.writer.write_watermark(watermark)
        except Exception as error:
            raise self._failed(error) from error
        super().process_watermark(watermark)

    def on_processing_time(self, now_ms: int) -> None:
        try:
            self.writer.on_time(now_ms)
        except Exception as error:
            raise self._failed(error) from error
        self.context.schedule(now_ms + _TIME_INTERVAL_MS)

    def finish(self) -> None:
        try:
            self.writer.flush()
        except Exception as error:
            raise self._failed(error) from error

    def close(self) -> None:
        if self._writer is not None:
            try:
                self._writer.close()
            except Exception as error:
                raise self._failed(error) from error

    def _failed(self, error: Exception) -> MillstreamError:
        return wrap_connector_error(error, chained=self.chained, connector=self._sink)
