"""What operators on keyed streams share: state backend, timers, the user's functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.elements.control import MIN_WATERMARK_MS, Watermark
from millstream.core.graph.specs import ChainedOperator
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output
from millstream.taskmanager.operators.rows import as_rows, keys_of
from millstream.taskmanager.operators.runtime_context import FunctionLife, OperatorRuntimeContext
from millstream.taskmanager.state.heap import HeapStateBackend
from millstream.taskmanager.timers import KeyedTimers

SNAPSHOT_FORMAT: Final = 1


class KeyedOperator(Operator):
    """Base of reduce, aggregations and keyed process functions."""

    def __init__(self, chained: ChainedOperator, functions: Iterable[Any]) -> None:
        self.chained = chained
        self.watermark_ms = MIN_WATERMARK_MS
        self._life = FunctionLife(chained, functions)
        self._restored: dict[str, Any] | None = None

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self.backend = HeapStateBackend(context.max_parallelism, context.clock)
        self.timers = KeyedTimers(context.schedule)
        if self._restored is not None:
            self.watermark_ms = self._restored["watermark_ms"]
            self.backend.restore(self._restored["state"])
            self.timers.restore(self._restored["timers"])
            self._restored = None
        context.metrics.gauge("state_entries", lambda: float(self.backend.entries()))
        context.metrics.gauge("state_bytes", lambda: float(self.backend.estimated_bytes()))
        self._life.open(OperatorRuntimeContext(context, self.backend))

    def close(self) -> None:
        self._life.close()

    def rows_and_keys(self, batch: Batch, input_index: int = 0) -> tuple[ObjectBatch, list[Any]]:
        rows = as_rows(batch)
        return rows, keys_of(rows, self.chained.key_selectors[input_index], self.chained)

    def process_watermark(self, watermark: Watermark) -> None:
        self.watermark_ms = watermark.timestamp_ms
        super().process_watermark(watermark)

    def snapshot(self, checkpoint_id: int) -> Any:
        return {
            "format": SNAPSHOT_FORMAT,
            "watermark_ms": self.watermark_ms,
            "state": self.backend.snapshot(),
            "timers": self.timers.snapshot(self.context.max_parallelism),
        }

    def restore(self, state: Any) -> None:
        self._restored = state
