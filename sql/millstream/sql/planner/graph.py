"""Physical operators to the stream graph of a job."""

from __future__ import annotations

from millstream.core.errors import JobGraphError
from millstream.core.graph.specs import CollectSpec, SinkSpec, SourceSpec
from millstream.core.graph.stream_graph import Exchange, StreamEdge, StreamGraph, StreamNode
from millstream.core.table.specs import ColumnKey
from millstream.sql.planner.kept_states import kept_states
from millstream.sql.planner.physical import APPEND_ONLY, PhysicalOperator


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
    own, is_set = _parallelism(operator, sources, parallelism)
    node = StreamNode(
        node_id=1 + max(graph.nodes, default=0),
        name=operator.name,
        spec=operator.spec,
        parallelism=own,
        parallelism_set=is_set,
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


def _parallelism(operator: PhysicalOperator, sources: list[StreamNode], default: int) -> tuple[int, bool]:
    """How many subtasks, and whether that is for good.

    The changes of one row come in their order: an operator that takes changes from where they are has the parallelism
    of what sends them. Dealt out to other subtasks, what was before an update might arrive behind what comes after it.
    Where rows end, too, what is read by one subtask stays with one, in the order in which it was read.
    Raises ``JobGraphError`` for a sink that asks for another parallelism.
    """
    changing = [
        source
        for edge, source in zip(operator.edges, sources, strict=True)
        if edge.exchange is Exchange.FORWARD and edge.source.changes != APPEND_ONLY
    ]
    kept = {source.parallelism for source in changing}
    if operator.parallelism is not None:
        if operator.parallelism != 1 and kept - {operator.parallelism}:
            raise JobGraphError(
                f"{operator.name} asks for a parallelism of {operator.parallelism}, but {changing[0].name} sends it "
                f"changes of rows with one of {changing[0].parallelism}: their order would be lost. Declare a primary "
                f"key, which brings the changes of a key to one subtask, or leave the parallelism out"
            )
        return operator.parallelism, True
    if changing:
        return min(kept) if len(kept) == 1 else 1, len(kept) > 1 or any(source.parallelism_set for source in changing)
    if isinstance(operator.spec, SourceSpec):
        return min(default, operator.spec.source.parallelism_max or default), False
    ends = isinstance(operator.spec, SinkSpec | CollectSpec)
    if ends and [edge.exchange for edge in operator.edges] == [Exchange.FORWARD]:
        return sources[0].parallelism, False
    return default, False
