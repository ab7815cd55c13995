"""Physical operators to the stream graph of a job."""

from __future__ import annotations

from millstream.core.graph.specs import SinkSpec, SourceSpec
from millstream.core.graph.stream_graph import Exchange, StreamEdge, StreamGraph, StreamNode
from millstream.core.table.specs import ColumnKey
from millstream.sql.planner.kept_states import kept_states
from millstream.sql.planner.physical import PhysicalOperator


def add_to_graph(
    graph: StreamGraph, sinks: list[PhysicalOperator], parallelism: int, defined_at: str = ""
) -> list[StreamNode]:
    """Add ``sinks`` and all that they read to ``graph``; the nodes of the sinks. ``parallelism``: where none is set."""
    nodes: dict[PhysicalOperator, StreamNode] = {}
    return [_add(graph, sink, nodes, parallelism, defined_at) for sink in sinks]


def _add(
    graph: StreamGraph,
    operator: PhysicalOperator,
    nodes: dict[PhysicalOperator, StreamNode],
    parallelism: int,
    defined_at: str,
) -> StreamNode:
    known = nodes.get(operator)
    if known is not None:
        return known
    sources = [_add(graph, edge.source, nodes, parallelism, defined_at) for edge in operator.edges]
    inputs = 1 + max((edge.input_index for edge in operator.edges), default=-1)
    selectors: list[ColumnKey | None] = [None] * inputs
    for edge in operator.edges:
        selectors[edge.input_index] = edge.key_selector
    node = StreamNode(
        node_id=1 + max(graph.nodes, default=0),
        name=operator.name,
        spec=operator.spec,
        parallelism=_parallelism(operator, parallelism),
        parallelism_set=operator.parallelism is not None,
        uid=operator.uid,
        key_selectors=tuple(selectors),
        defined_at=defined_at,
        description=f"{operator.name}({', '.join(operator.row.names)})",
        states=kept_states(operator.spec),
    )
    graph.nodes[node.node_id] = node
    nodes[operator] = node
    for edge, source in zip(operator.edges, sources, strict=True):
        exchange = edge.exchange
        if exchange is Exchange.FORWARD and source.parallelism != node.parallelism:
            exchange = Exchange.GLOBAL if node.parallelism == 1 else Exchange.REBALANCE
        if node.parallelism == 1 and source.parallelism == 1 and len(operator.edges) == 1:
            exchange = Exchange.FORWARD
        graph.edges.append(
            StreamEdge(
                source=source.node_id,
                target=node.node_id,
                exchange=exchange,
                input_index=edge.input_index,
                key_selector=edge.key_selector if exchange is Exchange.HASH else None,
                explicit=True,
            )
        )
    return node


def _parallelism(operator: PhysicalOperator, default: int) -> int:
    if operator.parallelism is not None:
        return operator.parallelism
    if isinstance(operator.spec, SourceSpec):
        return min(default, operator.spec.source.parallelism_max or default)
    if (
        isinstance(operator.spec, SinkSpec)
        and len(operator.edges) == 1
        and operator.edges[0].exchange is Exchange.FORWARD
    ):
        return _parallelism(operator.edges[0].source, default)
    return default
