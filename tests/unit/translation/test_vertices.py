"""Vertices, edges, payloads: what the JobManager and the slots are told."""

from typing import Any

import pytest
from graphs import graph, node

from millstream.client.translate import layout_of
from millstream.client.translation.vertices import Layout, co_location_keys, edge_messages, payload_of, vertex_messages
from millstream.core.api.types import Types, infer_type
from millstream.core.graph.specs import CollectSpec
from millstream.core.graph.stream_graph import ChainingStrategy, Exchange, StreamGraph
from millstream.proto.v1 import job_graph_pb2 as pb


def laid_out(made: StreamGraph, **configuration: Any) -> Layout:
    return layout_of(made, configuration)


def edges(made: StreamGraph) -> list[tuple[str, str, str, int, str]]:
    layout = laid_out(made)
    names = {layout.ids[number]: operator.name for number, operator in made.nodes.items()}
    return [
        (
            names[edge.source_operator],
            names[edge.target_operator],
            pb.Exchange.Name(edge.exchange).removeprefix("EXCHANGE_"),
            edge.input_index,
            edge.side_output,
        )
        for edge in edge_messages(layout)
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["source:s -> map:m -> sink:k"], []),
        (["source:s -> map:m => reduce:r"], [("m", "r", "HASH", 0, "")]),
        (["source(1):s ~> map(2):m *> sink(2):k"], [("s", "m", "REBALANCE", 0, ""), ("m", "k", "BROADCAST", 0, "")]),
        (["source:s -> map:u", "source:t -> u"], [("s", "u", "FORWARD", 0, ""), ("t", "u", "FORWARD", 0, "")]),
        (["source:s -> map:u", "s -> u"], [("s", "u", "FORWARD", 0, ""), ("s", "u", "FORWARD", 0, "")]),
        (["source:s => comap:c", "source:t => c"], [("s", "c", "HASH", 0, ""), ("t", "c", "HASH", 1, "")]),
        (["source:s => comap:c", "s => c"], [("s", "c", "HASH", 0, ""), ("s", "c", "HASH", 1, "")]),
    ],
)
def test_edges(lines: list[str], expected: list[tuple[str, str, str, int, str]]) -> None:
    assert edges(graph(*lines)) == expected


def test_edge_ids_are_dense_and_payloads_know_their_outputs() -> None:
    layout = laid_out(graph("source:s => comap:c => reduce:r", "s => c"))
    messages = edge_messages(layout)
    assert [edge.edge_id for edge in messages] == [0, 1, 2]
    payloads = [payload_of(layout, chain, generic_types=True, buffer_timeout_ms=100) for chain in layout.chains]
    outputs = {output.edge_id: output for payload in payloads for output in payload.outputs}
    for edge in messages:
        assert outputs[edge.edge_id].source_operator == edge.source_operator
        assert outputs[edge.edge_id].key_selector is not None
    assert [len(payload.outputs) for payload in payloads] == [2, 1, 0]


def test_side_outputs_inside_and_between_tasks() -> None:
    made = graph("source:s -> map:m -> sink:chained", "m ~> sink(2):apart")
    for edge in made.edges[1:]:
        edge.side_output = "late"
    assert edges(made) == [("m", "apart", "REBALANCE", 0, "late")]
    layout = laid_out(made)
    [payload, _] = [payload_of(layout, c, generic_types=True, buffer_timeout_ms=100) for c in layout.chains]
    inputs = {operator.name: operator.inputs for operator in payload.operators}
    assert inputs == {"s": (), "m": ((layout.ids[1], ""),), "chained": ((layout.ids[2], "late"),)}
    assert payload.outputs[0].side_output == "late"


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["source:numbers -> map:double -> sink:out"], "Source: numbers -> double -> Sink: out"),
        (["source:n -> map:a", "n -> filter:b -> sink:c"], "Source: n -> (a, b -> Sink: c)"),
    ],
)
def test_vertex_names(lines: list[str], name: str) -> None:
    assert vertex_messages(laid_out(graph(*lines)))[0].name == name


def test_vertex_messages() -> None:
    made = graph("source(2):s -> map(2):m => reduce(3):r")
    node(made, "m").output_type = infer_type(object.__class__) or Types.STRING()
    node(made, "m").uid = "mapping"
    node(made, "r").slot_sharing_group = "heavy"
    made.nodes[4] = type(node(made, "m"))(4, "collect", CollectSpec(), 3, slot_sharing_group="heavy")
    made.edges.append(type(made.edges[0])(3, 4, Exchange.FORWARD))
    first, second = vertex_messages(laid_out(made))
    assert (first.parallelism, first.max_parallelism, first.slot_sharing_group, first.collects) == (
        2,
        128,
        "default",
        False,
    )
    assert (second.parallelism, second.slot_sharing_group, second.collects) == (3, "heavy", True)
    assert first.vertex_id == first.operators[0].operator_id != second.vertex_id
    plan = first.operators[1]
    assert (plan.kind, plan.uid, plan.generic_type, list(plan.inputs)) == (
        "map",
        "mapping",
        True,
        [first.operators[0].operator_id],
    )


def test_co_location_joins_what_forward_edges_connect() -> None:
    made = graph("source(2):s -> map(2):a -> map(2):b => reduce(2):r -> sink(2):k", "source(2):t -> sink(2):z")
    for name in ("a", "b", "z"):
        node(made, name).chaining = ChainingStrategy.HEAD
    keys = co_location_keys(laid_out(made))
    by_name = {made.nodes[head].name: key for head, key in keys.items()}
    assert set(by_name) == {"s", "a", "b", "t", "z"}, "the reduce is reached by hash, its sink is chained"
    assert by_name["s"] == by_name["a"] == by_name["b"] != by_name["t"] == by_name["z"]


def test_forward_into_another_sharing_group_is_not_co_located() -> None:
    made = graph("source(2):s -> map(2):m")
    node(made, "m").slot_sharing_group = "other"
    assert co_location_keys(laid_out(made)) == {}


@pytest.mark.parametrize(("asked", "expected"), [((), 100), ((10,), 10), ((50, 20), 20), ((0,), 0), ((-1,), -1)])
def test_the_least_buffer_timeout_of_a_chain_counts(asked: tuple[int, ...], expected: int) -> None:
    made = graph("source:s -> map:a -> map:b => reduce:r")
    for name, timeout in zip("ab", asked, strict=False):
        node(made, name).buffer_timeout_ms = timeout
    layout = laid_out(made)
    payload = payload_of(layout, layout.chains[0], generic_types=True, buffer_timeout_ms=100)
    assert payload.buffer_timeout_ms == expected
