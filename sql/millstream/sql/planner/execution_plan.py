"""A job's operators as JSON, as Flink's ``EXPLAIN JSON_EXECUTION_PLAN`` writes them."""

from __future__ import annotations

import json
from typing import Any

from millstream.core.graph.specs import SinkSpec, SourceSpec
from millstream.core.graph.stream_graph import StreamGraph, StreamNode


def execution_plan(graph: StreamGraph) -> str:
    """``{"nodes": [{"id", "type", "pact", "contents", "parallelism", "predecessors"}]}``, sources first."""
    return json.dumps({"nodes": [_described(graph, node) for _, node in sorted(graph.nodes.items())]}, indent=2)


def _described(graph: StreamGraph, node: StreamNode) -> dict[str, Any]:
    kinds = {SourceSpec: "Data Source", SinkSpec: "Data Sink"}
    described = {
        "id": node.node_id,
        "type": node.name,
        "pact": kinds.get(type(node.spec), "Operator"),
        "contents": node.description or node.name,
        "parallelism": node.parallelism,
    }
    inputs = [edge for edge in graph.edges if edge.target == node.node_id]
    if inputs:
        described["predecessors"] = [
            {"id": edge.source, "ship_strategy": edge.exchange.name, "side": ("first", "second")[edge.input_index]}
            for edge in inputs
        ]
    return described
