"""The gRPC face of the JobManager: for clients (Dispatcher) and for TaskManagers (ResourceManager)."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

from millstream.core.api.job import JobStatus
from millstream.core.clock import Clock
from millstream.core.errors import FencedError, MillstreamError, UnavailableError, UserError
from millstream.core.ids import JobId, TaskManagerId
from millstream.core.rpc.error_info import to_proto
from millstream.core.rpc.server import answering, seen_through
from millstream.jobmanager import describe
from millstream.jobmanager.jobs import Jobs
from millstream.jobmanager.taskmanagers import TaskManagers
from millstream.proto.v1 import checkpoint_pb2, common_pb2, jobmanager_pb2
from millstream.proto.v1.jobmanager_pb2_grpc import DispatcherServicer, ResourceManagerServicer

WAIT_MS_MAX: Final = 30_000
M = TypeVar("M", bound=Callable[..., Awaitable[Any]])


def while_leading(method: M) -> M:
    """Another leader has the jobs, and knows what became of the request or may be asked again: say nothing final."""

    @functools.wraps(method)
    async def serve(*arguments: Any) -> Any:
        try:
            return await method(*arguments)
        except FencedError as error:
            raise UnavailableError(f"the JobManager has just lost its leadership: {error}") from error

    return cast(M, serve)


class DispatcherService(DispatcherServicer):
    """For clients.

    What changes a job is shielded: it goes on when its client does not wait any more, since a job that is half stopped
    would take no checkpoint, and never end.
    """

    def __init__(
        self, jobs: Jobs, taskmanagers: TaskManagers, clock: Clock, version: str, metrics_address: str
    ) -> None:
        self._jobs = jobs
        self._taskmanagers = taskmanagers
        self._clock = clock
        self._version = version
        self._metrics_address = metrics_address
        self._started_ms = clock.wall_ms()

    @answering
    @while_leading
    async def SubmitJob(self, request: jobmanager_pb2.SubmitJobRequest) -> jobmanager_pb2.SubmitJobResponse:
        warning = await self._jobs.submit(request.graph)
        return jobmanager_pb2.SubmitJobResponse(job_id=request.graph.job_id, warning=warning)

    @answering
    async def CompareState(self, request: jobmanager_pb2.CompareStateRequest) -> jobmanager_pb2.StateComparison:
        return await asyncio.to_thread(self._jobs.compare_state, request.graph)

    @answering
    async def ListJobs(self, request: jobmanager_pb2.ListJobsRequest) -> jobmanager_pb2.ListJobsResponse:
        masters = self._jobs.masters.values() if request.include_finished else self._jobs.running()
        former = self._jobs.former.results.values() if request.include_finished else ()
        jobs = [*(result.summary for result in former), *(describe.summary(master) for master in masters)]
        return jobmanager_pb2.ListJobsResponse(jobs=jobs)

    @answering
    async def DescribeJob(self, request: jobmanager_pb2.DescribeJobRequest) -> jobmanager_pb2.JobDetails:
        former = self._jobs.result_of(request.job)
        if former is not None:
            return former
        master = self._jobs.find(request.job)
        if request.wait_ms > 0 and not master.shown_status.is_terminal_state():
            await master.wait_beyond(request.known_version, min(request.wait_ms, WAIT_MS_MAX) / 1000)
        return describe.details(master)

    @answering
    @while_leading
    async def CancelJob(self, request: jobmanager_pb2.CancelJobRequest) -> jobmanager_pb2.CancelJobResponse:
        master = self._jobs.find(request.job)
        await seen_through(master.cancel())
        status = describe.status_to_proto(master.shown_status)
        return jobmanager_pb2.CancelJobResponse(job_id=master.job_id, status=status)

    @answering
    @while_leading
    async def TakeSavepoint(self, request: jobmanager_pb2.TakeSavepointRequest) -> jobmanager_pb2.TakeSavepointResponse:
        master = self._jobs.find(request.job)
        path = await seen_through(master.take_savepoint(request.directory, stop=request.stop, drain=request.drain))
        return jobmanager_pb2.TakeSavepointResponse(job_id=master.job_id, path=path)

    @answering
    @while_leading
    async def RescaleJob(self, request: jobmanager_pb2.RescaleJobRequest) -> jobmanager_pb2.RescaleJobResponse:
        master = self._jobs.find(request.job)
        changed = await seen_through(master.rescale(request.parallelism, request.by_vertex))
        return jobmanager_pb2.RescaleJobResponse(job_id=master.job_id, changed=changed)

    @answering
    async def FetchResults(self, request: jobmanager_pb2.FetchResultsRequest) -> jobmanager_pb2.FetchResultsResponse:
        master = self._jobs.find(request.job_id)
        collector = master.collectors.get(request.operator_id)
        if collector is None:
            raise UserError(f"job {request.job_id} collects no results under {request.operator_id!r}")
        deadline_s = self._clock.monotonic_s() + min(request.wait_ms, WAIT_MS_MAX) / 1000
        while True:
            batches, next_token, complete = collector.take(request.token)
            left_s = deadline_s - self._clock.monotonic_s()
            if batches or complete or master.status.is_terminal_state() or left_s <= 0:
                break
            await collector.wait(left_s)
        # Sinks of a job that was stopped with a savepoint do not say that they are done.
        complete = complete or (master.status is JobStatus.FINISHED and not batches)
        response = jobmanager_pb2.FetchResultsResponse(
            batches=batches, next_token=next_token, end=complete, status=describe.status_to_proto(master.status)
        )
        if not batches and master.status is JobStatus.FAILED and master.machine.error is not None:
            response.error.CopyFrom(to_proto(master.machine.error))
        return response

    @answering
    async def DescribeCluster(self, request: common_pb2.Empty) -> jobmanager_pb2.ClusterDetails:
        running = len(self._jobs.running())
        return describe.cluster(self._taskmanagers, running, self._version, self._metrics_address, self._started_ms)


class ResourceManagerService(ResourceManagerServicer):
    """For TaskManagers."""

    def __init__(
        self, jobs: Jobs, taskmanagers: TaskManagers, jobmanager_id: str, epoch: int, interval_ms: int, timeout_ms: int
    ) -> None:
        """``epoch``: of the leadership; 0 without an election."""
        self._jobs = jobs
        self._taskmanagers = taskmanagers
        self._jobmanager_id = jobmanager_id
        self._epoch = epoch
        self._interval_ms = interval_ms
        self._timeout_ms = timeout_ms

    @answering
    async def RegisterTaskManager(
        self, request: jobmanager_pb2.RegisterTaskManagerRequest
    ) -> jobmanager_pb2.RegisterTaskManagerResponse:
        await self._taskmanagers.register(request)
        self._jobs.registered(request)
        return jobmanager_pb2.RegisterTaskManagerResponse(
            heartbeat_interval_ms=self._interval_ms,
            heartbeat_timeout_ms=self._timeout_ms,
            jobmanager_id=self._jobmanager_id,
            leader_epoch=self._epoch,
        )

    @answering
    async def Heartbeat(self, request: jobmanager_pb2.HeartbeatRequest) -> jobmanager_pb2.HeartbeatResponse:
        taskmanager = TaskManagerId(request.taskmanager_id)
        if not self._taskmanagers.heard(taskmanager):
            return jobmanager_pb2.HeartbeatResponse(known=False, leader_epoch=self._epoch)
        self._taskmanagers.report(taskmanager, list(request.slots))
        for metrics in request.subtasks:
            master = self._jobs.masters.get(JobId(metrics.subtask.job_id))
            if master is not None:
                master.take_metrics(metrics)
        return jobmanager_pb2.HeartbeatResponse(
            known=True, leader_epoch=self._epoch, runs_tables=self._jobs.run_tables()
        )

    @answering
    async def ReportSubtask(self, request: jobmanager_pb2.ReportSubtaskRequest) -> jobmanager_pb2.ReportSubtaskResponse:
        master = self._jobs.masters.get(JobId(request.subtask.job_id))
        accepted = master is not None and master.report(request)
        return jobmanager_pb2.ReportSubtaskResponse(accepted=accepted)

    @answering
    async def ReportCheckpoint(self, request: checkpoint_pb2.CheckpointReport) -> common_pb2.Empty:
        master = self._jobs.masters.get(JobId(request.subtask.job_id))
        if master is not None:
            master.checkpoint_reported(request)
        return common_pb2.Empty()

    @answering
    async def ReportSlots(self, request: jobmanager_pb2.ReportSlotsRequest) -> common_pb2.Empty:
        self._taskmanagers.report(TaskManagerId(request.taskmanager_id), list(request.slots))
        return common_pb2.Empty()

    @answering
    async def SendToCoordinator(
        self, request: jobmanager_pb2.OperatorEventRequest
    ) -> jobmanager_pb2.OperatorEventResponse:
        master = self._jobs.masters.get(JobId(request.subtask.job_id))
        if master is None:
            raise MillstreamError(f"there is no job {request.subtask.job_id}")
        return await master.operator_event(request)

    @answering
    async def UnregisterTaskManager(self, request: jobmanager_pb2.UnregisterTaskManagerRequest) -> common_pb2.Empty:
        reason = f"TaskManager {request.taskmanager_id} left the cluster: {request.reason}"
        await seen_through(self._taskmanagers.remove(TaskManagerId(request.taskmanager_id), reason))
        return common_pb2.Empty()
