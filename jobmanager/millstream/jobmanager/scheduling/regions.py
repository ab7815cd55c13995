"""Which parts of a job fail and start again together. Pure.

Vertices between which records flow form a region: what one of them has sent since the last checkpoint, the others have
taken in, so they can only go back together. Vertices of different regions exchange nothing, and one may go back to the
last checkpoint while the other goes on. A source's subtasks share an enumerator, so regions are of vertices.
"""

from __future__ import annotations

from collections.abc import Mapping

from millstream.core.ids import VertexId
from millstream.proto.v1 import job_graph_pb2

Regions = Mapping[VertexId, frozenset[VertexId]]
"""The region of each vertex."""


def regions_of(graph: job_graph_pb2.JobGraph) -> Regions:
    """The connected parts of the graph; all its edges are pipelined."""
    found = {VertexId(vertex.vertex_id): frozenset({VertexId(vertex.vertex_id)}) for vertex in graph.vertices}
    for edge in graph.edges:
        joined = found[VertexId(edge.source_vertex)] | found[VertexId(edge.target_vertex)]
        for vertex in joined:
            found[vertex] = joined
    return found


def one_region(graph: job_graph_pb2.JobGraph) -> Regions:
    """The whole job."""
    everything = frozenset(VertexId(vertex.vertex_id) for vertex in graph.vertices)
    return dict.fromkeys(everything, everything)
