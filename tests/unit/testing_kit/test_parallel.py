"""Several subtasks as one, more or fewer of them in the middle: state, timers, items and unions find their owners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.elements.control import MAX_WATERMARK_MS
from millstream.core.graph.specs import KeyedProcessSpec, MapSpec, OperatorSpec, ReduceSpec, WindowSpec
from millstream.core.keys import key_group_range
from millstream.core.serde import decode_value, encode_value
from millstream.datastream import KeyedProcessFunction, RuntimeContext
from millstream.datastream.state import ValueStateDescriptor
from millstream.datastream.window import TumblingEventTimeWindows
from millstream.taskmanager.operators.operator import Operator
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.testing import RESCALING_MODES, ParallelHarness, RunMode, run_in_all_modes
from millstream.testing.redistribution import redistribute

ROWS = [(key, 1) for _ in range(5) for key in range(40)]


def add(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    return left[0], left[1] + right[1]


class CountAndTell(KeyedProcessFunction):
    """Counts by key, and tells the count 10 ms of event time after the first record, and again 10 ms later by clock."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self.count = runtime_context.get_state(ValueStateDescriptor("count"))

    def process_element(self, value: Any, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        count = (self.count.value() or 0) + 1
        self.count.update(count)
        if count == 1:
            ctx.timer_service().register_event_time_timer(10)
        return iter(())

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        yield ctx.get_current_key(), self.count.value(), timestamp
        if timestamp == 10:
            ctx.timer_service().register_processing_time_timer(20)


class Pieces(Operator):
    """Keeps numbers as items, and says in a union piece which subtask it is."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.former: list[int] = []

    def process(self, batch: Batch, input_index: int) -> None:
        assert isinstance(batch, ObjectBatch)
        self.numbers += batch.values

    def snapshot(self, checkpoint_id: int, full: bool = True) -> OperatorSnapshot:
        own = encode_value(self.context.subtask_index)
        return OperatorSnapshot(items={"numbers": list(map(encode_value, self.numbers))}, union={"subtask": [own]})

    def restore(self, snapshot: OperatorSnapshot) -> None:
        self.numbers = list(map(decode_value, snapshot.items.get("numbers", [])))
        self.former = list(map(decode_value, snapshot.union["subtask"]))


def pieces(parallelism: int) -> ParallelHarness:
    return ParallelHarness(OperatorSpec(), parallelism=parallelism, create=lambda chained: Pieces())


def numbers_of(harness: ParallelHarness) -> list[list[int]]:
    return [subtask.operator.numbers for subtask in harness.subtasks if isinstance(subtask.operator, Pieces)]


def test_a_reduction_is_the_same_at_every_parallelism() -> None:
    def new(mode: RunMode) -> ParallelHarness:
        return ParallelHarness(ReduceSpec(add), key_selector=lambda row: row[0], mode=mode)

    def script(harness: ParallelHarness) -> None:
        for start in range(0, len(ROWS), 25):
            harness.push(ROWS[start : start + 25])

    run = run_in_all_modes(new, script, RESCALING_MODES)
    assert sorted(run.values) == sorted((key, count) for key in range(40) for count in range(1, 6))


def test_timers_move_with_their_keys() -> None:
    def new(mode: RunMode) -> ParallelHarness:
        return ParallelHarness(KeyedProcessSpec(CountAndTell()), key_selector=lambda row: row[0], mode=mode)

    def script(harness: ParallelHarness) -> None:
        harness.push(ROWS, [5] * len(ROWS))
        harness.watermark(9)
        assert harness.values == []
        harness.watermark(10)
        assert sorted(harness.values) == [(key, 5, 10) for key in range(40)]
        harness.advance(19)
        assert len(harness.values) == 40
        harness.advance(1)
        harness.end()

    run = run_in_all_modes(new, script, RESCALING_MODES)
    assert sorted(run.take()) == sorted((key, 5, time) for key in range(40) for time in (10, 20))
    assert run.watermarks_ms == [9, 10, MAX_WATERMARK_MS]


def test_windows_move_with_their_keys() -> None:
    def new(mode: RunMode) -> ParallelHarness:
        spec = WindowSpec(assigner=TumblingEventTimeWindows.of(10), reduce=add)
        return ParallelHarness(spec, key_selector=lambda row: row[0], mode=mode)

    def script(harness: ParallelHarness) -> None:
        harness.push(ROWS, [i % 20 for i in range(len(ROWS))])
        harness.watermark(9)
        harness.push([(0, 100)], [3])
        harness.end()

    run = run_in_all_modes(new, script, RESCALING_MODES)
    assert sum(count for _, count in run.values) == len(ROWS) and run.metrics.late_records_dropped == 1


def test_keys_and_rows_go_where_a_cluster_sends_them() -> None:
    with ParallelHarness(MapSpec(lambda x: x), parallelism=3) as harness:
        harness.push(range(7))
        assert sorted(harness.values) == list(range(7))
        assert [subtask.context.parallelism for subtask in harness.subtasks] == [3, 3, 3]
        assert [subtask.context.subtask_index for subtask in harness.subtasks] == [0, 1, 2]
        assert harness.metrics.records_in == 7
    with ParallelHarness(
        OperatorSpec(), key_selectors=[None, None], broadcast_inputs=[1], create=lambda chained: Pieces()
    ) as harness:
        harness.push([1, 2, 3])
        harness.push([10], input_index=1)
        assert sorted(numbers_of(harness)) == [[1, 2, 10], [3, 10]]


def test_items_are_dealt_out_and_unions_go_to_all() -> None:
    with pieces(2) as harness:
        harness.push(range(8))
        before = numbers_of(harness)
        harness.rescale(2)
        assert numbers_of(harness) == before, "at the same parallelism everybody keeps what was theirs"
        harness.rescale(4)
        assert [len(numbers) for numbers in numbers_of(harness)] == [2, 2, 2, 2]
        assert harness.parallelism == 4
        for subtask in harness.subtasks:
            assert isinstance(subtask.operator, Pieces) and subtask.operator.former == [0, 1]
        harness.rescale(1)
        assert sorted(numbers_of(harness)[0]) == list(range(8))


def test_a_snapshot_starts_any_number_of_subtasks() -> None:
    with pieces(2) as harness:
        harness.push(range(8))
        snapshot = harness.snapshot()
        harness.push([99])
    with pieces(3) as harness:
        harness.restore(snapshot)
        assert (
            sorted(number for numbers in numbers_of(harness) for number in numbers) == list(range(8))
            and len(harness.subtasks) == 3
        )


def test_key_groups_are_dealt_out_whole() -> None:
    former = [
        OperatorSnapshot(keyed={"k": {group: b"%d" % group for group in key_group_range(i, 16, 2)}}) for i in range(2)
    ]
    shares = redistribute([*former, None], 5, 16)
    assert [sorted(share.keyed["k"]) for share in shares if share] == [
        list(key_group_range(i, 16, 5)) for i in range(5)
    ]
    assert redistribute([None, None], 4, 16) == [None] * 4


def test_an_operator_that_ties_state_to_its_subtask_is_found() -> None:
    class Tied(Pieces):
        """Forgets the items that another subtask had."""

        def process(self, batch: Batch, input_index: int) -> None:
            super().process(batch, input_index)
            self.output.emit(ObjectBatch([len(self.numbers)]))

    def new(mode: RunMode) -> ParallelHarness:
        return ParallelHarness(OperatorSpec(), mode=mode, create=lambda chained: Tied())

    with pytest.raises(AssertionError, match="records in RunMode"):
        run_in_all_modes(new, lambda harness: harness.push([1, 2, 3]), RESCALING_MODES)
