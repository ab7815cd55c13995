"""Vertices and edges of the job graph, as messages; pure. User code is added by the caller, one payload a vertex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from millstream.client.translation.chaining import Chain
from millstream.core.graph.specs import ChainedOperator, CollectSpec, OutputPayload, SinkSpec, SourceSpec, VertexPayload
from millstream.core.graph.stream_graph import Exchange, StreamEdge, StreamGraph, StreamNode
from millstream.core.ids import OperatorId
from millstream.proto.v1 import job_graph_pb2 as pb


@dataclass(frozen=True)
class Layout:
    """A stream graph cut into chains; what all functions here work on."""

    graph: StreamGraph
    chains: Sequence[Chain]
    ids: Mapping[int, OperatorId]
    max_parallelism: Mapping[int, int]

    def chain_of(self, node_id: int) -> Chain:
        return next(chain for chain in self.chains if node_id in chain.nodes)

    def vertex_id(self, chain: Chain) -> str:
        """That of its head: unique in the job, and stable as far as the head's is."""
        return self.ids[chain.head]

    def crossing_edges(self) -> list[StreamEdge]:
        """Edges between tasks, in topological order of their sources; the position is the edge id."""
        position = {node_id: i for i, chain in enumerate(self.chains) for node_id in chain.nodes}
        crossing = [edge for edge in self.graph.edges if position[edge.source] != position[edge.target]]
        return sorted(crossing, key=lambda edge: (position[edge.source], edge.source, edge.target, edge.input_index))


def vertex_messages(layout: Layout) -> list[pb.Vertex]:
    """One a chain, without blobs."""
    co_location = co_location_keys(layout)
    return [_vertex(layout, chain, co_location.get(chain.head, "")) for chain in layout.chains]


def edge_messages(layout: Layout) -> list[pb.Edge]:
    return [
        pb.Edge(
            edge_id=edge_id,
            source_vertex=layout.vertex_id(layout.chain_of(edge.source)),
            target_vertex=layout.vertex_id(layout.chain_of(edge.target)),
            exchange=pb.Exchange.ValueType(edge.exchange.value),
            input_index=edge.input_index,
            side_output=edge.side_output,
            source_operator=layout.ids[edge.source],
            target_operator=layout.ids[edge.target],
        )
        for edge_id, edge in enumerate(layout.crossing_edges())
    ]


def payload_of(layout: Layout, chain: Chain, *, generic_types: bool, buffer_timeout_ms: int) -> VertexPayload:
    """What the slots that run ``chain`` need; the buffer timeout is the least that one of its operators asks for."""
    timeouts = [layout.graph.nodes[node_id].buffer_timeout_ms for node_id in chain.nodes]
    asked = [timeout for timeout in timeouts if timeout is not None]
    return VertexPayload(
        operators=tuple(_chained(layout, chain, node_id) for node_id in chain.nodes),
        outputs=tuple(
            OutputPayload(
                edge_id=edge_id,
                source_operator=layout.ids[edge.source],
                side_output=edge.side_output,
                key_selector=edge.key_selector,
                custom_partitioner=edge.custom_partitioner,
            )
            for edge_id, edge in enumerate(layout.crossing_edges())
            if edge.source in chain.nodes
        ),
        generic_types=generic_types,
        buffer_timeout_ms=min(asked, default=buffer_timeout_ms),
    )


def co_location_keys(layout: Layout) -> dict[int, str]:
    """A key for each head whose vertex is forward-connected to another of the same slot sharing group."""
    nodes = layout.graph.nodes
    group_of = {chain.head: chain.head for chain in layout.chains}

    def representative(head: int) -> int:
        while group_of[head] != head:
            head = group_of[head]
        return head

    for edge in layout.crossing_edges():
        source, target = layout.chain_of(edge.source).head, layout.chain_of(edge.target).head
        if (
            edge.exchange is not Exchange.FORWARD
            or nodes[source].slot_sharing_group != nodes[target].slot_sharing_group
        ):
            continue
        low, high = sorted((representative(source), representative(target)))
        group_of[high] = low
    sizes: dict[int, int] = {}
    for head in group_of:
        sizes[representative(head)] = sizes.get(representative(head), 0) + 1
    return {head: f"forward-{layout.ids[representative(head)]}" for head in group_of if sizes[representative(head)] > 1}


def _vertex(layout: Layout, chain: Chain, co_location_key: str) -> pb.Vertex:
    nodes = [layout.graph.nodes[node_id] for node_id in chain.nodes]
    return pb.Vertex(
        vertex_id=layout.vertex_id(chain),
        name=_name(layout, chain, chain.head),
        parallelism=nodes[0].parallelism,
        parallelism_set=any(node.parallelism_set for node in nodes),
        parallelism_max=_source_limit(nodes[0]),
        max_parallelism=layout.max_parallelism[chain.head],
        slot_sharing_group=nodes[0].slot_sharing_group,
        operators=[_operator(layout, chain, node) for node in nodes],
        co_location_key=co_location_key,
        collects=any(isinstance(node.spec, CollectSpec) for node in nodes),
    )


def _source_limit(node: StreamNode) -> int:
    """How many subtasks can read a source; 0 for any number."""
    return (node.spec.source.parallelism_max or 0) if isinstance(node.spec, SourceSpec) else 0


def _operator(layout: Layout, chain: Chain, node: StreamNode) -> pb.OperatorPlan:
    output_type = node.output_type
    return pb.OperatorPlan(
        operator_id=layout.ids[node.node_id],
        name=node.name,
        uid=node.uid or "",
        kind=node.spec.kind,
        output_type="" if output_type is None else str(output_type),
        generic_type=output_type is not None and output_type.is_generic,
        defined_at=node.defined_at,
        inputs=[source for source, _ in _inputs_inside(layout, chain, node.node_id)],
        states=[pb.KeptState(name=kept.name, type=kept.type, form=kept.form) for kept in node.states],
        description=node.description or "",
    )


def _chained(layout: Layout, chain: Chain, node_id: int) -> ChainedOperator:
    node = layout.graph.nodes[node_id]
    return ChainedOperator(
        operator_id=layout.ids[node_id],
        name=node.name,
        spec=node.spec,
        key_selectors=node.key_selectors,
        inputs=_inputs_inside(layout, chain, node_id),
        defined_at=node.defined_at,
    )


def _inputs_inside(layout: Layout, chain: Chain, node_id: int) -> tuple[tuple[str, str], ...]:
    if node_id == chain.head:
        return ()
    return tuple((layout.ids[edge.source], edge.side_output) for edge in layout.graph.inputs_of(node_id))


def _name(layout: Layout, chain: Chain, node_id: int) -> str:
    """``Source: x -> map -> (filter, Sink: print)``."""
    node = layout.graph.nodes[node_id]
    followers = [
        _name(layout, chain, edge.target)
        for edge in layout.graph.outputs_of(node_id)
        if edge.target in chain.nodes and edge.target != chain.head
    ]
    own = node.name
    for role, spec in (("Source", SourceSpec), ("Sink", SinkSpec)):
        if isinstance(node.spec, spec) and not own.startswith(f"{role}:"):
            own = f"{role}: {own}"
    if not followers:
        return own
    return f"{own} -> {followers[0]}" if len(followers) == 1 else f"{own} -> ({', '.join(followers)})"
