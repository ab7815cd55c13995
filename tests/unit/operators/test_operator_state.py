"""Operator state of user functions: who gets it, snapshots, other parallelisms, misuse."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest

from millstream.core.api.functions import (
    CoProcessFunction,
    FilterFunction,
    FlatMapFunction,
    KeyedProcessFunction,
    MapFunction,
    ProcessFunction,
    ProcessWindowFunction,
    ReduceFunction,
)
from millstream.core.api.operator_state import CheckpointedFunction
from millstream.core.api.sink import Sink, SinkContext, SinkWriter
from millstream.core.api.state import ListStateDescriptor, MapStateDescriptor, StateTtlConfig, ValueStateDescriptor
from millstream.core.api.windowing.time_assigners import TumblingEventTimeWindows
from millstream.core.elements.batch import Batch
from millstream.core.errors import CheckpointError, ConfigError, JobGraphError, UserCodeError
from millstream.core.graph.specs import (
    ChainedOperator,
    CoProcessSpec,
    FilterSpec,
    FlatMapSpec,
    KeyedProcessSpec,
    MapSpec,
    OperatorSpec,
    ProcessSpec,
    ReduceSpec,
    SinkSpec,
    WindowSpec,
)
from millstream.taskmanager.operators.checkpointed import CheckpointedOperator
from millstream.taskmanager.operators.function_states import PIECES_MAX, FunctionStates
from millstream.taskmanager.operators.operator import Operator
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import ALL_MODES, RunMode, run_in_all_modes

Rescale = Callable[[Sequence[bytes], int], list[bytes]]
SEEN = ListStateDescriptor("seen")


class Seen(CheckpointedFunction):
    """Numbers what it sees over all restores; keeps the numbers in a list state, and only brings it up to date late."""

    opened = False

    def initialize_state(self, context: Any) -> None:
        assert not self.opened
        self.state = context.get_operator_state_store().get_list_state(SEEN)
        self.values = list(self.state)
        assert bool(self.values) <= context.is_restored()

    def open(self, runtime_context: Any) -> None:
        self.opened = hasattr(self, "values")

    def close(self) -> None:
        self.opened = False

    def number(self, value: Any) -> tuple[int, Any]:
        assert self.opened
        self.values.append(value)
        return len(self.values), value

    def snapshot_state(self, context: Any) -> None:
        assert context.checkpoint_id == context.get_checkpoint_id() > 0
        self.state.update(self.values)


class SeenMap(Seen, MapFunction[Any, Any]):
    def map(self, value: Any) -> Any:
        return self.number(value)


class SeenFilter(Seen, FilterFunction[Any]):
    def filter(self, value: Any) -> bool:
        return self.number(value)[0] % 2 == 1


class SeenFlatMap(Seen, FlatMapFunction[Any, Any]):
    def flat_map(self, value: Any) -> Iterator[Any]:
        yield self.number(value)


class SeenProcess(Seen, ProcessFunction):
    def process_element(self, value: Any, ctx: Any) -> Iterator[Any]:
        yield self.number(value)


class SeenKeyedProcess(Seen, KeyedProcessFunction):
    def process_element(self, value: Any, ctx: Any) -> Iterator[Any]:
        ctx.timer_service().register_event_time_timer(value)
        yield self.number(value)

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Any]:
        yield self.number(("timer", timestamp))


class SeenCoProcess(Seen, CoProcessFunction):
    def process_element1(self, value: Any, ctx: Any) -> Iterator[Any]:
        yield self.number(value)

    def process_element2(self, value: Any, ctx: Any) -> Iterator[Any]:
        yield self.number(-value)


class SeenReduce(Seen, ReduceFunction[Any]):
    def reduce(self, value1: Any, value2: Any) -> Any:
        return self.number(value2)


class SeenWindow(Seen, ProcessWindowFunction[Any, Any, Any, Any]):
    def process(self, key: Any, context: Any, elements: Any) -> Iterator[Any]:
        yield self.number((key, sorted(elements)))


def parity(value: int) -> int:
    return value % 2


WINDOWS = WindowSpec(TumblingEventTimeWindows.of("10 ms"), function=SeenWindow())
CASES: list[tuple[OperatorSpec, tuple[Any, ...], list[Any]]] = [
    (MapSpec(SeenMap()), (None,), [(1, 5), (2, 6), (3, 7), (4, 8)]),
    (MapSpec(SeenMap()), (parity,), [(1, 5), (2, 6), (3, 7), (4, 8)]),
    (FilterSpec(SeenFilter()), (None,), [5, 7]),
    (FlatMapSpec(SeenFlatMap()), (None,), [(1, 5), (2, 6), (3, 7), (4, 8)]),
    (ProcessSpec(SeenProcess()), (None,), [(1, 5), (2, 6), (3, 7), (4, 8)]),
    (CoProcessSpec(SeenCoProcess()), (None, None), [(1, 5), (2, 6), (3, -7), (4, -8)]),
    (
        KeyedProcessSpec(SeenKeyedProcess()),
        (parity,),
        [(1, 5), (2, 6), (3, 7), (4, 8), *((5 + i, ("timer", 5 + i)) for i in range(4))],
    ),
    (ReduceSpec(SeenReduce()), (parity,), [5, 6, (1, 7), (2, 8)]),
    (WINDOWS, (parity,), [(1, (1, [5, 7])), (2, (0, [6, 8]))]),
]


@pytest.mark.parametrize(("spec", "selectors", "expected"), CASES, ids=lambda part: getattr(part, "kind", ""))
def test_every_kind_of_function(spec: OperatorSpec, selectors: tuple[Any, ...], expected: list[Any]) -> None:
    def new_harness(mode: RunMode) -> OperatorHarness:
        return OperatorHarness(spec, key_selectors=selectors, mode=mode)

    def script(harness: OperatorHarness) -> None:
        harness.push([5, 6], [5, 6])
        harness.push([7, 8], [7, 8], input_index=len(selectors) - 1)
        harness.end()

    assert run_in_all_modes(new_harness, script, ALL_MODES).values == expected


class Writer(SinkWriter):
    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def write(self, batch: Batch) -> None:
        self.rows.extend(batch.values)  # type: ignore[union-attr]


class SeenSink(Sink, CheckpointedFunction):
    """Its instance is that of the subtask, and lives as long as the writer."""

    def initialize_state(self, context: Any) -> None:
        self.state = context.get_operator_state_store().get_list_state(SEEN)
        self.rows = list(self.state)

    def snapshot_state(self, context: Any) -> None:
        self.state.update(self.rows)

    def create_writer(self, context: SinkContext) -> SinkWriter:
        return Writer(self.rows)


def test_a_sink() -> None:
    sink = SeenSink()
    with OperatorHarness(SinkSpec(sink)) as harness:
        harness.push([1, 2])
        harness.restore(harness.snapshot())
        harness.push([3])
        assert sink.rows == [1, 2, 3]


def test_operators_without_such_functions_are_left_alone() -> None:
    with OperatorHarness(MapSpec(lambda v: v)) as harness:
        assert not isinstance(harness.operator, CheckpointedOperator)


def test_the_wrapper_hands_on_every_call() -> None:
    called: list[Any] = []

    class Recorder:
        """Stands for the operator inside."""

        def __getattr__(self, name: str) -> Callable[..., Any]:
            def call(*arguments: Any) -> str:
                called.append((name, arguments))
                return name

            return call

    chained = ChainedOperator("id", "p", MapSpec(str))
    wrapper = CheckpointedOperator(chained, cast("Operator", Recorder()), FunctionStates("p"))
    for name, method in vars(Operator).items():
        if inspect.isfunction(method) and name not in ("open", "snapshot", "restore"):
            signature = inspect.signature(method)
            arguments = tuple(signature.parameters)[1:]
            returned = getattr(wrapper, name)(*arguments)
            assert called.pop() == (name, arguments)
            assert returned == (None if signature.return_annotation == "None" else name)


class Restored(MapFunction[Any, Any], CheckpointedFunction):
    def initialize_state(self, context: Any) -> None:
        self.found = (context.is_restored(), context.get_restored_checkpoint_id())

    def snapshot_state(self, context: Any) -> None:
        pass

    def map(self, value: Any) -> Any:
        return self.found


def test_what_the_context_says_of_the_restore(rescale: Rescale) -> None:
    with OperatorHarness(MapSpec(Restored())) as harness:
        harness.push([0])
        harness.snapshot()
        second = harness.snapshot()
        harness.restore(rescale([second], 3)[2])
        harness.push([0])
        assert harness.values == [(False, None), (True, 2)]


def test_a_function_must_define_both_calls() -> None:
    class Half(MapFunction[Any, Any], CheckpointedFunction):
        def initialize_state(self, context: Any) -> None: ...

    with pytest.raises(TypeError, match="snapshot_state"):
        Half()  # type: ignore[abstract]


# -- another parallelism --------------------------------------------------------------------------------------------


class Kept(MapFunction[Any, Any], CheckpointedFunction):
    """Keeps each record in all three kinds of state; answers ``None`` with what they hold."""

    def initialize_state(self, context: Any) -> None:
        store = context.get_operator_state_store()
        self.dealt = store.get_list_state(ListStateDescriptor("dealt"))
        self.union = store.get_union_list_state(ListStateDescriptor("union"))
        self.same = store.get_broadcast_state(MapStateDescriptor("same"))
        assert store.get_list_state(ListStateDescriptor("dealt")) is self.dealt

    def snapshot_state(self, context: Any) -> None:
        pass

    def map(self, value: Any) -> Any:
        if value is None:
            return list(self.dealt), list(self.union), dict(self.same.items())
        self.dealt.add(value)
        self.union.add(value)
        self.same.put((value, "key"), value)
        return value


def kept_in(snapshots: Sequence[bytes]) -> list[tuple[list[Any], list[Any], dict[Any, Any]]]:
    """What subtasks hold that start with these snapshots."""
    held = []
    for index, snapshot in enumerate(snapshots):
        spec = MapSpec(Kept())
        with OperatorHarness(spec, parallelism=len(snapshots), subtask_index=index) as harness:
            harness.restore(snapshot)
            harness.push([None])
            held += harness.values
    return held


def snapshots_of(rows: Sequence[Sequence[int]]) -> list[bytes]:
    """Of one subtask each."""
    snapshots = []
    for index, values in enumerate(rows):
        with OperatorHarness(MapSpec(Kept()), parallelism=len(rows), subtask_index=index) as harness:
            harness.push(values)
            snapshots.append(harness.snapshot())
    return snapshots


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2), (3, 1), (1, 3), (2, 5)])
def test_rescaling(rescale: Rescale, before: int, after: int) -> None:
    rows = [[100 * index + n for n in range(index + 3)] for index in range(before)]
    everything = [value for values in rows for value in values]
    held = kept_in(rescale(snapshots_of(rows), after))
    assert sorted(value for dealt, _, _ in held for value in dealt) == everything
    sizes = [len(dealt) for dealt, _, _ in held]
    assert max(sizes) - min(sizes) <= 1
    assert all(union == everything for _, union, _ in held)
    assert all(same == {(value, "key"): value for value in rows[0]} for _, _, same in held)


def test_the_copy_of_the_first_subtask_is_taken_in_whatever_order_they_come(rescale: Rescale) -> None:
    snapshots = snapshots_of([[index] for index in range(300)])
    (held,) = kept_in(rescale([snapshots[299], snapshots[256], snapshots[2], snapshots[10]], 1))
    assert held[2] == {(2, "key"): 2}


def test_rescaling_twice_neither_loses_nor_doubles(rescale: Rescale) -> None:
    rows = [[1, 2, 3], [4, 5]]
    snapshots = rescale(snapshots_of(rows), 4)
    with_copies = []
    for index, snapshot in enumerate(snapshots):
        with OperatorHarness(MapSpec(Kept()), parallelism=4, subtask_index=index) as harness:
            harness.restore(snapshot)
            with_copies.append(harness.snapshot())
    held = kept_in(rescale(with_copies, 2))
    assert sorted(value for dealt, _, _ in held for value in dealt) == [1, 2, 3, 4, 5]
    assert held[0][2] == held[1][2] == {(value, "key"): value for value in (1, 2, 3)}


@pytest.mark.parametrize("items", [PIECES_MAX, PIECES_MAX + 1, 10 * PIECES_MAX - 7])
def test_long_lists_have_few_pieces_and_keep_their_order(items: int) -> None:
    with OperatorHarness(MapSpec(Kept())) as harness:
        harness.push(range(items))
        pieces = harness.operator.snapshot(1).items  # type: ignore[union-attr]
        assert PIECES_MAX / 2 < len(pieces["function-list:dealt"]) <= PIECES_MAX
        (held,) = kept_in([harness.snapshot()])
    assert held[0] == held[1] == list(range(items))


def test_state_that_is_not_asked_for_is_kept(rescale: Rescale) -> None:
    """A version of the function that has no use for its state does not lose it, nor make more of it."""
    snapshots = snapshots_of([[1, 2], [3]])
    for parallelism in (3, 2):
        through = []
        for index, snapshot in enumerate(rescale(snapshots, parallelism)):
            spec = MapSpec(Restored())
            with OperatorHarness(spec, parallelism=parallelism, subtask_index=index) as harness:
                harness.restore(snapshot)
                through.append(harness.snapshot())
        snapshots = through
    held = kept_in(rescale(snapshots, 1))
    assert [(sorted(dealt), sorted(union), same) for dealt, union, same in held] == [
        ([1, 2, 3], [1, 2, 3], {(1, "key"): 1, (2, "key"): 2})
    ]


def test_later_changes_do_not_reach_a_snapshot() -> None:
    with OperatorHarness(MapSpec(Kept())) as harness:
        function = harness.chained.spec.function  # type: ignore[attr-defined]
        function.dealt.add([1])
        function.same.put("k", [1])
        snapshot = harness.snapshot()
        next(function.dealt.get()).append(2)
        function.same["k"].append(2)
        (held,) = kept_in([snapshot])
        assert held == ([[1]], [], {"k": [1]})


def test_lists_and_maps() -> None:
    with OperatorHarness(MapSpec(Kept())) as harness:
        function = harness.chained.spec.function  # type: ignore[attr-defined]
        dealt, same = function.dealt, function.same
        dealt.add_all(iter([1, 2]))
        for value in dealt:
            dealt.add(value)
        assert list(dealt) == [1, 2, 1, 2]
        dealt.clear()
        assert list(dealt) == []
        same.put_all({"a": 1, "b": 2})
        same["c"] = 3
        for key in same:
            if key == "a":
                del same[key]
        same.remove("not there")
        assert (dict(same.items()), list(same.keys()), list(same.values())) == ({"b": 2, "c": 3}, ["b", "c"], [2, 3])
        assert "b" in same and "a" not in same and same["b"] == 2 and same.get("a") is None and not same.is_empty()
        same.clear()
        assert same.is_empty()


# -- misuse ---------------------------------------------------------------------------------------------------------


class Asks(MapFunction[Any, Any], CheckpointedFunction):
    def __init__(self, initialize: Callable[[Any], Any], snapshot: Callable[[Any], Any] = lambda store: None) -> None:
        self.initialize = initialize
        self.snapshot = snapshot

    def initialize_state(self, context: Any) -> None:
        self.store = context.get_operator_state_store()
        self.initialize(self.store)

    def snapshot_state(self, context: Any) -> None:
        self.snapshot(self.store)

    def map(self, value: Any) -> Any:
        return value


def with_ttl() -> ListStateDescriptor:
    descriptor = ListStateDescriptor("x")
    descriptor.enable_time_to_live(StateTtlConfig.new_builder("1 s").build())
    return descriptor


X_LIST, X_MAP = ListStateDescriptor("x"), MapStateDescriptor("x")


@pytest.mark.parametrize(
    ("initialize", "kind", "message"),
    [
        (
            lambda s: (s.get_list_state(X_LIST), s.get_union_list_state(X_LIST)),
            JobGraphError,
            "'x' as union list state",
        ),
        (lambda s: (s.get_broadcast_state(X_MAP), s.get_list_state(X_LIST)), JobGraphError, "it is broadcast state"),
        (lambda s: s.get_list_state(X_MAP), ConfigError, "a ListStateDescriptor, not by a MapStateDescriptor"),
        (lambda s: s.get_list_state(ValueStateDescriptor("x")), ConfigError, "not by a ValueStateDescriptor"),
        (lambda s: s.get_broadcast_state("x"), ConfigError, "a MapStateDescriptor, not by a str"),
        (lambda s: s.get_list_state(with_ttl()), ConfigError, "'x' has a time to live"),
        (lambda s: 1 / 0, UserCodeError, "'p' failed in .*initialize_state.*\nZeroDivisionError"),
    ],
)
def test_what_cannot_be_asked_for(initialize: Callable[[Any], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught, OperatorHarness(MapSpec(Asks(initialize)), name="p"):
        pass
    assert caught.value.place.operator == "p"  # type: ignore[attr-defined]


def test_a_state_of_a_checkpoint_stays_of_its_kind() -> None:
    function = Asks(lambda store: store.get_list_state(X_LIST).add(1))
    with OperatorHarness(MapSpec(function), name="p") as harness:
        snapshot = harness.snapshot()
        function.initialize = lambda store: store.get_union_list_state(X_LIST)
        with pytest.raises(JobGraphError, match="is list state already, in the program or in the checkpoint"):
            harness.restore(snapshot)


def test_a_value_that_cannot_be_saved_is_named() -> None:
    function = Asks(lambda store: store.get_list_state(X_LIST).add(threading.Lock()))
    with (
        OperatorHarness(MapSpec(function), name="p") as harness,
        pytest.raises(CheckpointError, match=r"'p': the operator state 'x' has a value that cannot be saved.*lock"),
    ):
        harness.snapshot()


def test_an_error_in_snapshot_state_names_the_function() -> None:
    with (
        OperatorHarness(MapSpec(Asks(lambda store: None, lambda store: 1 / 0)), name="p") as harness,
        pytest.raises(UserCodeError, match=r"'p' failed in .*snapshot_state.*\nZeroDivisionError"),
    ):
        harness.snapshot()
