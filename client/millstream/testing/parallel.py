"""All subtasks of one operator, which may become more or fewer in the middle of a test."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Sequence
from typing import Any

import cloudpickle

from millstream.core.clock import ManualClock
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import MIN_WATERMARK_MS, LatencyMarker, Watermark, WatermarkStatus
from millstream.core.event_time.merger import WatermarkMerger
from millstream.core.graph.specs import KeySelectorCallable, OperatorSpec
from millstream.core.table.specs import ColumnKey
from millstream.taskmanager.network.partitioners import ByColumns, ByKey, Partitioner, RoundRobin, ToAll
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode
from millstream.testing.recording import RecordedOutput, TimedValue
from millstream.testing.redistribution import Snapshots, redistribute
from millstream.testing.subtask import CreateOperator, Subtask


class ParallelHarness(OperatorHarness):
    """Drives ``parallelism`` subtasks as one; ``rescale`` changes their number as a restart from a savepoint does.

    Rows of keyed inputs go to the owner of their key, those of ``broadcast_inputs`` to all subtasks, others in turn.
    Each subtask has its own copy of the functions, as if it had come over the network. Watermarks and time go to all;
    what comes out is merged. The order of records from different subtasks means nothing, so ``results`` leaves it out.
    """

    def __init__(
        self,
        spec: OperatorSpec,
        *,
        key_selector: KeySelectorCallable | None = None,
        key_selectors: Sequence[KeySelectorCallable | None] | None = None,
        broadcast_inputs: Collection[int] = (),
        mode: RunMode | None = None,
        clock: ManualClock | None = None,
        name: str = "",
        parallelism: int = 2,
        max_parallelism: int = 128,
        configuration: dict[str, Any] | None = None,
        create: CreateOperator | None = None,
    ) -> None:
        self._broadcast_inputs = frozenset(broadcast_inputs)
        self._routes: list[Partitioner] = []
        self._rescalings = 0
        super().__init__(
            spec,
            key_selector=key_selector,
            key_selectors=key_selectors,
            mode=mode,
            clock=clock,
            name=name,
            parallelism=parallelism,
            max_parallelism=max_parallelism,
            configuration=configuration,
            create=create,
        )

    @property
    def subtasks(self) -> list[Subtask]:
        """The subtasks as they are now, by index."""
        self._catch_up()
        return list(self._subtasks)

    def rescale(self, parallelism: int) -> None:
        """Take a snapshot, and go on with ``parallelism`` new subtasks that share it."""
        self._restart(self._snapshots(), parallelism)

    def snapshot(self) -> bytes:
        """The state of all subtasks, pickled."""
        state: bytes = cloudpickle.dumps(self._snapshots())
        return state

    def restore(self, snapshot: bytes) -> None:
        """Replace all subtasks by new ones that continue from ``snapshot``, taken at any parallelism."""
        self._restart(pickle.loads(snapshot), self.parallelism)

    def results(self) -> dict[str, Any]:
        results = super().results()
        results["records"] = _in_any_order(self.records)
        results["side outputs"] = {tag: _in_any_order(records) for tag, records in self.side_outputs.items()}
        return results

    # -- inside -------------------------------------------------------------------------------------------------

    def _open(self, subtask_index: int) -> None:
        self._start([None] * self.parallelism)

    def _start(self, shares: Snapshots) -> None:
        merger = WatermarkMerger(self.parallelism)
        self._routes = [self._partitioner(index) for index in range(len(self.chained.key_selectors))]
        self._subtasks = []
        for index, share in enumerate(shares):
            context = self._context(index)
            context.chained = pickle.loads(cloudpickle.dumps(self.chained))
            output = _SubtaskOutput(self._recorded, merger, index)
            self._subtasks.append(Subtask(self._create, context, output, share))

    def _partitioner(self, input_index: int) -> Partitioner:
        selector = self.chained.key_selectors[input_index]
        if input_index in self._broadcast_inputs:
            return ToAll(self.parallelism)
        if selector is None:
            return RoundRobin(self.parallelism, 0)
        if isinstance(selector, ColumnKey):
            return ByColumns(selector, self.max_parallelism, self.parallelism)
        return ByKey(selector, self.max_parallelism, self.parallelism)

    def _process(self, batch: Batch, input_index: int) -> None:
        for index, part in self._routes[input_index].route(batch):
            self._subtasks[index].process(part, input_index)

    def _snapshots(self) -> Snapshots:
        self._checkpoint_id += 1
        snapshots = [subtask.snapshot(self._checkpoint_id) for subtask in self._subtasks]
        isolated: Snapshots = pickle.loads(cloudpickle.dumps(snapshots))
        return isolated

    def _restart(self, snapshots: Snapshots, parallelism: int) -> None:
        former, self._subtasks = self._subtasks, []
        for subtask in former:
            subtask.close()
        self.parallelism = parallelism
        self._start(redistribute(snapshots, parallelism, self.max_parallelism))

    def _stepped(self) -> None:
        super()._stepped()
        if self.mode.parallelisms:
            self.rescale(self.mode.parallelisms[self._rescalings % len(self.mode.parallelisms)])
            self._rescalings += 1


class _SubtaskOutput:
    """The way out of one subtask into the common record."""

    def __init__(self, recorded: RecordedOutput, merger: WatermarkMerger, index: int) -> None:
        self._recorded = recorded
        self._merger = merger
        self._index = index

    def emit(self, batch: Batch) -> None:
        self._recorded.emit(batch)

    def emit_side(self, tag_id: str, batch: Batch) -> None:
        self._recorded.emit_side(tag_id, batch)

    def emit_watermark(self, watermark: Watermark) -> None:
        self._pass_on(self._merger.update(self._index, watermark))

    def emit_status(self, status: WatermarkStatus) -> None:
        self._pass_on(self._merger.set_idle(self._index, status.idle))

    def emit_latency_marker(self, marker: LatencyMarker) -> None:
        self._recorded.emit_latency_marker(marker)

    def _pass_on(self, result: Watermark | WatermarkStatus | None) -> None:
        if isinstance(result, WatermarkStatus):
            self._recorded.emit_status(result)
        elif result is not None:
            known_ms = self._recorded.watermarks_ms
            # After a restart a watermark may come again: the consumers would have been restarted too.
            if result.timestamp_ms > (known_ms[-1] if known_ms else MIN_WATERMARK_MS):
                self._recorded.emit_watermark(result)


def _in_any_order(records: list[TimedValue]) -> list[str]:
    return sorted(map(repr, records))
