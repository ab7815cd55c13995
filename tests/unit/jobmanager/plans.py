"""Job graphs, slots and subtasks in a few words."""

from __future__ import annotations

import sys
from typing import Any

from millstream.core.graph import PAYLOAD_FORMAT
from millstream.core.ids import SlotId, SubtaskId, TaskManagerId, VertexId
from millstream.jobmanager.scheduling.slot_pool import Slot, SlotPool
from millstream.proto.v1 import common_pb2, job_graph_pb2, jobmanager_pb2


def vertex(vertex_id: str, parallelism: int = 1, **fields: Any) -> job_graph_pb2.Vertex:
    """A vertex whose name is its id unless ``fields`` say otherwise."""
    given = {"vertex_id": vertex_id, "name": vertex_id, "parallelism": parallelism, "max_parallelism": 128} | fields
    return job_graph_pb2.Vertex(**given)


def edge(number: int, source: str, target: str, exchange: int, input_index: int = 0) -> job_graph_pb2.Edge:
    return job_graph_pb2.Edge(
        edge_id=number,
        source_vertex=source,
        target_vertex=target,
        exchange=job_graph_pb2.Exchange.ValueType(exchange),
        input_index=input_index,
    )


def graph(*vertices: job_graph_pb2.Vertex, job_id: str = "a" * 32, **fields: Any) -> job_graph_pb2.JobGraph:
    """A job that this release and this Python accept."""
    given = {
        "job_id": job_id,
        "name": "job",
        "vertices": vertices,
        "format_version": PAYLOAD_FORMAT,
        "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
    } | fields
    return job_graph_pb2.JobGraph(**given)


def subtask(vertex_id: str, index: int = 0) -> SubtaskId:
    return SubtaskId(VertexId(vertex_id), index)


def address(taskmanager: str, index: int) -> common_pb2.DataAddress:
    return common_pb2.DataAddress(host_id=taskmanager, tcp_host="127.0.0.1", tcp_port=40_000 + index)


def slot(taskmanager: str, index: int = 0) -> Slot:
    return Slot(SlotId(TaskManagerId(taskmanager), index), address(taskmanager, index), ready=True)


def slot_report(taskmanager: str, index: int, **fields: Any) -> jobmanager_pb2.SlotReport:
    """A warm, free slot unless ``fields`` say otherwise."""
    given = {"index": index, "ready": True, "data": address(taskmanager, index), "incarnation": 1} | fields
    return jobmanager_pb2.SlotReport(**given)


def pool(**slots: int) -> SlotPool:
    """``pool(one=2, two=1)``: two TaskManagers with free slots."""
    made = SlotPool()
    for taskmanager, count in slots.items():
        made.report(TaskManagerId(taskmanager), [slot_report(taskmanager, index) for index in range(count)])
    return made
