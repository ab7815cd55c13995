"""The gRPC face of the TaskManager, for the JobManager."""

from __future__ import annotations

from millstream.core.errors import ExternalError
from millstream.core.rpc.leader_channel import LeaderPeer
from millstream.core.rpc.server import answering
from millstream.proto.v1 import common_pb2, taskmanager_pb2
from millstream.proto.v1.taskmanager_pb2_grpc import TaskExecutorServicer
from millstream.taskmanager.blob_cache import BlobCache
from millstream.taskmanager.slots import Slots


class TaskExecutorService(TaskExecutorServicer):
    """Deploys, cancels, frees, delivers events."""

    def __init__(self, slots: Slots, blobs: BlobCache, jobmanager: LeaderPeer, cancellation_timeout_s: float) -> None:
        self._slots = slots
        self._blobs = blobs
        self._jobmanager = jobmanager
        self._cancellation_timeout_s = cancellation_timeout_s

    @answering
    async def DeploySubtasks(
        self, request: taskmanager_pb2.DeploySubtasksRequest
    ) -> taskmanager_pb2.DeploySubtasksResponse:
        blobs = [request.modules_blob, *(deployment.payload_blob for deployment in request.subtasks)]
        drops = self._slots.drops
        paths = await self._blobs.fetch(await self._jobmanager.here(), blobs)
        if drops != self._slots.drops:
            raise ExternalError("this TaskManager was given up, and dropped all subtasks, while it fetched their code")
        by_slot: dict[int, list[taskmanager_pb2.SubtaskDeployment]] = {}
        for deployment in request.subtasks:
            if self._slots.was_cancelled(deployment.subtask):
                continue
            by_slot.setdefault(deployment.slot, []).append(deployment)
        for slot, deployments in by_slot.items():
            part = taskmanager_pb2.DeploySubtasksRequest()
            part.CopyFrom(request)
            del part.subtasks[:]
            part.subtasks.extend(deployments)
            self._slots.deploy(slot, part, paths)
        return taskmanager_pb2.DeploySubtasksResponse()

    @answering
    async def CancelSubtasks(self, request: taskmanager_pb2.CancelSubtasksRequest) -> common_pb2.Empty:
        self._slots.cancel(list(request.subtasks), self._cancellation_timeout_s, request.aborted_checkpoints)
        return common_pb2.Empty()

    @answering
    async def FreeSlot(self, request: taskmanager_pb2.FreeSlotRequest) -> common_pb2.Empty:
        attempt = request.attempt if request.HasField("attempt") else None
        self._slots.free(request.slot, request.job_id, attempt)
        return common_pb2.Empty()

    @answering
    async def SendToSubtask(self, request: taskmanager_pb2.SubtaskEventRequest) -> taskmanager_pb2.SubtaskEventResponse:
        process = self._slots.find(request.subtask)
        if process is None:
            return taskmanager_pb2.SubtaskEventResponse(delivered=False)
        process.deliver(request)
        return taskmanager_pb2.SubtaskEventResponse(delivered=True)
