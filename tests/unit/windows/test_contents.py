"""What windows hold and emit: reduce, aggregate, the built-in aggregations, window functions."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cloudpickle
import pytest

from millstream.core.api.windows import (
    CountSlidingWindowAssigner,
    CountTumblingWindowAssigner,
    EventTimeSessionWindows,
    TumblingEventTimeWindows,
    TumblingProcessingTimeWindows,
    WindowAssigner,
)
from millstream.core.errors import MillstreamError
from millstream.core.graph.specs import AggregationSpec, WindowSpec
from millstream.core.keys import key_group
from millstream.core.serde import decode_value
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.operators.windowing.emission import EMITTED_ROWS_MAX
from millstream.testing import OperatorHarness, run_in_all_modes

tumbling = TumblingEventTimeWindows.of(10)
session = EventTimeSessionWindows.with_gap(10)


class Bid(NamedTuple):
    who: str
    price: int


@dataclass
class Offer:
    who: str
    price: int


class Plain:
    def __init__(self, who: str, price: int) -> None:
        self.who, self.price = who, price

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]


class Mean:
    """An AggregateFunction by shape, with a mutable accumulator."""

    def create_accumulator(self) -> list[int]:
        return [0, 0]

    def add(self, value: int, accumulator: list[int]) -> list[int]:
        accumulator[0] += value
        accumulator[1] += 1
        return accumulator

    def get_result(self, accumulator: list[int]) -> float:
        return accumulator[0] / accumulator[1]

    def merge(self, acc_a: list[int], acc_b: list[int]) -> list[int]:
        return [acc_a[0] + acc_b[0], acc_a[1] + acc_b[1]]


def run(spec: WindowSpec, values: list[Any], times: list[int], key: Any = lambda _: "k") -> list[Any]:
    def script(harness: OperatorHarness) -> None:
        harness.push(values, times)
        harness.end()

    return run_in_all_modes(lambda mode: OperatorHarness(spec, key_selector=key, mode=mode), script).values


@pytest.mark.parametrize("make", [tuple, Bid._make, lambda r: Offer(*r), lambda r: Plain(*r), list])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [("sum", ("a", 9)), ("min", ("a", 1)), ("max", ("a", 4)), ("min_by", ("c", 1)), ("max_by", ("b", 4))],
)
@pytest.mark.parametrize("assigner", [tumbling, session])
def test_built_in_aggregations(assigner: WindowAssigner[Any, Any], kind: Any, expected: Any, make: Any) -> None:
    rows = [make(row) for row in (("a", 3), ("b", 4), ("c", 1), ("d", 1))]
    field = 1 if isinstance(rows[0], tuple | list) else "price"
    assert run(WindowSpec(assigner, aggregation=AggregationSpec(kind, field)), rows, [1, 2, 3, 4]) == [make(expected)]


def test_built_in_aggregations_of_dicts_scalars_and_names() -> None:
    by_name = AggregationSpec("sum", "price")
    assert run(WindowSpec(tumbling, aggregation=by_name), [{"price": 1, "x": 1}, {"price": 2}], [1, 2]) == [
        {"price": 3, "x": 1}
    ]
    assert run(WindowSpec(tumbling, aggregation=AggregationSpec("max", None)), [1, 5, 2], [1, 2, 3]) == [5]
    assert run(WindowSpec(tumbling, aggregation=by_name), [Bid("a", 1), Bid("b", 2)], [1, 2]) == [Bid("a", 3)]


def test_a_missing_field_is_named() -> None:
    with pytest.raises(MillstreamError, match="price"):
        run(WindowSpec(tumbling, aggregation=AggregationSpec("sum", "price")), [{"cost": 1}], [1])


@pytest.mark.parametrize("assigner", [tumbling, session])
def test_aggregate_function_with_a_mutable_accumulator(assigner: WindowAssigner[Any, Any]) -> None:
    spec = WindowSpec(assigner, aggregate=Mean())  # type: ignore[arg-type]
    assert run(spec, [1, 2, 6], [1, 9, 5]) == [3.0]


class Both:
    """A ProcessWindowFunction by shape."""

    def process(self, key: Any, context: Any, elements: Any) -> Any:
        yield key, context.window().max_timestamp(), context.current_watermark() >= 9, list(elements)


class AllBoth:
    def process(self, context: Any, elements: Any) -> Any:
        return [(context.window().start, list(elements))]


class AllApply:
    def apply(self, window: Any, inputs: Any) -> Any:
        return [(window.end, list(inputs))]


class Nothing:
    def apply(self, key: Any, window: Any, inputs: Any) -> Any:
        return None


def test_window_functions() -> None:
    add: Any = {"reduce": lambda left, right: left + right}
    assert run(WindowSpec(tumbling, function=Both()), [1, 2], [1, 2]) == [("k", 9, True, [1, 2])]
    assert run(WindowSpec(tumbling, function=Both(), **add), [1, 2], [1, 2]) == [("k", 9, True, [3])]
    assert run(WindowSpec(tumbling, function=AllBoth(), all_windows=True), [1, 2], [1, 12]) == [(0, [1]), (10, [2])]
    assert run(WindowSpec(tumbling, function=AllApply(), all_windows=True), [1, 2], [1, 2]) == [(10, [1, 2])]
    assert run(WindowSpec(tumbling, function=Nothing()), [1], [1]) == []


@pytest.mark.parametrize(
    ("assigner", "expected"),
    [
        (CountTumblingWindowAssigner.of(2), [["a0", "a1"], ["b0", "b1"], ["a2", "a3"]]),
        (CountSlidingWindowAssigner.of(3, 1), [["a0", "a1", "a2"], ["a1", "a2", "a3"], ["a2", "a3", "a4"]]),
        (CountSlidingWindowAssigner.of(2, 2), [["a0", "a1"], ["b0", "b1"], ["a2", "a3"]]),
        (CountSlidingWindowAssigner.of(1, 3), [["a0"], ["b0"], ["a3"]]),
    ],
)
def test_count_windows(assigner: WindowAssigner[Any, Any], expected: list[Any]) -> None:
    values = ["a0", "b0", "a1", "b1", "a2", "a3", "a4"]
    assert run(WindowSpec(assigner), values, [0] * 7, key=lambda v: v[0]) == expected


def test_firing_is_by_window_end_then_by_arrival_of_the_key() -> None:
    values, times = ["c", "a", "b", "z", "a"], [11, 12, 13, 5, 6]
    assert run(WindowSpec(tumbling), values, times, key=lambda v: v) == [["z"], ["a"], ["c"], ["a"], ["b"]]


def test_a_large_firing_leaves_in_bounded_batches() -> None:
    keys = 2 * EMITTED_ROWS_MAX + 5
    with OperatorHarness(WindowSpec(tumbling), key_selector=lambda v: v) as harness:
        harness.push(range(keys), [1] * keys)
        harness.end()
        assert harness.values == [[key] for key in range(keys)]
        assert harness.output.batch_rows_max == EMITTED_ROWS_MAX


def test_processing_time_windows_of_a_batch_use_one_clock_reading() -> None:
    spec = WindowSpec(TumblingProcessingTimeWindows.of(10))
    with OperatorHarness(spec, key_selector=lambda _: "k") as harness:
        harness.advance_to(5)
        harness.push([1, 2])
        harness.advance_to(10)
        harness.push([3])
        assert harness.records == [([1, 2], 9)]
        harness.advance_to(20)
        assert harness.values == [[1, 2], [3]]


def test_a_record_without_event_time_names_the_remedy() -> None:
    with (
        OperatorHarness(WindowSpec(tumbling), key_selector=lambda _: "k") as harness,
        pytest.raises(MillstreamError, match="assign_timestamps_and_watermarks"),
    ):
        harness.push(["no time"])


def test_late_records_are_counted_without_a_side_output() -> None:
    with OperatorHarness(WindowSpec(tumbling), key_selector=lambda _: "k") as harness:
        harness.watermark(9)
        harness.push([1, 2, 3], [1, 9, 10])
        harness.end()
        assert harness.metrics.late_records_dropped == 2
        assert harness.values == [[3]]


def settled(harness: OperatorHarness, checkpoint_id: int) -> OperatorSnapshot:
    taken = harness.operator.snapshot(checkpoint_id)
    assert taken is not None
    return taken.settled()


def test_a_snapshot_does_not_change_with_later_records() -> None:
    spec = WindowSpec(tumbling, aggregate=Mean())  # type: ignore[arg-type]
    with OperatorHarness(spec, key_selector=lambda _: "k") as harness:
        harness.push([1], [1])
        live = settled(harness, 1)
        pickled = harness.snapshot()
        harness.push([100], [2])
        harness.operator.close()
        harness.restore(pickled)
        assert settled(harness, 2) == live
        harness.end()
        assert harness.values == [1.0]


def test_state_is_cut_by_key_group() -> None:
    with OperatorHarness(WindowSpec(tumbling), key_selector=lambda v: v) as harness:
        harness.push(range(50), [1] * 50)
        snapshot = settled(harness, 1)
    groups = {group: decode_value(rows) for group, rows in snapshot.keyed["contents"].items()}
    assert {group: {row[2] for row in rows} for group, rows in groups.items()} == {
        group: {key for key in range(50) if key_group(key, 128) == group}
        for group in {key_group(k, 128) for k in range(50)}
    }


@pytest.mark.parametrize("assigner", [tumbling, session, CountTumblingWindowAssigner.of(2)])
def test_state_moves_to_two_subtasks_by_key_group(assigner: WindowAssigner[Any, Any]) -> None:
    keys = list(range(40))
    spec = WindowSpec(assigner)
    with OperatorHarness(spec, key_selector=lambda v: v) as harness:
        harness.push(keys, [1] * 40)
        state = settled(harness, 1)
    emitted: list[int] = []
    for half in (range(64), range(64, 128)):
        keyed = {name: {g: data for g, data in groups.items() if g in half} for name, groups in state.keyed.items()}
        part = replace(state, keyed=keyed)
        with OperatorHarness(spec, key_selector=lambda v: v) as harness:
            harness.restore(cloudpickle.dumps(part))
            mine = [key for key in keys if key_group(key, 128) in half]
            harness.push(mine, [2] * len(mine))
            harness.end()
            assert sorted(harness.values) == [[key, key] for key in mine]
            emitted += mine
    assert sorted(emitted) == keys


def test_point_is_a_namedtuple_made_by_hand() -> None:
    Point = namedtuple("Point", "x y")
    assert run(WindowSpec(tumbling, aggregation=AggregationSpec("sum", 0)), [Point(1, 5), Point(2, 6)], [1, 2]) == [
        Point(3, 5)
    ]
