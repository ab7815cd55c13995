"""What the JobManager tells a subtask again when the connection was lost, and what it does not."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest

from millstream.core.checkpoint.events import ABORTED, COMPLETED, TRIGGER
from millstream.core.clock import SystemClock
from millstream.core.errors import ConfigError, UnavailableError
from millstream.core.ids import TaskManagerId
from millstream.jobmanager.ha.leadership import SoleLeadership
from millstream.jobmanager.scheduling.slot_pool import SlotPool
from millstream.jobmanager.taskmanagers import TaskManagers
from millstream.proto.v1 import jobmanager_pb2, taskmanager_pb2
from millstream.proto.v1.taskmanager_pb2_grpc import TaskExecutorServicer, add_TaskExecutorServicer_to_server

ONE = TaskManagerId("one")


class _LosesTheFirst(TaskExecutorServicer):
    def __init__(self) -> None:
        self.calls = 0

    async def SendToSubtask(
        self, request: taskmanager_pb2.SubtaskEventRequest, context: grpc.aio.ServicerContext
    ) -> taskmanager_pb2.SubtaskEventResponse:
        self.calls += 1
        if self.calls == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")
        return taskmanager_pb2.SubtaskEventResponse(delivered=True)


async def calls_for(kind: str) -> int:
    executor, server = _LosesTheFirst(), grpc.aio.server()
    add_TaskExecutorServicer_to_server(executor, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    taskmanagers = TaskManagers(SlotPool(), None, SystemClock(), 50, SoleLeadership())
    try:
        await taskmanagers.register(
            jobmanager_pb2.RegisterTaskManagerRequest(taskmanager_id=ONE, rpc_address=f"127.0.0.1:{port}")
        )
        await taskmanagers.send(ONE, taskmanager_pb2.SubtaskEventRequest(kind=kind))
    finally:
        await taskmanagers.close()
        await server.stop(None)
    return executor.calls


@pytest.mark.parametrize("kind", [TRIGGER, COMPLETED, ABORTED])
def test_a_checkpoint_does_not_wait_for_its_timeout_when_a_connection_was_lost(kind: str) -> None:
    assert asyncio.run(calls_for(kind)) == 2


def test_an_event_that_may_not_come_twice_is_not_repeated() -> None:
    with pytest.raises(UnavailableError):
        asyncio.run(calls_for("assign_splits"))


@pytest.mark.parametrize("address", ["", "host", "127.0.0.1:99999999", "a\0b:1", "dns:///x/y:1"])
def test_a_taskmanager_without_an_address_is_refused(address: str) -> None:
    async def register(place: str) -> None:
        taskmanagers = TaskManagers(SlotPool(), None, SystemClock(), 50, SoleLeadership())
        try:
            await taskmanagers.register(
                jobmanager_pb2.RegisterTaskManagerRequest(taskmanager_id=ONE, rpc_address=place)
            )
        finally:
            await taskmanagers.close()

    with pytest.raises(ConfigError, match=r"is no HOST:PORT\. Set its taskmanager\.host"):
        asyncio.run(register(address))
    for good in ("host-1.example:6122", "127.0.0.1:1", "[::1]:1", "::1:1"):
        asyncio.run(register(good))
