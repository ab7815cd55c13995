"""What the protocol log (``core/protocol_log.py``) is told of jobs and their subtasks."""

from __future__ import annotations

from millstream.core.protocol_log import record
from millstream.jobmanager.execution import Execution
from millstream.proto.v1 import common_pb2, job_graph_pb2


def record_job(graph: job_graph_pb2.JobGraph) -> None:
    """A JobManager begins to look after it."""
    record(
        "job.began",
        job=graph.job_id,
        edges=[(edge.edge_id, edge.source_vertex) for edge in graph.edges],
        operators=[(operator.operator_id, v.vertex_id) for v in graph.vertices for operator in v.operators],
    )


def record_deployed(job_id: str, execution: Execution) -> None:
    """It is about to be sent to its slot."""
    assert execution.slot is not None
    taskmanager = execution.slot.slot_id.taskmanager
    subtask, attempt = str(execution.subtask), execution.attempt
    record("subtask.deployed", job=job_id, subtask=subtask, attempt=attempt, taskmanager=taskmanager)


def record_left(job_id: str, execution: Execution, lost: bool = False) -> None:
    """It has ended, or went ``lost`` with its TaskManager."""
    status = "LOST" if lost else common_pb2.SubtaskStatus.Name(execution.status)
    record("subtask.left", job=job_id, subtask=str(execution.subtask), attempt=execution.attempt, status=status)
