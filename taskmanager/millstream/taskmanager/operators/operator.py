"""The operator contract: whole batches in, whole batches out, bounded work a call, never blocking.

An operator is owned by one task and called by one thread. Its life: ``open`` once; then any order of ``process``,
``process_watermark`` and ``on_processing_time``; ``end_input`` once an input; ``finish`` once after the last input
ended (bounded sources only); ``close`` once, also after a failure. ``snapshot`` may be called between any two calls.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from millstream.core.clock import Clock
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import LatencyMarker, Watermark, WatermarkStatus
from millstream.core.graph.specs import ChainedOperator
from millstream.taskmanager.operators.snapshots import OperatorSnapshot

if TYPE_CHECKING:
    from millstream.core.metrics.registry import OperatorMetricGroup


class Output(Protocol):
    """Where an operator puts its results: the next operators of the chain and the partitions of the task."""

    def emit(self, batch: Batch) -> None:
        """To the main output. Empty batches are dropped."""
        ...

    def emit_side(self, tag_id: str, batch: Batch) -> None:
        """To the side output ``tag_id``; dropped when nobody reads it."""
        ...

    def emit_watermark(self, watermark: Watermark) -> None: ...

    def emit_status(self, status: WatermarkStatus) -> None: ...

    def emit_latency_marker(self, marker: LatencyMarker) -> None: ...


class OperatorContext(Protocol):
    """What the task gives an operator at ``open``. The public harness of ``millstream.testing`` implements it too."""

    job_id: str
    job_name: str
    vertex_name: str
    subtask_index: int
    parallelism: int
    max_parallelism: int
    attempt: int
    chained: ChainedOperator
    clock: Clock
    metrics: OperatorMetricGroup
    configuration: dict[str, Any]

    def schedule(self, wall_ms: int) -> None:
        """Ask for ``on_processing_time`` at ``wall_ms`` or soon after; the earliest time asked for wins."""
        ...

    def send_to_coordinator(self, kind: str, payload: bytes, reply: Callable[[bool, bytes], None]) -> None:
        """Send an operator event to the JobManager; ``reply(accepted, payload)`` comes later, on the task's thread."""
        ...

    def wake_up(self) -> None:
        """Make the task loop look at this task again; safe from any thread."""
        ...


def identity_of(context: OperatorContext) -> dict[str, Any]:
    """As ``core/protocol_log`` names it."""
    return {
        "job": context.job_id,
        "operator": context.chained.operator_id,
        "index": context.subtask_index,
        "attempt": context.attempt,
    }


class Operator(ABC):
    """One operator of a chain."""

    context: OperatorContext
    output: Output

    def open(self, context: OperatorContext, output: Output) -> None:
        """Prepare; opens the user's function. State handed to ``restore`` was given before."""
        self.context = context
        self.output = output

    @abstractmethod
    def process(self, batch: Batch, input_index: int) -> None:
        """Consume the whole batch; results go to ``self.output``. Must not change the batch in place."""

    def process_watermark(self, watermark: Watermark) -> None:
        """The merged watermark of all inputs advanced. Fires event-time timers, then passes it on."""
        self.output.emit_watermark(watermark)

    def process_status(self, status: WatermarkStatus) -> None:
        """All inputs became idle, or one became active again."""
        self.output.emit_status(status)

    def process_latency_marker(self, marker: LatencyMarker) -> None:
        self.output.emit_latency_marker(marker)

    def on_processing_time(self, now_ms: int) -> None:
        """A time asked for with ``schedule`` has come."""

    def handle_event(self, kind: str, payload: bytes) -> None:
        """An operator event from the JobManager."""
        raise RuntimeError(f"{type(self).__name__} got an unexpected event {kind!r}")

    def end_input(self, input_index: int) -> None:
        """No further batch on this input."""

    def finish(self) -> None:
        """All inputs ended: emit what is pending."""

    def prepare_snapshot(self, checkpoint_id: int) -> None:
        """Before ``snapshot``. What fails here may have lost records, so it ends the task; a snapshot that fails only
        ends the checkpoint."""

    def snapshot(self, checkpoint_id: int, full: bool = True) -> OperatorSnapshot | None:
        """State at this point of the stream, independent of later changes; None when the operator has none.

        ``full``: refer to nothing that earlier checkpoints hold.
        """
        return None

    def restore(self, snapshot: OperatorSnapshot) -> None:
        """Called before ``open`` with the pieces of former subtasks that fall to this one."""
        raise RuntimeError(f"{type(self).__name__} keeps no state")

    def checkpoint_completed(self, checkpoint_id: int) -> None:
        """All of the job's state at ``checkpoint_id`` is durable: what waited for that may take effect."""

    def checkpoint_aborted(self, checkpoint_id: int) -> None:
        """The checkpoint was given up and never will be: what its snapshot held is part of the next one."""

    def is_ready(self) -> bool:
        """False while the operator cannot take input (an asynchronous sink waits for room)."""
        return True

    def rows_together(self) -> int:
        """How many rows a step should take at least where it can: some calls wait side by side."""
        return 1

    def has_pending(self) -> bool:
        """True while something must still leave after ``finish`` before the task may end (collect sink)."""
        return False

    def close(self) -> None:
        """Release everything; closes the user's function."""


class SourceOperator(Operator):
    """An operator without inputs; the task calls ``poll`` while there is room downstream."""

    rows_wanted: int = 1 << 20
    """About how many rows the next ``poll`` should emit at most; set by the task."""
    rows_read: int = 0
    """How many it has emitted since it was opened."""

    @abstractmethod
    def poll(self) -> bool:
        """Emit at most one batch. False when there is nothing to do until a wake-up or a scheduled time."""

    @abstractmethod
    def drain(self) -> None:
        """End the input here: event time comes to its end, and ``is_finished`` is true from now on."""

    @abstractmethod
    def is_finished(self) -> bool:
        """True after the last record of a bounded input was emitted."""

    def process(self, batch: Batch, input_index: int) -> None:
        raise RuntimeError("a source has no input")
