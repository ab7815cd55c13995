"""The broadcast state pattern in the API: the graph it makes, and misuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from millstream.core.errors import JobGraphError
from millstream.core.graph.specs import BroadcastProcessSpec, KeyedBroadcastProcessSpec
from millstream.core.graph.stream_graph import Exchange
from millstream.datastream import StreamExecutionEnvironment
from millstream.datastream import functions as fn
from millstream.datastream.data_stream import BroadcastConnectedStream, BroadcastStream
from millstream.datastream.state import MapStateDescriptor

Env = StreamExecutionEnvironment
RULES, OTHERS = MapStateDescriptor("rules"), MapStateDescriptor("others")


class Plain(fn.BroadcastProcessFunction):
    def process_element(self, value: Any, ctx: Any) -> list[str]:
        return []

    def process_broadcast_element(self, value: Any, ctx: Any) -> list[str]:
        return []


class Keyed(fn.KeyedBroadcastProcessFunction):
    def process_element(self, value: Any, ctx: Any) -> list[str]:
        return []

    def process_broadcast_element(self, value: Any, ctx: Any) -> list[int]:
        return []


class Half(fn.BroadcastProcessFunction):
    def process_element(self, value: Any, ctx: Any) -> list[str]:
        return []


class Duck:
    process_element = process_broadcast_element = on_timer = lambda self, value, ctx: None


def words(env: Env) -> Any:
    return env.from_collection(["to", "be"])


def rules(env: Env, *descriptors: Any) -> Any:
    return words(env).broadcast(*(descriptors or (RULES,)))


@pytest.mark.parametrize("keyed", [False, True])
def test_the_graph(env: Env, keyed: bool) -> None:
    stream = words(env).key_by(len) if keyed else words(env)
    broadcast = rules(env, RULES, OTHERS)
    connected = stream.connect(broadcast)
    assert isinstance(broadcast, BroadcastStream) and isinstance(connected, BroadcastConnectedStream)
    out = connected.process(Keyed() if keyed else Plain())
    assert str(out.get_type()) == ("None" if keyed else "STRING")
    assert str(connected.process(Keyed() if keyed else Plain(), int).get_type()) == "LONG"
    node = out._upstreams[0].node
    graph = env._program.build("job", 2)
    spec = graph.nodes[node.node_id].spec
    assert isinstance(spec, KeyedBroadcastProcessSpec if keyed else BroadcastProcessSpec)
    assert spec.descriptors == (RULES, OTHERS)
    assert [selector is not None for selector in node.key_selectors] == [keyed, False]
    edges = graph.inputs_of(node.node_id)
    assert [(edge.input_index, edge.exchange) for edge in edges] == [
        (0, Exchange.HASH if keyed else Exchange.REBALANCE),
        (1, Exchange.BROADCAST),
    ]


def test_a_broadcast_without_states_is_a_stream(env: Env) -> None:
    assert words(env).broadcast().map(str).get_name() == "map"


CASES: list[tuple[Callable[[Env], Any], list[str]]] = [
    (lambda env: words(env).broadcast("rules"), ["broadcast takes a MapStateDescriptor", "'rules'"]),
    (lambda env: rules(env, RULES, MapStateDescriptor("rules")), ["different names", "'rules' twice"]),
    (lambda env: words(env).key_by(len).broadcast(RULES), ["partitioned by its key"]),
    (lambda env: words(env).connect(rules(Env.get_execution_environment())), ["one environment"]),
    (lambda env: words(env).connect(rules(env)).process(Plain), ["write Plain()"]),
    (lambda env: words(env).connect(rules(env)).process(Keyed()), ["Keyed is a Keyed", "call key_by before connect"]),
    (lambda env: words(env).connect(rules(env)).process(Duck()), ["Duck has timers", "call key_by before connect"]),
    (lambda env: words(env).connect(rules(env)).process(Half()), ["Half does not define process_broadcast_element"]),
    (lambda env: words(env).connect(rules(env)).process(len), ["takes a BroadcastProcessFunction"]),
    (
        lambda env: words(env).key_by(len).connect(rules(env)).process(Plain()),
        ["takes a KeyedBroadcastProcessFunction on a keyed stream", "Plain is a BroadcastProcessFunction"],
    ),
    (
        lambda env: words(env).process(Plain()),
        ["process takes", "belongs in process on a stream connected with a broadcast one"],
    ),
]


@pytest.mark.parametrize(("misuse", "texts"), CASES, ids=range(len(CASES)))
def test_misuse(env: Env, misuse: Callable[[Env], Any], texts: list[str]) -> None:
    with pytest.raises(JobGraphError) as caught:
        misuse(env)
    for text in texts:
        assert text in str(caught.value)
