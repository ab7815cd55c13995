"""Which sources hand on columns instead of Python rows: pure rules over the stream graph.

A source whose records are declared as numbers and text feeds Arrow batches to built-in aggregations of its fields. With
a user's function among its readers it makes rows, since rows would be made of the columns anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from millstream.core.api.record_fields import arrow_columns
from millstream.core.graph.specs import AggregationSpec, SourceSpec
from millstream.core.graph.stream_graph import StreamEdge, StreamGraph

_AGGREGATIONS = frozenset({"sum", "min", "max"})


def with_columnar_sources(graph: StreamGraph) -> StreamGraph:
    """``graph`` with the specifications of such sources, and of their aggregations, replaced."""
    nodes = dict(graph.nodes)
    for node_id, node in graph.nodes.items():
        if not isinstance(node.spec, SourceSpec) or node.spec.strategy is not None:
            continue
        types = node.spec.source.column_types()
        readers = [edge for edge in graph.outputs_of(node_id) if not edge.side_output]
        if types is None or not readers or not all(_takes_columns(graph, edge, types) for edge in readers):
            continue
        nodes[node_id] = replace(node, spec=replace(node.spec, source=node.spec.source.columnar()))
        for edge in readers:
            target = graph.nodes[edge.target]
            assert isinstance(target.spec, AggregationSpec)
            nodes[edge.target] = replace(target, spec=replace(target.spec, key_column=_key_column(edge)))
    return StreamGraph(graph.job_name, nodes, graph.edges)


def _takes_columns(graph: StreamGraph, edge: StreamEdge, types: Mapping[str, type]) -> bool:
    target = graph.nodes[edge.target]
    spec, key = target.spec, _key_column(edge)
    if not isinstance(spec, AggregationSpec) or len(graph.inputs_of(edge.target)) != 1:
        return False
    if spec.aggregation not in _AGGREGATIONS or key is None or types.get(key) not in (int, str):
        return False
    return spec.field != key and all(kind in (int, float) for name, kind in types.items() if name != key)


def _key_column(edge: StreamEdge) -> str | None:
    columns = arrow_columns(edge.key_selector)
    return columns[0] if columns is not None and len(columns) == 1 else None
