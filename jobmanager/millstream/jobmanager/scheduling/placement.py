"""Slot sharing: which subtasks go together.

Subtask ``i`` of every vertex of one sharing group goes to slot ``i`` of the group. So a job needs, for each group, as
many slots as the group's highest parallelism, and forward-connected vertices, which have the same parallelism, are
always co-located.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from millstream.core.errors import JobGraphError
from millstream.core.ids import SubtaskId, VertexId
from millstream.proto.v1 import job_graph_pb2


@dataclass(frozen=True)
class Placement:
    """``slots[k]`` are the subtasks of the job's slot number ``k``."""

    slots: tuple[tuple[SubtaskId, ...], ...]

    @property
    def slots_needed(self) -> int:
        return len(self.slots)


def place(graph: job_graph_pb2.JobGraph, parallelism: Mapping[str, int] | None = None) -> Placement:
    """The job's slots, as it is or with other numbers of subtasks by vertex id.

    Raises ``JobGraphError`` when vertices that must share a slot cannot.
    """
    subtasks = {vertex.vertex_id: vertex.parallelism for vertex in graph.vertices} | dict(parallelism or {})
    groups: dict[str, list[job_graph_pb2.Vertex]] = {}
    for vertex in graph.vertices:
        groups.setdefault(vertex.slot_sharing_group or "default", []).append(vertex)
    _check_co_location(graph)
    slots: list[tuple[SubtaskId, ...]] = []
    for vertices in groups.values():
        for index in range(max(subtasks[vertex.vertex_id] for vertex in vertices)):
            sharing = [vertex.vertex_id for vertex in vertices if index < subtasks[vertex.vertex_id]]
            slots.append(tuple(SubtaskId(VertexId(vertex_id), index) for vertex_id in sharing))
    return Placement(tuple(slots))


def _check_co_location(graph: job_graph_pb2.JobGraph) -> None:
    seen: dict[str, job_graph_pb2.Vertex] = {}
    for vertex in graph.vertices:
        if not vertex.co_location_key:
            continue
        other = seen.setdefault(vertex.co_location_key, vertex)
        if other.slot_sharing_group != vertex.slot_sharing_group or other.parallelism != vertex.parallelism:
            raise JobGraphError(
                f"{other.name!r} and {vertex.name!r} must share slots, but differ in slot sharing group or parallelism "
                f"({other.slot_sharing_group}, {other.parallelism}; {vertex.slot_sharing_group}, {vertex.parallelism})"
            )
