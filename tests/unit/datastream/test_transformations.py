"""What each call of the API becomes: operators, edges, key selectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from millstream.common import Time, WatermarkStrategy
from millstream.core.graph import specs
from millstream.core.graph.stream_graph import ChainingStrategy, Exchange, StreamEdge, StreamGraph, StreamNode
from millstream.datastream import DataStream, OutputTag, SlotSharingGroup, StreamExecutionEnvironment
from millstream.datastream import functions as fn
from millstream.datastream.window import (
    CountEvictor,
    CountSlidingWindowAssigner,
    CountTrigger,
    CountTumblingWindowAssigner,
    EventTimeSessionWindows,
    TumblingEventTimeWindows,
)

Env = StreamExecutionEnvironment


class Upper(fn.MapFunction[str, str]):
    def map(self, value: str) -> str:
        return value.upper()


class Both(fn.CoMapFunction, fn.CoFlatMapFunction, fn.CoProcessFunction):
    def map1(self, value: Any) -> Any: ...
    def map2(self, value: Any) -> Any: ...
    def flat_map1(self, value: Any) -> Any: ...
    def flat_map2(self, value: Any) -> Any: ...
    def process_element1(self, value: Any, ctx: Any) -> Any: ...
    def process_element2(self, value: Any, ctx: Any) -> Any: ...


class KeyedBoth(fn.KeyedCoProcessFunction):
    def process_element1(self, value: Any, ctx: Any) -> Any: ...
    def process_element2(self, value: Any, ctx: Any) -> Any: ...


class Timers(fn.KeyedProcessFunction):
    def process_element(self, value: Any, ctx: Any) -> Any: ...


class Plain(fn.ProcessFunction):
    def process_element(self, value: Any, ctx: Any) -> Any: ...


class Mean(fn.AggregateFunction[Any, Any, Any]):
    def create_accumulator(self) -> Any: ...
    def add(self, value: Any, accumulator: Any) -> Any: ...
    def get_result(self, accumulator: Any) -> Any: ...


class MergingMean(Mean):
    def merge(self, acc_a: Any, acc_b: Any) -> Any: ...


class InWindow(fn.ProcessWindowFunction[Any, Any, Any, Any]):
    def process(self, key: Any, context: Any, elements: Any) -> Any: ...


class Applied(fn.WindowFunction[Any, Any, Any, Any]):
    def apply(self, key: Any, window: Any, inputs: Any) -> Any: ...


class InAllWindow(fn.ProcessAllWindowFunction[Any, Any, Any]):
    def process(self, context: Any, elements: Any) -> Any: ...


class ByLength(fn.KeySelector[str, int]):
    def get_key(self, value: str) -> int:
        return len(value)


def last(graph: StreamGraph) -> StreamNode:
    return graph.nodes[max(graph.nodes)]


def built(stream: DataStream[Any]) -> StreamNode:
    """The operator that the stream comes from, as the next job has it."""
    return last(stream.get_execution_environment().get_stream_graph())


def words(env: Env) -> DataStream[str]:
    return env.from_collection(["to", "be"])


def pairs(env: Env) -> DataStream[tuple[str, int]]:
    return env.from_collection([("a", 1), ("b", 2)])


Build = Callable[[Env], DataStream[Any]]
TABLE: list[tuple[Build, type[specs.OperatorSpec], str]] = [
    (lambda env: words(env).map(str.upper), specs.MapSpec, "map"),
    (lambda env: words(env).map(Upper()), specs.MapSpec, "map"),
    (lambda env: words(env).filter(bool), specs.FilterSpec, "filter"),
    (lambda env: words(env).flat_map(list), specs.FlatMapSpec, "flat_map"),
    (lambda env: words(env).process(Plain()), specs.ProcessSpec, "process"),
    (lambda env: words(env).process(lambda value, ctx: [value]), specs.ProcessSpec, "process"),
    (lambda env: words(env).key_by(len).process(Timers()), specs.KeyedProcessSpec, "process"),
    (lambda env: words(env).key_by(len).process(Plain()), specs.KeyedProcessSpec, "process"),
    (lambda env: words(env).key_by(len).reduce(max), specs.ReduceSpec, "reduce"),
    (lambda env: pairs(env).key_by(0).sum(1), specs.AggregationSpec, "sum"),
    (lambda env: pairs(env).key_by(0).min_by(1), specs.AggregationSpec, "min_by"),
    (lambda env: words(env).connect(pairs(env)).map(Both()), specs.CoMapSpec, "co-map"),
    (lambda env: words(env).connect(pairs(env)).map((len, str)), specs.CoMapSpec, "co-map"),
    (lambda env: words(env).connect(pairs(env)).flat_map(Both()), specs.CoFlatMapSpec, "co-flat-map"),
    (lambda env: words(env).connect(pairs(env)).process(Both()), specs.CoProcessSpec, "co-process"),
    (
        lambda env: words(env).connect(pairs(env)).key_by(str, 0).process(KeyedBoth()),
        specs.KeyedCoProcessSpec,
        "co-process",
    ),
    (
        lambda env: words(env).assign_timestamps_and_watermarks(WatermarkStrategy.for_monotonous_timestamps()),
        specs.TimestampsAndWatermarksSpec,
        "timestamps and watermarks",
    ),
    (lambda env: pairs(env).project(1, 0), specs.MapSpec, "project"),
]


@pytest.mark.parametrize(("build", "spec", "name"), TABLE)
def test_operators(env: Env, build: Build, spec: type[specs.OperatorSpec], name: str) -> None:
    node = built(build(env))
    assert (type(node.spec), node.name) == (spec, name)
    file, _, line = node.defined_at.rpartition(":")
    assert file.endswith("test_transformations.py") and int(line) > 0


def test_a_plain_process_function_is_called_directly(env: Env) -> None:
    def double(value: Any, ctx: Any) -> list[Any]:
        return [value, value]

    spec = built(words(env).key_by(len).process(double)).spec
    assert isinstance(spec, specs.KeyedProcessSpec)
    assert spec.function.process_element is double


PARTITIONINGS: list[tuple[Build, Exchange]] = [
    (lambda env: words(env).shuffle(), Exchange.SHUFFLE),
    (lambda env: words(env).rebalance(), Exchange.REBALANCE),
    (lambda env: words(env).rescale(), Exchange.RESCALE),
    (lambda env: words(env).broadcast(), Exchange.BROADCAST),
    (lambda env: words(env).global_(), Exchange.GLOBAL),
    (lambda env: words(env).partition_custom(lambda key, n: key % n, len), Exchange.CUSTOM),
    (lambda env: words(env).key_by(len), Exchange.HASH),
    (lambda env: words(env), Exchange.REBALANCE),
    (lambda env: env.from_sequence(1, 2), Exchange.FORWARD),
    (lambda env: words(env).rebalance().shuffle(), Exchange.SHUFFLE),
    (lambda env: words(env).shuffle().key_by(len), Exchange.HASH),
]


@pytest.mark.parametrize(("build", "exchange"), PARTITIONINGS)
def test_partitioning(env: Env, build: Build, exchange: Exchange) -> None:
    build(env).map(str)
    [edge] = env.get_stream_graph().edges
    assert edge.exchange is exchange
    assert (edge.key_selector is not None) == (exchange in (Exchange.HASH, Exchange.CUSTOM))
    assert (edge.custom_partitioner is not None) == (exchange is Exchange.CUSTOM)


class Reading(NamedTuple):
    sensor: str
    celsius: float


@dataclass
class City:
    name: str
    people: int


@pytest.mark.parametrize(
    ("records", "selector", "key"),
    [
        (["to"], len, 2),
        (["to"], ByLength(), 2),
        ([("a", 1)], 0, "a"),
        ([("a", 1)], [1, 0], (1, "a")),
        ([Reading("s", 1.5)], "sensor", "s"),
        ([Reading("s", 1.5)], 1, 1.5),
        ([City("Kyiv", 3)], "name", "Kyiv"),
        ([City("Kyiv", 3)], 1, 3),
        ([{"a": 1, "b": 2}], "b", 2),
        ([{"a": 1, "b": 2}], ["b", "a"], (2, 1)),
    ],
)
def test_keys(env: Env, records: list[Any], selector: Any, key: Any) -> None:
    stream = env.from_collection(records).key_by(selector).reduce(lambda a, b: a)
    [edge] = env.get_stream_graph().edges
    [node_selector] = built(stream).key_selectors
    assert edge.key_selector is not None and node_selector is not None
    assert edge.key_selector(records[0]) == node_selector(records[0]) == key


def test_union_has_an_edge_for_each_stream_with_its_own_exchange(env: Env) -> None:
    numbers, squares = env.from_sequence(1, 2), env.from_sequence(3, 4).map(lambda n: n * n)
    numbers.union(squares.broadcast(), numbers).map(str)
    graph = env.get_stream_graph()
    edges = [(edge.source, edge.exchange, edge.input_index) for edge in graph.inputs_of(last(graph).node_id)]
    first, second = min(graph.nodes), max(graph.nodes) - 1
    assert edges == [
        (first, Exchange.FORWARD, 0),
        (second, Exchange.BROADCAST, 0),
        (first, Exchange.FORWARD, 0),
    ]


def test_a_self_join_has_two_edges(env: Env) -> None:
    stream = pairs(env)
    stream.key_by(0).connect(stream.key_by(1)).process(KeyedBoth())
    graph = env.get_stream_graph()
    edges = graph.inputs_of(last(graph).node_id)
    assert [(edge.source, edge.input_index, edge.exchange) for edge in edges] == [
        (1, 0, Exchange.HASH),
        (1, 1, Exchange.HASH),
    ]
    keys = [selector(("a", 1)) for selector in last(graph).key_selectors if selector is not None]
    assert keys == ["a", 1]


def test_side_outputs(env: Env) -> None:
    tag = OutputTag("odd", int)
    processed = env.from_sequence(1, 3).process(Plain())
    side = processed.get_side_output(tag)
    side.print()
    processed.filter(bool)
    edges: dict[str, StreamEdge] = {edge.side_output: edge for edge in env.get_stream_graph().edges[1:]}
    assert set(edges) == {"odd", ""} and edges["odd"].source == edges[""].source == 2
    assert str(side.get_type()) == "LONG"


WINDOWS: list[tuple[Build, dict[str, Any]]] = [
    (lambda env: keyed(env).window(TumblingEventTimeWindows.of("1 min")).reduce(max), {"allowed_lateness_ms": 0}),
    (lambda env: keyed(env).window(TumblingEventTimeWindows.of("5s")).aggregate(Mean(), InWindow()), {}),
    (lambda env: keyed(env).window(TumblingEventTimeWindows.of("5s")).aggregate(Mean(), Applied()), {}),
    (lambda env: keyed(env).window(EventTimeSessionWindows.with_gap("5s")).aggregate(MergingMean()), {}),
    (lambda env: keyed(env).window(TumblingEventTimeWindows.of("5s")).apply(Applied()), {}),
    (lambda env: keyed(env).window(TumblingEventTimeWindows.of("5s")).apply(lambda key, window, values: values), {}),
    (lambda env: keyed(env).window(TumblingEventTimeWindows.of("5s")).process(InWindow()), {}),
    (
        lambda env: keyed(env).window(TumblingEventTimeWindows.of("5s")).max_by(1),
        {"aggregation": specs.AggregationSpec("max_by", 1)},
    ),
    (
        lambda env: (
            keyed(env)
            .window(TumblingEventTimeWindows.of("5s"))
            .allowed_lateness(Time.seconds(3))
            .side_output_late_data(OutputTag("late"))
            .trigger(CountTrigger.of(2))
            .evictor(CountEvictor.of(1))
            .sum(1)
        ),
        {"allowed_lateness_ms": 3000, "late_tag": "late"},
    ),
]


def keyed(env: Env) -> Any:
    return pairs(env).key_by(0)


@pytest.mark.parametrize(("build", "fields"), WINDOWS)
def test_windows(env: Env, build: Build, fields: dict[str, Any]) -> None:
    node = built(build(env))
    assert isinstance(node.spec, specs.WindowSpec) and not node.spec.all_windows
    assert {name: getattr(node.spec, name) for name in fields} == fields
    assert node.key_selectors[0] is not None and node.parallelism == 4


def test_windows_over_all_records_have_one_subtask(env: Env) -> None:
    stream = pairs(env).window_all(TumblingEventTimeWindows.of("5s")).process(InAllWindow())
    node = built(stream)
    assert isinstance(node.spec, specs.WindowSpec) and node.spec.all_windows
    assert (node.parallelism, node.key_selectors) == (1, (None,))


@pytest.mark.parametrize(
    ("size", "slide", "assigner"),
    [(3, 0, CountTumblingWindowAssigner), (3, 1, CountSlidingWindowAssigner)],
)
def test_count_windows(env: Env, size: int, slide: int, assigner: type) -> None:
    for stream in (keyed(env).count_window(size, slide).sum(1), pairs(env).count_window_all(size, slide).sum(1)):
        spec = built(stream).spec
        assert isinstance(spec, specs.WindowSpec) and type(spec.assigner) is assigner


def test_settings_of_operators(env: Env) -> None:
    stream = words(env).map(str).name("text").uid("text-1").set_description("as text").set_parallelism(3)
    stream.set_max_parallelism(12).set_buffer_timeout("20ms").start_new_chain().slot_sharing_group("fast")
    stream.print("out").name("printer").disable_chaining().slot_sharing_group(SlotSharingGroup("slow"))
    graph = env.get_stream_graph()
    mapped, sink = graph.nodes[2], graph.nodes[3]
    assert (mapped.name, mapped.uid, mapped.description, mapped.parallelism, mapped.max_parallelism) == (
        "text",
        "text-1",
        "as text",
        3,
        12,
    )
    assert (mapped.buffer_timeout_ms, mapped.chaining) == (20, ChainingStrategy.HEAD)
    assert (sink.name, sink.chaining, sink.slot_sharing_group) == ("printer", ChainingStrategy.NEVER, "slow")


def test_slot_sharing_groups_are_inherited_where_all_inputs_agree(env: Env) -> None:
    left = env.from_sequence(1, 2).slot_sharing_group("left").map(str)
    right = env.from_sequence(1, 2).map(str)
    both = left.union(right).map(str)
    left.map(str)
    graph = env.get_stream_graph()
    groups = [graph.nodes[number].slot_sharing_group for number in sorted(graph.nodes)]
    assert groups == ["left", "left", "default", "default", "default", "left"]
    assert both.get_name() == "map"


def test_force_non_parallel(env: Env) -> None:
    node = built(env.from_sequence(1, 2).map(str).force_non_parallel())
    assert (node.parallelism, node.max_parallelism) == (1, 1)
