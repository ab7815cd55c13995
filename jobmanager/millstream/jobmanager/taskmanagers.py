"""The TaskManagers that are registered, and how to call them."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from millstream.core.checkpoint.events import ABORTED, COMPLETED, TRIGGER
from millstream.core.clock import Clock
from millstream.core.errors import ConfigError, MillstreamError, TaskManagerLostError, UnavailableError
from millstream.core.ids import SlotId, TaskManagerId
from millstream.core.rpc.channel import Peer, RetryPolicy
from millstream.core.rpc.secret import ClusterSecret
from millstream.jobmanager.ha.leadership import Leadership
from millstream.jobmanager.scheduling.slot_pool import Slot, SlotPool
from millstream.jobmanager.taskmanager_peer import TaskManagerPeer
from millstream.proto.v1 import jobmanager_pb2, taskmanager_pb2
from millstream.proto.v1.taskmanager_pb2_grpc import TaskExecutorStub

DEPLOY_DEADLINE_S: Final = 60.0
_RETRY: Final = RetryPolicy(attempts_max=3)
_INSIST: Final = RetryPolicy(attempts_max=40)
"""For a minute or more, unless the TaskManager is given up before: a checkpoint waits for its timeout otherwise."""
_ADDRESS: Final = re.compile(r"[\w.:%\[\]-]+:\d{1,5}")

log = logging.getLogger("millstream.jobmanager")


@dataclass
class RegisteredTaskManager:
    """One TaskManager since its registration."""

    taskmanager_id: TaskManagerId
    address: str
    version: str
    metrics_address: str
    peer: Peer
    executor: TaskExecutorStub
    heard_s: float
    heard_ms: int
    watch: asyncio.Task[None] | None = None
    """Waits for the end of its process."""


class TaskManagers:
    """Registration, heartbeats, loss."""

    def __init__(
        self, pool: SlotPool, secret: ClusterSecret | None, clock: Clock, timeout_s: float, leadership: Leadership
    ) -> None:
        self.pool = pool
        self.registered: dict[TaskManagerId, RegisteredTaskManager] = {}
        self._secret = secret
        self._clock = clock
        self._timeout_s = timeout_s
        self._leadership = leadership
        self.on_lost: Callable[[TaskManagerId, MillstreamError], None] = lambda taskmanager, error: None
        self.on_slots: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()
        self._being_freed: set[tuple[SlotId, str, int | None]] = set()

    async def register(self, request: jobmanager_pb2.RegisterTaskManagerRequest) -> None:
        """A TaskManager is new, or comes back after it was given up. Raises ``ConfigError``."""
        if not _ADDRESS.fullmatch(request.rpc_address):
            raise ConfigError(
                f"TaskManager {request.taskmanager_id!r:.100} says that it is at {request.rpc_address!r:.100}, which "
                f"is no HOST:PORT. Set its taskmanager.host."
            )
        taskmanager = TaskManagerId(request.taskmanager_id)
        if taskmanager in self.registered:
            await self.remove(taskmanager, f"TaskManager {taskmanager} at {request.rpc_address} registered anew")
        peer = TaskManagerPeer(request.rpc_address, self._secret, self._clock, self._leadership)
        known = self.registered[taskmanager] = RegisteredTaskManager(
            taskmanager,
            request.rpc_address,
            request.version,
            request.metrics_address,
            peer,
            peer.stub(TaskExecutorStub),
            self._clock.monotonic_s(),
            self._clock.wall_ms(),
        )
        known.watch = asyncio.get_running_loop().create_task(self._watch(known))
        self.report(taskmanager, list(request.slots))

    def heard(self, taskmanager: TaskManagerId) -> bool:
        """It is alive. False when it is not registered."""
        known = self.registered.get(taskmanager)
        if known is None:
            return False
        known.heard_s = self._clock.monotonic_s()
        known.heard_ms = self._clock.wall_ms()
        return True

    def report(self, taskmanager: TaskManagerId, slots: list[jobmanager_pb2.SlotReport]) -> None:
        """What it says of its slots."""
        if taskmanager in self.registered:
            self.pool.report(taskmanager, slots)
            for slot in self.pool.take_cold(taskmanager):
                self._spawn(self._replace(slot))
            self.on_slots()

    # One that is not registered any more has been reported as lost: to call it does nothing.

    async def deploy(self, taskmanager: TaskManagerId, request: taskmanager_pb2.DeploySubtasksRequest) -> None:
        """Returns when the subtasks are on their way to their slots. Raises ``MillstreamError``."""
        known = self.registered.get(taskmanager)
        if known is not None:
            await known.peer.call(known.executor.DeploySubtasks, request, deadline_s=DEPLOY_DEADLINE_S)

    async def cancel(self, taskmanager: TaskManagerId, request: taskmanager_pb2.CancelSubtasksRequest) -> None:
        """A TaskManager that cannot be reached is given up. Raises ``MillstreamError``."""
        known = self.registered.get(taskmanager)
        if known is not None:
            try:
                await known.peer.call(known.executor.CancelSubtasks, request, retry=_RETRY)
            except UnavailableError as error:
                # Do not wait for its heartbeats to stay away: what cannot be cancelled cannot be reached either.
                await self.remove(taskmanager, f"TaskManager {taskmanager} was lost: {error}")

    async def send(self, taskmanager: TaskManagerId, event: taskmanager_pb2.SubtaskEventRequest) -> None:
        """To a subtask; again if the connection was lost, where that does no harm. Raises ``MillstreamError``."""
        known = self.registered.get(taskmanager)
        if known is not None:
            retry = _INSIST if event.kind in (TRIGGER, COMPLETED, ABORTED) else None
            await known.peer.call(known.executor.SendToSubtask, event, retry=retry)

    async def free(self, slot_id: SlotId, job_id: str, attempt: int | None) -> None:
        """The job has no use of what was deployed to the slot up to ``attempt``: it gets a fresh process.

        None: of whatever was deployed. The same order is given once at a time. Raises ``MillstreamError``.
        """
        known, order = self.registered.get(slot_id.taskmanager), (slot_id, job_id, attempt)
        if known is None or order in self._being_freed:
            return
        self._being_freed.add(order)
        try:
            request = taskmanager_pb2.FreeSlotRequest(job_id=job_id, slot=slot_id.index, attempt=attempt)
            await known.peer.call(known.executor.FreeSlot, request, retry=_RETRY)
        finally:
            self._being_freed.discard(order)

    def give_back(self, slot: Slot) -> None:
        """It serves a job that nobody knows any more."""
        self._spawn(self._give_back(slot.slot_id, slot.reported_job))

    async def _give_back(self, slot_id: SlotId, job_id: str) -> None:
        try:
            await self.free(slot_id, job_id, None)
        except MillstreamError as error:  # it is tried again
            log.warning("slot %s, which serves job %s, could not be freed: %s", slot_id, job_id, error)

    async def _replace(self, slot: Slot) -> None:
        """A cold idle process gives way to one that a job of tables starts in at once."""
        try:
            await self.free(slot.slot_id, "", None)
        except MillstreamError as error:
            self.pool.put_back(slot)
            log.warning("the idle process of slot %s was not replaced: %s", slot.slot_id, error)

    async def check(self) -> None:
        """Give up those that were not heard of for too long."""
        now_s = self._clock.monotonic_s()
        for known in list(self.registered.values()):
            silent_s = now_s - known.heard_s
            if silent_s > self._timeout_s:
                await self.remove(
                    known.taskmanager_id,
                    f"TaskManager {known.taskmanager_id} at {known.address} was lost: no heartbeat for "
                    f"{silent_s:.1f} s (heartbeat.timeout is {self._timeout_s:g} s). Look at its log; its machine "
                    f"may be gone or stalled.",
                )

    async def _watch(self, known: RegisteredTaskManager) -> None:
        """Give it up as soon as its process has ended: its heartbeats would take longer to be missed."""
        await known.peer.wait_until_refused()
        known.watch = None
        await self.remove(
            known.taskmanager_id,
            f"TaskManager {known.taskmanager_id} at {known.address} was lost: its process has ended, since the "
            f"connection to it was closed and nobody listens there any more. Look at its log.",
        )

    async def remove(self, taskmanager: TaskManagerId, reason: str) -> None:
        """Forget a TaskManager; its subtasks fail with ``reason``."""
        known = self.registered.pop(taskmanager, None)
        if known is None:
            return
        self.pool.remove(taskmanager)
        self.on_lost(taskmanager, TaskManagerLostError(reason))
        await self._close(known)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for known in self.registered.values():
            await self._close(known)

    def _spawn(self, action: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(action)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self, known: RegisteredTaskManager) -> None:
        if known.watch is not None:
            known.watch.cancel()
        await known.peer.close()
