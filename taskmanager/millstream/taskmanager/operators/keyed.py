"""What operators on keyed streams share: state backend, timers, the user's functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.elements.control import MIN_WATERMARK_MS, Watermark
from millstream.core.errors import CheckpointError, ErrorPlace
from millstream.core.graph.specs import ChainedOperator
from millstream.core.serde import encode_value
from millstream.taskmanager.operators.declared_types import STATE_TYPES, DeclaredTypes
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output
from millstream.taskmanager.operators.rows import as_rows, keys_of
from millstream.taskmanager.operators.runtime_context import FunctionLife, OperatorRuntimeContext
from millstream.taskmanager.operators.snapshots import WATERMARK, OperatorSnapshot, restored_watermark
from millstream.taskmanager.state.backend import KeyedStateBackend
from millstream.taskmanager.state.backends import open_backend
from millstream.taskmanager.timers import KeyedTimers

TIMERS: Final = "timers"


def restore_backend(backend: KeyedStateBackend, restored: OperatorSnapshot, chained: ChainedOperator) -> None:
    """Give a new backend the state of former subtasks. Raises ``CheckpointError`` that names the operator."""
    if restored.backend is None:
        return
    try:
        backend.restore(restored.backend)
    except CheckpointError as error:
        if not error.place.operator:
            error.place = ErrorPlace(operator=chained.name)
            error.message = f"operator {chained.name!r}: {error.message}"
        raise


class KeyedOperator(Operator):
    """Base of reduce, aggregations and keyed process functions."""

    def __init__(self, chained: ChainedOperator, functions: Iterable[Any]) -> None:
        self.chained = chained
        self.watermark_ms = MIN_WATERMARK_MS
        self._life = FunctionLife(chained, functions)
        self._restored: OperatorSnapshot | None = None
        self._opened = False
        self._declared_types = DeclaredTypes()

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self.backend = open_backend(context)
        self._opened = True
        self.timers = KeyedTimers(context.schedule)
        if self._restored is not None:
            self.watermark_ms = restored_watermark(self._restored)
            restore_backend(self.backend, self._restored, self.chained)
            self.timers.restore(self._restored.keyed.get(TIMERS, {}))
            self._declared_types.restore(self._restored.union.get(STATE_TYPES, []))
            self._restored = None
        context.metrics.gauge("state_entries", lambda: float(self.backend.entries()))
        context.metrics.gauge("state_bytes", lambda: float(self.backend.estimated_bytes()))
        self._life.open(OperatorRuntimeContext(context, self.backend, self._declared_types))

    def close(self) -> None:
        self._life.close()
        if self._opened:
            self.backend.close()

    def rows_and_keys(self, batch: Batch, input_index: int = 0) -> tuple[ObjectBatch, list[Any]]:
        """The batch as Python values, and their keys, whose state is at hand."""
        rows = as_rows(batch)
        keys = keys_of(rows, self.chained.key_selectors[input_index], self.chained)
        self.backend.touch(keys)
        return rows, keys

    def process_watermark(self, watermark: Watermark) -> None:
        self.watermark_ms = max(self.watermark_ms, watermark.timestamp_ms)  # a restored one may be ahead of its sources
        super().process_watermark(watermark)

    def snapshot(self, checkpoint_id: int, full: bool = True) -> OperatorSnapshot:
        return OperatorSnapshot(
            keyed={TIMERS: self.timers.snapshot(self.context.max_parallelism)},
            union={WATERMARK: [encode_value(self.watermark_ms)], **self._declared_types.pieces()},
            capture=self.backend.capture(checkpoint_id, full),
        )

    def checkpoint_completed(self, checkpoint_id: int) -> None:
        self.backend.confirm(checkpoint_id)

    def restore(self, snapshot: OperatorSnapshot) -> None:
        self._restored = snapshot
