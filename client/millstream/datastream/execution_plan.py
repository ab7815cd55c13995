"""A stream graph in the form of Flink's execution plans, which its plan visualizer reads. Pure."""

from __future__ import annotations

from typing import Any, Final

from millstream.core.graph.specs import CollectSpec, SinkSpec, SourceSpec
from millstream.core.graph.stream_graph import StreamEdge, StreamGraph, StreamNode

_ROLES: Final[tuple[tuple[type, str, str], ...]] = (
    (SourceSpec, "Data Source", "Source"),
    (SinkSpec, "Data Sink", "Sink"),
    (CollectSpec, "Data Sink", "Sink"),
)


def execution_plan(graph: StreamGraph) -> dict[str, Any]:
    """``{"nodes": [...]}``; beyond Flink's keys a node has its output type, whether it may be pickled, and its line."""
    return {"nodes": [_node(graph, node) for _, node in sorted(graph.nodes.items())]}


def _node(graph: StreamGraph, node: StreamNode) -> dict[str, Any]:
    pact, prefix = next(((pact, role) for kind, pact, role in _ROLES if isinstance(node.spec, kind)), ("Operator", ""))
    name = f"{prefix}: {node.name}" if prefix else node.name
    plan: dict[str, Any] = {
        "id": node.node_id,
        "type": name,
        "pact": pact,
        "contents": node.description or name,
        "parallelism": node.parallelism,
        "output_type": None if node.output_type is None else str(node.output_type),
        "generic_type": node.output_type is not None and node.output_type.is_generic,
        "defined_at": node.defined_at,
    }
    inputs = graph.inputs_of(node.node_id)
    if inputs:
        plan["predecessors"] = [_predecessor(edge) for edge in inputs]
    return plan


def _predecessor(edge: StreamEdge) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "id": edge.source,
        "ship_strategy": edge.exchange.name,
        "side": "second" if edge.input_index else "first",
    }
    if edge.side_output:
        plan["side_output"] = edge.side_output
    return plan
