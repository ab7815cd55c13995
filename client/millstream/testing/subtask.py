"""One subtask of an operator under test: the operator, its surroundings, and what a task does to it."""

from __future__ import annotations

from collections.abc import Callable

from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.elements.control import Watermark, WatermarkStatus
from millstream.core.errors import invariant
from millstream.core.graph.specs import ChainedOperator
from millstream.taskmanager.operators.operator import Operator, Output
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.testing.context import HarnessContext

CreateOperator = Callable[[ChainedOperator], Operator]


class Subtask:
    """An open operator. ``restart`` puts a new instance in its place."""

    def __init__(
        self,
        create: CreateOperator,
        context: HarnessContext,
        output: Output,
        restored: OperatorSnapshot | None = None,
    ) -> None:
        self.context = context
        self._create = create
        self._output = output
        self._open(restored)

    def process(self, batch: Batch, input_index: int) -> None:
        """Hand over a batch. ``InvariantViolation`` if the operator changes it."""
        before = list(batch.values) if isinstance(batch, ObjectBatch) else None
        self.context.metrics.records_in += batch.num_rows
        self.operator.process(batch, input_index)
        if before is not None:
            assert isinstance(batch, ObjectBatch)
            same = len(before) == len(batch.values)
            same = same and all(a is b for a, b in zip(before, batch.values, strict=False))
            invariant(same, f"{self.context.chained.name} changed its input batch in place")

    def advance(self, result: Watermark | WatermarkStatus) -> None:
        """The merged watermark of all inputs moved, or their status changed."""
        if isinstance(result, Watermark):
            self.context.metrics.current_watermark_ms = result.timestamp_ms
            self.operator.process_watermark(result)
        else:
            self.operator.process_status(result)

    def fire_due(self, due_ms: int, now_ms: int) -> None:
        """One call for all the times up to ``due_ms`` that the operator asked for, if there are any."""
        if self.context.take_scheduled_until(due_ms):
            self.operator.on_processing_time(now_ms)

    def end(self, inputs: int) -> None:
        """All inputs ended."""
        for index in range(inputs):
            self.operator.end_input(index)
        self.operator.finish()

    def snapshot(self, checkpoint_id: int) -> OperatorSnapshot | None:
        """Everything that a checkpoint would hold."""
        self.operator.prepare_snapshot(checkpoint_id)
        snapshot = self.operator.snapshot(checkpoint_id)
        return None if snapshot is None else snapshot.settled()

    def restart(self, restored: OperatorSnapshot | None) -> None:
        """Close the operator, and go on with a new one that starts from ``restored``."""
        self.operator.close()
        self.context.forget_scheduled()
        self._open(restored)

    def close(self) -> None:
        self.operator.close()

    def _open(self, restored: OperatorSnapshot | None) -> None:
        self.operator = self._create(self.context.chained)
        if restored is not None:
            self.operator.restore(restored)
        self.operator.open(self.context, self._output)


def registered(chained: ChainedOperator) -> Operator:
    """The operator that a TaskManager would make."""
    from millstream.taskmanager.operators.registry import create_operator

    return create_operator(chained)
