"""From a placed job to the messages that deploy it, one a TaskManager."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from millstream.core.ids import JobId, SubtaskId, TaskManagerId, VertexId
from millstream.jobmanager.checkpointing.redistribution import NOTHING_RESTORED, Restored
from millstream.jobmanager.execution import Execution
from millstream.jobmanager.scheduling.wiring import consumers_of, producers_of
from millstream.proto.v1 import common_pb2, job_graph_pb2, taskmanager_pb2


def await_deployment(executions: Mapping[SubtaskId, Execution], attempts: Mapping[VertexId, int]) -> bool:
    """Whether these attempts are still to be deployed: what has been cancelled meanwhile is not cancelled again."""
    own = [execution for subtask, execution in executions.items() if subtask.vertex in attempts]
    return all(e.attempt == attempts[e.subtask.vertex] and e.awaits_deployment() for e in own)


def cancellations(
    job_id: JobId, executions: Iterable[Execution], recorded_attempt: int
) -> tuple[dict[TaskManagerId, list[common_pb2.SubtaskRef]], list[Execution]]:
    """What each TaskManager is to cancel, and what none may hear of: it was not deployed, and has ended by that.

    An attempt after ``recorded_attempt`` is not in the job store, so the next leader gives its number to another one.
    """
    told: dict[TaskManagerId, list[common_pb2.SubtaskRef]] = {}
    untold: list[Execution] = []
    for execution in executions:
        if execution.attempt > recorded_attempt:
            untold.append(execution)
        elif execution.slot is not None:
            told.setdefault(execution.slot.slot_id.taskmanager, []).append(execution.ref(job_id))
    return told, untold


def deployments(
    graph: job_graph_pb2.JobGraph,
    deployed: Collection[VertexId],
    executions: Mapping[SubtaskId, Execution],
    job_token: bytes,
    checkpoint_directory: str = "",
    restored: Restored = NOTHING_RESTORED,
) -> dict[TaskManagerId, taskmanager_pb2.DeploySubtasksRequest]:
    """For the vertices to be ``deployed``, whose executions have slots.

    Consumers are told where their producers are; producers only who consumes.
    """
    vertices = {vertex.vertex_id: vertex for vertex in graph.vertices}
    requests: dict[TaskManagerId, taskmanager_pb2.DeploySubtasksRequest] = {}
    for vertex in [vertex for vertex in graph.vertices if vertex.vertex_id in deployed]:
        for index in range(vertex.parallelism):
            execution = executions[SubtaskId(VertexId(vertex.vertex_id), index)]
            assert execution.slot is not None
            taskmanager = execution.slot.slot_id.taskmanager
            request = requests.setdefault(taskmanager, _request(graph, job_token, checkpoint_directory))
            request.subtasks.append(
                taskmanager_pb2.SubtaskDeployment(
                    subtask=execution.ref(graph.job_id),
                    vertex_name=vertex.name,
                    parallelism=vertex.parallelism,
                    max_parallelism=vertex.max_parallelism,
                    slot=execution.slot.slot_id.index,
                    payload_blob=vertex.payload_blob,
                    restored=restored.get(execution.subtask),
                    inputs=[
                        _input(edge, vertices[edge.source_vertex], vertex, index, executions)
                        for edge in graph.edges
                        if edge.target_vertex == vertex.vertex_id
                    ],
                    outputs=[
                        _output(edge, vertex, vertices[edge.target_vertex], index)
                        for edge in graph.edges
                        if edge.source_vertex == vertex.vertex_id
                    ],
                )
            )
    return requests


def _request(
    graph: job_graph_pb2.JobGraph, job_token: bytes, checkpoint_directory: str
) -> taskmanager_pb2.DeploySubtasksRequest:
    return taskmanager_pb2.DeploySubtasksRequest(
        job_id=graph.job_id,
        job_name=graph.name,
        modules_blob=graph.modules_blob,
        configuration=graph.configuration,
        job_token=job_token,
        checkpoint_directory=checkpoint_directory,
    )


def _input(
    edge: job_graph_pb2.Edge,
    source: job_graph_pb2.Vertex,
    target: job_graph_pb2.Vertex,
    index: int,
    executions: Mapping[SubtaskId, Execution],
) -> taskmanager_pb2.InputEdge:
    channels = []
    for producer in producers_of(edge.exchange, index, source.parallelism, target.parallelism):
        execution = executions[SubtaskId(VertexId(source.vertex_id), producer)]
        assert execution.slot is not None
        channels.append(
            taskmanager_pb2.ProducerChannel(
                producer=producer, attempt=execution.attempt, address=execution.slot.address
            )
        )
    return taskmanager_pb2.InputEdge(
        edge_id=edge.edge_id, input_index=edge.input_index, channels=channels, exchange=edge.exchange
    )


def _output(
    edge: job_graph_pb2.Edge, source: job_graph_pb2.Vertex, target: job_graph_pb2.Vertex, index: int
) -> taskmanager_pb2.OutputEdge:
    return taskmanager_pb2.OutputEdge(
        edge_id=edge.edge_id,
        exchange=edge.exchange,
        consumers=consumers_of(edge.exchange, index, source.parallelism, target.parallelism),
        consumer_parallelism=target.parallelism,
        side_output=edge.side_output,
        source_operator=edge.source_operator,
        consumer_max_parallelism=target.max_parallelism,
    )
