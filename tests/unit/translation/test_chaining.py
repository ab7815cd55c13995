"""Which operators share a task, as a table of graphs and of single changes to a chain."""

from collections.abc import Callable

import pytest
from graphs import graph, node
from hypothesis import given
from hypothesis import strategies as st

from millstream.client.translation.chaining import chains_of, topological_order, why_not_chained
from millstream.core.graph.stream_graph import ChainingStrategy, Exchange, StreamEdge, StreamGraph, StreamNode


def chains(made: StreamGraph, *, enabled: bool = True) -> list[list[str]]:
    key_groups = {node_id: node.max_parallelism or 128 for node_id, node in made.nodes.items()}
    return [
        [made.nodes[node_id].name for node_id in chain.nodes] for chain in chains_of(made, key_groups, enabled=enabled)
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["source -> map -> filter -> sink"], [["source", "map", "filter", "sink"]]),
        (["source(2) -> map(2) => reduce(2) -> sink(2)"], [["source", "map"], ["reduce", "sink"]]),
        (["source(1) => map(1)"], [["source"], ["map"]]),
        (["source(1) ~> map(2) -> sink(2)"], [["source"], ["map", "sink"]]),
        (["source(2) *> map(2)"], [["source"], ["map"]]),
        (["source:s -> map:a", "s -> filter:b -> sink:c"], [["s", "a", "b", "c"]]),
        (["source:s -> map:a => reduce:r", "a -> sink:k"], [["s", "a", "k"], ["r"]]),
        (["source:s -> map:u", "source:t -> u", "u -> sink:k"], [["s"], ["t"], ["u", "k"]]),
        (["source:s -> comap:c", "source:t -> c", "c -> sink:k"], [["s"], ["t"], ["c", "k"]]),
        (["source:s -> comap:c", "s -> c"], [["s"], ["c"]]),
    ],
)
def test_chains(lines: list[str], expected: list[list[str]]) -> None:
    assert sorted(chains(graph(*lines))) == sorted(expected)


def change(**settings: object) -> Callable[[StreamNode], None]:
    def apply(changed: StreamNode) -> None:
        for name, value in settings.items():
            setattr(changed, name, value)

    return apply


@pytest.mark.parametrize(
    ("where", "what", "reason"),
    [
        ("source", change(chaining=ChainingStrategy.HEAD), None),
        ("source", change(chaining=ChainingStrategy.NEVER), "chaining is disabled for the source"),
        ("map", change(chaining=ChainingStrategy.HEAD), "the target starts a chain of its own"),
        ("map", change(chaining=ChainingStrategy.NEVER), "the target starts a chain of its own"),
        ("map", change(slot_sharing_group="fast"), "slot sharing groups differ (default and fast)"),
        ("map", change(max_parallelism=64), "max parallelism differs (128 and 64)"),
        ("map", change(parallelism=3), "parallelism differs (1 and 3)"),
        ("map", change(uid="u", name="n"), None),
    ],
)
def test_what_keeps_operators_apart(where: str, what: Callable[[StreamNode], None], reason: str | None) -> None:
    made = graph("source -> map")
    what(node(made, where))
    key_groups = {node_id: node.max_parallelism or 128 for node_id, node in made.nodes.items()}
    assert why_not_chained(made, made.edges[0], key_groups) == reason
    assert len(chains_of(made, key_groups)) == (1 if reason is None else 2)


def test_chaining_can_be_switched_off_for_the_job() -> None:
    assert chains(graph("source -> map -> sink"), enabled=False) == [["source"], ["map"], ["sink"]]


@st.composite
def graphs(draw: st.DrawFn) -> StreamGraph:
    made = StreamGraph("random")
    count = draw(st.integers(1, 12))
    numbers = draw(st.permutations(range(1, count + 1)))
    for position, number in enumerate(numbers):
        parallelism = draw(st.integers(1, 2))
        made.nodes[number] = StreamNode(number, f"n{number}", graph("map").nodes[1].spec, parallelism)
        for source in draw(st.lists(st.sampled_from(numbers[:position]), max_size=2)) if position else []:
            same = made.nodes[source].parallelism == parallelism
            exchange = draw(st.sampled_from([Exchange.FORWARD, Exchange.HASH])) if same else Exchange.REBALANCE
            made.edges.append(StreamEdge(source, number, exchange))
    return made


@given(graphs())
def test_chains_partition_the_graph_into_trees_in_topological_order(made: StreamGraph) -> None:
    order = topological_order(made)
    assert sorted(order) == sorted(made.nodes)
    assert all(order.index(edge.source) < order.index(edge.target) for edge in made.edges)
    found = chains_of(made, dict.fromkeys(made.nodes, 128))
    assert sorted(node_id for chain in found for node_id in chain.nodes) == sorted(made.nodes)
    heads = [order.index(chain.head) for chain in found]
    assert heads == sorted(heads)
    for chain in found:
        for position, node_id in enumerate(chain.nodes[1:], 1):
            [edge] = made.inputs_of(node_id)
            assert edge.source in chain.nodes[:position] and edge.exchange is Exchange.FORWARD
            assert made.nodes[node_id].parallelism == made.nodes[chain.head].parallelism
