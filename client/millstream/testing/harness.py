"""Drives one operator by hand: records, watermarks and time in; records, side outputs and watermarks out.

What a task does in a cluster, the test does here, step by step, and nothing happens in between: the clock stands still
until ``advance``. A harness is used by one thread.
"""

from __future__ import annotations

import pickle
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
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
from millstream.testing.recording import Change, RecordedOutput, TimedValue
from millstream.testing.subtask import CreateOperator, Subtask, registered


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
        create: CreateOperator | None = None,
    ) -> None:
        selectors = tuple(key_selectors) if key_selectors is not None else (key_selector,)
        self.mode = mode or RunMode()
        self.clock = clock or ManualClock()
        self.parallelism = parallelism
        self.max_parallelism = max_parallelism
        self.chained = ChainedOperator(
            operator_id="operator-under-test", name=name or spec.kind, spec=spec, key_selectors=selectors
        )
        self._configuration = configuration
        self._create = create or registered
        self._recorded = RecordedOutput()
        self._metrics = OperatorMetricGroup()
        self._randomness = random.Random(self.mode.seed)
        self._merger = WatermarkMerger(len(selectors))
        self._checkpoint_id = 0
        self._waiting: deque[Callable[[], None]] = deque()
        self._output_is_full = False
        self._closed = False
        self._subtasks: list[Subtask] = []
        self._open(subtask_index)

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
            self._step(lambda part=part: self._process(part, input_index))  # type: ignore[misc]

    def watermark(self, timestamp_ms: int, *, input_index: int | None = None) -> None:
        """The watermark of one input, or of all of them."""
        inputs = range(len(self.chained.key_selectors)) if input_index is None else [input_index]
        self._step(lambda: self._advance([self._merger.update(index, Watermark(timestamp_ms)) for index in inputs]))

    def idle(self, idle: bool = True, *, input_index: int | None = None) -> None:
        """One input, or all of them, became idle or active again."""
        inputs = range(len(self.chained.key_selectors)) if input_index is None else [input_index]
        self._step(lambda: self._advance([self._merger.set_idle(index, idle) for index in inputs]))

    def advance(self, milliseconds: int) -> None:
        """Let the clock run; timers fire at their times on the way."""
        self.advance_to(self.clock.wall_ms() + milliseconds)

    def advance_to(self, wall_ms: int) -> None:
        """Let the clock run until it shows ``wall_ms``."""
        self._catch_up()
        while (due_ms := self._next_due_ms()) is not None and due_ms <= wall_ms:
            self.clock.advance(max(0, due_ms - self.clock.wall_ms()))
            self._fire(due_ms)
        self.clock.advance(max(0, wall_ms - self.clock.wall_ms()))

    def end(self) -> None:
        """All inputs end: the last watermark, ``end_input`` for each, then ``finish``."""
        self.watermark(MAX_WATERMARK_MS)
        self._step(self._end, last=True)

    def poll(self) -> bool:
        """For sources: emit one batch; False when there is nothing now, or the output is full."""
        operator = self.operator
        invariant(isinstance(operator, SourceOperator), f"{self.chained.name} is no source")
        assert isinstance(operator, SourceOperator)
        return not self._output_is_full and operator.poll()

    def event(self, kind: str, payload: bytes) -> None:
        """An operator event from the JobManager."""
        self.operator.handle_event(kind, payload)
        self._stepped()

    @contextmanager
    def full_output(self) -> Iterator[None]:
        """Back-pressure: within, the operator is not called for input nor timers, as the task does while its output is
        full; snapshots are taken all the same. After it, timers that became due fire, late, then the input follows."""
        self._catch_up()
        self._output_is_full = True
        try:
            yield
        finally:
            self._output_is_full = False
        self._fire(self.clock.wall_ms())
        self._catch_up()

    # -- output -------------------------------------------------------------------------------------------------

    @property
    def operator(self) -> Operator:
        """The operator as it is now; each restore makes a new one."""
        self._catch_up()
        return self._subtasks[0].operator

    @property
    def context(self) -> HarnessContext:
        """The surroundings of the operator."""
        return self._subtasks[0].context

    @property
    def output(self) -> RecordedOutput:
        """Everything the operator emitted."""
        self._catch_up()
        return self._recorded

    @property
    def values(self) -> list[Any]:
        """Everything emitted so far, without event times."""
        return [record.value for record in self.output.records]

    @property
    def records(self) -> list[TimedValue]:
        """Everything emitted so far."""
        return self.output.records

    @property
    def changelog(self) -> list[Change]:
        """The rows of Arrow batches emitted so far, with their kinds."""
        return self.output.changelog

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
        self._catch_up()
        return self._metrics

    @property
    def sent_events(self) -> list[SentEvent]:
        """Events the operator sent to the JobManager."""
        self._catch_up()
        return self._subtasks[0].context.sent_events

    def take(self) -> list[Any]:
        """The values emitted since the last ``take``."""
        values = self.values
        self._recorded.records.clear()
        return values

    def results(self) -> dict[str, Any]:
        """What must be the same in all modes, by name."""
        return {
            "records": self.records,
            "side outputs": self.side_outputs,
            "watermarks": self.watermarks_ms,
            "late records": self.metrics.late_records_dropped,
        }

    # -- snapshots ----------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The operator's state, pickled: what a checkpoint would write."""
        self._checkpoint_id += 1
        state: bytes = cloudpickle.dumps(self._subtasks[0].snapshot(self._checkpoint_id))
        return state

    def restore(self, snapshot: bytes) -> None:
        """Replace the operator by a new one that continues from ``snapshot``; the old one is closed first."""
        self._subtasks[0].restart(pickle.loads(snapshot))

    def checkpoint(self) -> bytes:
        """A snapshot that the operator is told to be complete: sinks commit."""
        snapshot = self.snapshot()
        for subtask in self._subtasks:
            subtask.operator.checkpoint_completed(self._checkpoint_id)
        return snapshot

    def abort_checkpoint(self) -> None:
        """A snapshot whose checkpoint is given up: what sinks prepared for it is committed with the next one, or
        aborted when the operator is closed before."""
        self.snapshot()
        for subtask in self._subtasks:
            subtask.operator.checkpoint_aborted(self._checkpoint_id)

    def close(self) -> None:
        """Close the operator. Idempotent."""
        if not self._closed:
            self._closed = True
            self._waiting.clear()
            for subtask in self._subtasks:
                subtask.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._catch_up()
        finally:
            self.close()

    # -- inside -------------------------------------------------------------------------------------------------

    def _open(self, subtask_index: int) -> None:
        self._subtasks = [Subtask(self._create, self._context(subtask_index), self._recorded)]

    def _context(self, subtask_index: int) -> HarnessContext:
        return HarnessContext(
            self.chained,
            self.clock,
            parallelism=self.parallelism,
            subtask_index=subtask_index,
            max_parallelism=self.max_parallelism,
            configuration=self._configuration,
            metrics=self._metrics,
        )

    def _process(self, batch: Batch, input_index: int) -> None:
        self._subtasks[0].process(batch, input_index)

    def _advance(self, results: list[Watermark | WatermarkStatus | None]) -> None:
        for result in results:
            if result is not None:
                for subtask in self._subtasks:
                    subtask.advance(result)

    def _end(self) -> None:
        for subtask in self._subtasks:
            subtask.end(len(self.chained.key_selectors))

    def _next_due_ms(self) -> int | None:
        if self._output_is_full:
            return None
        asked = [subtask.context.next_scheduled() for subtask in self._subtasks]
        return min((time_ms for time_ms in asked if time_ms is not None), default=None)

    def _fire(self, due_ms: int) -> None:
        for subtask in self._subtasks:
            subtask.fire_due(due_ms, self.clock.wall_ms())
        self._stepped()

    def _step(self, action: Callable[[], None], last: bool = False) -> None:
        """Input arrives: it waits while the output is full. ``last``: nothing follows it, not even a restore."""
        self._waiting.append(action)
        if not last:
            self._waiting.append(self._stepped)
        if self._output_is_full or (self.mode.back_pressure and self._randomness.getrandbits(1)):
            self._stepped()
        else:
            self._catch_up()

    def _catch_up(self) -> None:
        """The output has room: the input that waits is taken."""
        while self._waiting and not self._output_is_full:
            self._waiting.popleft()()

    def _stepped(self) -> None:
        if self.mode.restore_each_step:
            self.restore(self.snapshot())
