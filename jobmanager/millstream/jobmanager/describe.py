"""Jobs and the cluster as messages for clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from millstream.core.api.job import JobStatus
from millstream.core.rpc.error_info import to_proto
from millstream.jobmanager.taskmanagers import TaskManagers
from millstream.proto.v1 import common_pb2, jobmanager_pb2

if TYPE_CHECKING:
    from millstream.jobmanager.job_master import JobMaster

_RUNNING: Final = common_pb2.SUBTASK_STATUS_RUNNING
_FINISHED: Final = common_pb2.SUBTASK_STATUS_FINISHED


def status_to_proto(status: JobStatus) -> common_pb2.JobStatus.ValueType:
    """The enums have equal values."""
    return common_pb2.JobStatus.ValueType(status.value)


def summary(master: JobMaster) -> jobmanager_pb2.JobSummary:
    """One line of a list."""
    executions = master.machine.executions.values()
    return jobmanager_pb2.JobSummary(
        job_id=master.job_id,
        name=master.graph.name,
        status=status_to_proto(master.shown_status),
        started_ms=master.machine.story.started_ms,
        ended_ms=master.machine.story.ended_ms if master.shown_status is master.status else 0,
        subtasks_total=len(executions),
        subtasks_running=sum(execution.status == _RUNNING for execution in executions),
        subtasks_finished=sum(execution.status == _FINISHED for execution in executions),
        waiting_for=master.waiting_for(),
    )


def result(master: JobMaster) -> jobmanager_pb2.JobDetails:
    """Everything about a job that has ended, before anybody is told of that."""
    described = details(master)
    described.summary.status = status_to_proto(master.status)
    described.summary.ended_ms = master.machine.story.ended_ms
    return described


def details(master: JobMaster) -> jobmanager_pb2.JobDetails:
    """Everything about a job."""
    machine = master.machine
    described = jobmanager_pb2.JobDetails(
        summary=summary(master),
        edges=master.graph.edges,
        version=master.version,
        history=[
            jobmanager_pb2.StatusChange(status=status_to_proto(status), at_ms=at_ms)
            for status, at_ms in machine.story.history
        ],
        exception_history=[
            to_proto(error)
            for error in (*(error for error, _ in reversed(machine.failures)), *machine.secondary_errors)
        ],
        checkpoints=master.checkpoints.coordinator.statistics,
        restarts=machine.restarts,
        savepoint=master.checkpoints.recorded_end,
    )
    if machine.error is not None:
        described.error.CopyFrom(to_proto(machine.error))
    for vertex in master.graph.vertices:
        shown = described.vertices.add(vertex=vertex)
        for execution in machine.executions.values():
            if execution.subtask.vertex != vertex.vertex_id:
                continue
            subtask = shown.subtasks.add(
                index=execution.subtask.index,
                attempt=execution.attempt,
                status=execution.status,
                metrics=execution.metrics,
            )
            if execution.slot is not None:
                subtask.taskmanager_id = execution.slot.slot_id.taskmanager
                subtask.slot = execution.slot.slot_id.index
            if execution.error is not None:
                subtask.error.CopyFrom(to_proto(execution.error))
    return described


def cluster(
    taskmanagers: TaskManagers, jobs_running: int, version: str, metrics_address: str, started_ms: int
) -> jobmanager_pb2.ClusterDetails:
    """TaskManagers and slots."""
    pool = taskmanagers.pool
    return jobmanager_pb2.ClusterDetails(
        version=version,
        taskmanagers=[
            jobmanager_pb2.TaskManagerDetails(
                taskmanager_id=known.taskmanager_id,
                address=known.address,
                slots_total=len(pool.slots_of(known.taskmanager_id)),
                slots_free=pool.free(known.taskmanager_id),
                last_heartbeat_ms=known.heard_ms,
                version=known.version,
                metrics_address=known.metrics_address,
            )
            for known in taskmanagers.registered.values()
        ],
        slots_total=pool.total(),
        slots_free=pool.free(),
        jobs_running=jobs_running,
        metrics_address=metrics_address,
        started_ms=started_ms,
    )
