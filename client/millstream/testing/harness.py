"""Drives one operator by hand: records, watermarks and time in; records, side outputs and watermarks out.

What a task does in a cluster, the test does here, step by step, and nothing happens in between: the clock stands still
until ``advance``. A harness is used by one thread.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import cloudpickle
import numpy as np

from millstream.core.clock import ManualClock
from millstream.core.elements.batch import NO_TIMESTAMP_MS, Batch, ObjectBatch
from millstream.core.elements.control import MAX_WATERMARK_MS, Watermark, WatermarkStatus
from millstream.core.errors import invariant
from millstream.core.event_time.merger import WatermarkMerger
from millstream.core.graph.specs import ChainedOperator, KeySelectorCallable, OperatorSpec
from millstream.core.metrics.registry import OperatorMetricGroup
from millstream.taskmanager.operators.operator import Operator, SourceOperator
from millstream.testing.context import HarnessContext, SentEvent
from millstream.testing.modes import RunMode
from millstream.testing.recording import RecordedOutput, TimedValue


class OperatorHarness:
    """One operator, ready to take input; use as a context manager, or call ``close``.

    ``key_selector`` for a keyed operator with one input, ``key_selectors`` (one an input, None where not keyed) for
    several. ``mode`` says how pushed rows are cut into batches and whether the operator is replaced after every step.
    ``create`` makes the operator; by default the registry of the TaskManager does.
    """

    def __init__(
        self,
        spec: OperatorSpec,
        *,
        key_selector: KeySelectorCallable | None = None,
        key_selectors: Sequence[KeySelectorCallable | None] | None = None,
        mode: RunMode | None = None,
        clock: ManualClock | None = None,
        name: str = "",
        parallelism: int = 1,
        subtask_index: int = 0,
        max_parallelism: int = 128,
        configuration: dict[str, Any] | None = None,
        create: Callable[[ChainedOperator], Operator] | None = None,
    ) -> None:
        selectors = tuple(key_selectors) if key_selectors is not None else (key_selector,)
        self.mode = mode or RunMode()
        self.clock = clock or ManualClock()
        self.chained = ChainedOperator(
            operator_id="operator-under-test", name=name or spec.kind, spec=spec, key_selectors=selectors
        )
        self.output = RecordedOutput()
        self._context = HarnessContext(
            self.chained,
            self.clock,
            parallelism=parallelism,
            subtask_index=subtask_index,
            max_parallelism=max_parallelism,
            configuration=configuration,
        )
        self._create = create or _registered
        self._randomness = random.Random(self.mode.seed)
        self._merger = WatermarkMerger(len(selectors))
        self._checkpoint_id = 0
        self._closed = False
        self.operator = self._create(self.chained)
        self.operator.open(self._context, self.output)

    # -- input --------------------------------------------------------------------------------------------------

    def push(
        self,
        values: Iterable[Any],
        timestamps: Iterable[int | None] | None = None,
        *,
        input_index: int = 0,
    ) -> None:
        """Records, with event times in milliseconds (None: this record has none) or without any."""
        rows = list(values)
        times = None
        if timestamps is not None:
            times = np.array([NO_TIMESTAMP_MS if t is None else t for t in timestamps], dtype=np.int64)
            if len(times) != len(rows):
                raise ValueError(f"push got {len(rows)} values but {len(times)} timestamps")
        self.push_batch(ObjectBatch(rows, times), input_index=input_index)

    def push_timed(self, records: Iterable[tuple[Any, int | None]], *, input_index: int = 0) -> None:
        """Pairs of record and event time."""
        pairs = list(records)
        self.push([value for value, _ in pairs], [time for _, time in pairs], input_index=input_index)

    def push_batch(self, batch: Batch, *, input_index: int = 0) -> None:
        """A batch of either kind, cut as the mode says. The operator must not change it, which is checked."""
        for start, stop in self.mode.cuts(batch.num_rows, self._randomness):
            part = batch.slice(start, stop)
            before = list(part.values) if isinstance(part, ObjectBatch) else None
            self._context.metrics.records_in += part.num_rows
            self.operator.process(part, input_index)
            if isinstance(part, ObjectBatch):
                same = before is not None and len(before) == len(part.values)
                same = same and all(a is b for a, b in zip(before or [], part.values, strict=False))
                invariant(same, f"{self.chained.name} changed its input batch in place")
            self._stepped()

    def watermark(self, timestamp_ms: int, *, input_index: int | None = None) -> None:
        """The watermark of one input, or of all of them."""
        inputs = range(len(self.chained.key_selectors)) if input_index is None else [input_index]
        for index in inputs:
            self._advance(self._merger.update(index, Watermark(timestamp_ms)))
        self._stepped()

    def idle(self, idle: bool = True, *, input_index: int | None = None) -> None:
        """One input, or all of them, became idle or active again."""
        inputs = range(len(self.chained.key_selectors)) if input_index is None else [input_index]
        for index in inputs:
            self._advance(self._merger.set_idle(index, idle))
        self._stepped()

    def advance(self, milliseconds: int) -> None:
        """Let the clock run; timers fire at their times on the way."""
        self.advance_to(self.clock.wall_ms() + milliseconds)

    def advance_to(self, wall_ms: int) -> None:
        """Let the clock run until it shows ``wall_ms``."""
        while (due := self._context.take_scheduled(wall_ms)) is not None:
            self.clock.advance(max(0, due - self.clock.wall_ms()))
            self.operator.on_processing_time(self.clock.wall_ms())
            self._stepped()
        self.clock.advance(max(0, wall_ms - self.clock.wall_ms()))

    def end(self) -> None:
        """All inputs end: the last watermark, ``end_input`` for each, then ``finish``."""
        self.watermark(MAX_WATERMARK_MS)
        for index in range(len(self.chained.key_selectors)):
            self.operator.end_input(index)
        self.operator.finish()

    def poll(self) -> bool:
        """For sources: emit one batch; False when there is nothing now."""
        invariant(isinstance(self.operator, SourceOperator), f"{self.chained.name} is no source")
        assert isinstance(self.operator, SourceOperator)
        return self.operator.poll()

    def event(self, kind: str, payload: bytes) -> None:
        """An operator event from the JobManager."""
        self.operator.handle_event(kind, payload)
        self._stepped()

    # -- output -------------------------------------------------------------------------------------------------

    @property
    def values(self) -> list[Any]:
        """Everything emitted so far, without event times."""
        return [record.value for record in self.output.records]

    @property
    def records(self) -> list[TimedValue]:
        """Everything emitted so far."""
        return self.output.records

    @property
    def side_outputs(self) -> dict[str, list[TimedValue]]:
        """What was emitted to side outputs, by tag id."""
        return self.output.side_outputs

    @property
    def watermarks_ms(self) -> list[int]:
        """The watermarks passed on."""
        return self.output.watermarks_ms

    @property
    def metrics(self) -> OperatorMetricGroup:
        """Counters of the operator; they go on over a restore."""
        return self._context.metrics

    @property
    def sent_events(self) -> list[SentEvent]:
        """Events the operator sent to the JobManager."""
        return self._context.sent_events

    def take(self) -> list[Any]:
        """The values emitted since the last ``take``."""
        values = self.values
        self.output.records.clear()
        return values

    # -- snapshots ----------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The operator's state, pickled: what a checkpoint would write."""
        self._checkpoint_id += 1
        state: bytes = cloudpickle.dumps(self.operator.snapshot(self._checkpoint_id))
        return state

    def restore(self, snapshot: bytes) -> None:
        """Replace the operator by a new one that continues from ``snapshot``; the old one is closed first."""
        self.operator.close()
        self._context.forget_scheduled()
        self.operator = self._create(self.chained)
        state = pickle.loads(snapshot)
        if state is not None:
            self.operator.restore(state)
        self.operator.open(self._context, self.output)

    def close(self) -> None:
        """Close the operator. Idempotent."""
        if not self._closed:
            self._closed = True
            self.operator.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside -------------------------------------------------------------------------------------------------

    def _advance(self, result: Watermark | WatermarkStatus | None) -> None:
        if isinstance(result, Watermark):
            self._context.metrics.current_watermark_ms = result.timestamp_ms
            self.operator.process_watermark(result)
        elif result is not None:
            self.operator.process_status(result)

    def _stepped(self) -> None:
        if self.mode.restore_each_step:
            self.restore(self.snapshot())


def _registered(chained: ChainedOperator) -> Operator:
    from millstream.taskmanager.operators.registry import create_operator

    return create_operator(chained)
