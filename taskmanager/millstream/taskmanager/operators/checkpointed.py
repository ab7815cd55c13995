"""Gives operator state to the functions of any operator that inherit ``CheckpointedFunction``.

It stands around the operator, which knows nothing of it: what the functions keep joins the operator's snapshot, and
leaves it when it is restored. Operators without such functions do not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

from millstream.core.api.operator_state import (
    CheckpointedFunction,
    FunctionInitializationContext,
    FunctionSnapshotContext,
)
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import LatencyMarker, Watermark, WatermarkStatus
from millstream.core.graph.specs import ChainedOperator, OperatorSpec
from millstream.taskmanager.operators.function_states import FunctionStates
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.operators.user_code import wrap_user_error

_FUNCTION_FIELDS: Final = ("function", "reduce", "aggregate", "sink")
"""Where specifications have user functions."""


def checkpointed_functions(spec: OperatorSpec) -> list[CheckpointedFunction]:
    """The functions of an operator that have operator state."""
    functions = [getattr(spec, name, None) for name in _FUNCTION_FIELDS]
    return [function for function in functions if isinstance(function, CheckpointedFunction)]


class CheckpointedOperator(Operator):
    """``inner`` with the operator state of its functions."""

    def __init__(self, chained: ChainedOperator, inner: Operator, states: FunctionStates) -> None:
        self.chained = chained
        self.inner = inner
        self._states = states
        self._functions = checkpointed_functions(chained.spec)

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        initialization = _InitializationContext(self._states)
        for function in self._functions:
            self._call(function.initialize_state, initialization)
        self.inner.open(context, output)

    def prepare_snapshot(self, checkpoint_id: int) -> None:
        self.inner.prepare_snapshot(checkpoint_id)

    def snapshot(self, checkpoint_id: int, full: bool = True) -> OperatorSnapshot:
        context = FunctionSnapshotContext(checkpoint_id)
        for function in self._functions:
            self._call(function.snapshot_state, context)
        snapshot = self.inner.snapshot(checkpoint_id, full) or OperatorSnapshot()
        self._states.save(snapshot, checkpoint_id, self.context.subtask_index)
        return snapshot

    def restore(self, snapshot: OperatorSnapshot) -> None:
        rest = self._states.restore(snapshot)
        if any(getattr(rest, field.name) for field in fields(rest)):
            self.inner.restore(rest)

    def process(self, batch: Batch, input_index: int) -> None:
        self.inner.process(batch, input_index)

    def process_watermark(self, watermark: Watermark) -> None:
        self.inner.process_watermark(watermark)

    def process_status(self, status: WatermarkStatus) -> None:
        self.inner.process_status(status)

    def process_latency_marker(self, marker: LatencyMarker) -> None:
        self.inner.process_latency_marker(marker)

    def on_processing_time(self, now_ms: int) -> None:
        self.inner.on_processing_time(now_ms)

    def handle_event(self, kind: str, payload: bytes) -> None:
        self.inner.handle_event(kind, payload)

    def end_input(self, input_index: int) -> None:
        self.inner.end_input(input_index)

    def finish(self) -> None:
        self.inner.finish()

    def checkpoint_completed(self, checkpoint_id: int) -> None:
        self.inner.checkpoint_completed(checkpoint_id)

    def checkpoint_aborted(self, checkpoint_id: int) -> None:
        self.inner.checkpoint_aborted(checkpoint_id)

    def is_ready(self) -> bool:
        return self.inner.is_ready()

    def rows_together(self) -> int:
        return self.inner.rows_together()

    def has_pending(self) -> bool:
        return self.inner.has_pending()

    def close(self) -> None:
        self.inner.close()

    def _call(self, method: Callable[[Any], None], context: Any) -> None:
        try:
            method(context)
        except Exception as error:
            raise wrap_user_error(error, chained=self.chained, function=method) from error


class _InitializationContext(FunctionInitializationContext):
    def __init__(self, states: FunctionStates) -> None:
        self._states = states

    def is_restored(self) -> bool:
        return self._states.restored_checkpoint_id is not None

    def get_restored_checkpoint_id(self) -> int | None:
        return self._states.restored_checkpoint_id

    def get_operator_state_store(self) -> FunctionStates:
        return self._states
