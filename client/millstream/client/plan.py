"""A job graph as people read it: what ``millstream info`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millstream.proto.v1.job_graph_pb2 import Edge, JobGraph, Vertex

EXCHANGE_NAMES = {
    1: "forward",
    2: "hash",
    3: "rebalance",
    4: "rescale",
    5: "shuffle",
    6: "broadcast",
    7: "global",
    8: "custom",
}


def plan_text(graph: JobGraph, slots: int) -> str:
    """Vertices in topological order, the operators chained in each, and where their records go."""
    subtasks = sum(vertex.parallelism for vertex in graph.vertices)
    numbers = {vertex.vertex_id: number for number, vertex in enumerate(graph.vertices, 1)}
    lines = [f"Job {graph.name!r}: {len(graph.vertices)} vertices, {subtasks} subtasks, needs {slots} slots"]
    for vertex in graph.vertices:
        lines += ["", *_vertex_lines(vertex, graph, numbers)]
    return "\n".join(lines)


def _vertex_lines(vertex: Vertex, graph: JobGraph, numbers: dict[str, int]) -> list[str]:
    group = (
        "" if vertex.slot_sharing_group in ("", "default") else f", slot sharing group {vertex.slot_sharing_group!r}"
    )
    lines = [
        f"[{numbers[vertex.vertex_id]}] {vertex.name}",
        f"    parallelism {vertex.parallelism} (at most {vertex.max_parallelism}){group}",
    ]
    width = max((len(operator.name) for operator in vertex.operators), default=0)
    for operator in vertex.operators:
        details = [operator.kind]
        if operator.output_type:
            details.append(f"gives {operator.output_type}")
        if operator.generic_type:
            details.append("pickled where it travels")
        if operator.uid:
            details.append(f"uid {operator.uid!r}")
        if operator.defined_at:
            details.append(operator.defined_at)
        lines.append(f"    - {operator.name.ljust(width)}  {', '.join(details)}")
    lines += [f"    {_edge_text(edge, numbers)}" for edge in graph.edges if edge.source_vertex == vertex.vertex_id]
    return lines


def _edge_text(edge: Edge, numbers: dict[str, int]) -> str:
    side = f" side output {edge.side_output!r}" if edge.side_output else ""
    into = f" input {edge.input_index + 1}" if edge.input_index else ""
    return f"--{EXCHANGE_NAMES.get(edge.exchange, '?')}--> [{numbers[edge.target_vertex]}]{into}{side}"


def plan_json(graph: JobGraph, slots: int) -> dict[str, Any]:
    """The same for programs."""
    return {
        "name": graph.name,
        "slots_needed": slots,
        "vertices": [
            {
                "id": vertex.vertex_id,
                "name": vertex.name,
                "parallelism": vertex.parallelism,
                "max_parallelism": vertex.max_parallelism,
                "slot_sharing_group": vertex.slot_sharing_group,
                "operators": [
                    {
                        "id": operator.operator_id,
                        "name": operator.name,
                        "uid": operator.uid or None,
                        "kind": operator.kind,
                        "output_type": operator.output_type or None,
                        "generic_type": operator.generic_type,
                        "defined_at": operator.defined_at or None,
                        "inputs": list(operator.inputs),
                    }
                    for operator in vertex.operators
                ],
            }
            for vertex in graph.vertices
        ],
        "edges": [
            {
                "source": edge.source_vertex,
                "target": edge.target_vertex,
                "exchange": EXCHANGE_NAMES.get(edge.exchange, "?"),
                "input_index": edge.input_index,
                "side_output": edge.side_output or None,
                "source_operator": edge.source_operator,
                "target_operator": edge.target_operator,
            }
            for edge in graph.edges
        ],
    }
