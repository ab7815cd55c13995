"""Which parallelism each vertex gets when a job is given another one. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from millstream.core.errors import UserError
from millstream.proto.v1 import job_graph_pb2

Parallelism = dict[str, int]
"""By vertex id."""


def parallelism_of(graph: job_graph_pb2.JobGraph) -> Parallelism:
    """As it is."""
    return {vertex.vertex_id: vertex.parallelism for vertex in graph.vertices}


def rescaled(graph: job_graph_pb2.JobGraph, parallelism: int, by_vertex: Mapping[str, int]) -> Parallelism:
    """``parallelism`` (0: none) for all vertices whose own the program did not set, and what ``by_vertex`` says.

    A source gets as many subtasks as it can have; vertices that forward to each other get the same number. Raises
    ``UserError`` for an unknown vertex, and for a number that a vertex cannot have.
    """
    chosen = parallelism_of(graph)
    if parallelism:
        for vertex in graph.vertices:
            if not vertex.parallelism_set:
                chosen[vertex.vertex_id] = min(parallelism, _limit(vertex))
    for name, number in by_vertex.items():
        vertex = _find(graph, name)
        if not 1 <= number <= _limit(vertex):
            limit = "max parallelism" if not vertex.parallelism_max else "limit of its source"
            raise UserError(f"{vertex.name!r} can have 1 to {_limit(vertex)} subtasks ({limit}), not {number}.")
        chosen[vertex.vertex_id] = number
    return _joined(graph, chosen)


def capped(graph: job_graph_pb2.JobGraph, wanted: Mapping[str, int], most: int) -> Parallelism:
    """``wanted``, with no vertex above ``most``."""
    return _joined(graph, {vertex_id: min(number, most) for vertex_id, number in wanted.items()})


def apply(graph: job_graph_pb2.JobGraph, parallelism: Mapping[str, int]) -> None:
    """Change the graph."""
    for vertex in graph.vertices:
        vertex.parallelism = parallelism[vertex.vertex_id]


def _joined(graph: job_graph_pb2.JobGraph, chosen: Parallelism) -> Parallelism:
    """Vertices joined by forward edges, or that share slots one by one, get the least number among them."""
    changed = True
    pairs = [
        (edge.source_vertex, edge.target_vertex)
        for edge in graph.edges
        if edge.exchange == job_graph_pb2.EXCHANGE_FORWARD
    ]
    located: dict[str, str] = {}
    for vertex in graph.vertices:
        if vertex.co_location_key:
            first = located.setdefault(vertex.co_location_key, vertex.vertex_id)
            pairs.append((first, vertex.vertex_id))
    while changed:
        changed = False
        for one, other in pairs:
            least = min(chosen[one], chosen[other])
            if chosen[one] != chosen[other]:
                chosen[one] = chosen[other] = least
                changed = True
    return chosen


def _limit(vertex: job_graph_pb2.Vertex) -> int:
    return min(vertex.max_parallelism, vertex.parallelism_max or vertex.max_parallelism)


def _find(graph: job_graph_pb2.JobGraph, name: str) -> job_graph_pb2.Vertex:
    found = [
        vertex
        for vertex in graph.vertices
        if name in (vertex.vertex_id, vertex.name)
        or any(name in (operator.name, operator.uid, operator.operator_id) for operator in vertex.operators)
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(repr(vertex.name) for vertex in graph.vertices)
    told = "no operator" if not found else "several operators"
    raise UserError(f"the job has {told} called {name!r}. Its vertices are {names}; an operator's uid will do too.")
