"""The TaskManager's side of its JobManager: registers, sends heartbeats and reports, starts over when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from millstream.core.clock import Clock
from millstream.core.errors import AuthenticationError, MillstreamError, ProtocolVersionError, UnavailableError
from millstream.core.pauses import pause
from millstream.core.rpc.channel import RetryPolicy
from millstream.core.rpc.leader_channel import LeaderPeer
from millstream.proto.v1 import checkpoint_pb2, jobmanager_pb2, taskmanager_pb2
from millstream.proto.v1.jobmanager_pb2_grpc import ResourceManagerStub
from millstream.taskmanager.known_leader import KnownLeader
from millstream.taskmanager.slot_process import ENDED, SlotProcess, report_request
from millstream.taskmanager.slots import Slots

METRICS_INTERVAL_S: Final = 1.0
REGISTER_WAIT_S: Final = 0.1
REGISTER_WAIT_S_MAX: Final = 2.0
REPORTS_MAX: Final = 100_000
EVENT_DEADLINE_S: Final = 30.0
_RETRY: Final = RetryPolicy(attempts_max=5)
_INSIST: Final = RetryPolicy(attempts_max=40)
"""For a minute or more, unless another JobManager leads by then: a checkpoint waits for its timeout otherwise."""

log = logging.getLogger("millstream.taskmanager")


class Registration:
    """Keeps this TaskManager known at the JobManager until ``stop``."""

    def __init__(
        self,
        taskmanager_id: str,
        rpc_address: str,
        host_id: str,
        version: str,
        metrics_address: str,
        slots: Slots,
        jobmanager: LeaderPeer,
        leader: KnownLeader,
        clock: Clock,
        give_up_s: float,
        on_given_up: Callable[[MillstreamError], None],
        *,
        outlives_leader: bool = False,
    ) -> None:
        """``outlives_leader``: another JobManager may take over, so that subtasks run on without one."""
        self._taskmanager_id = taskmanager_id
        self._request = jobmanager_pb2.RegisterTaskManagerRequest(
            taskmanager_id=taskmanager_id,
            rpc_address=rpc_address,
            host_id=host_id,
            version=version,
            metrics_address=metrics_address,
        )
        self._slots = slots
        self._jobmanager = jobmanager
        self._leader = leader
        self._epoch = 0
        """Of the leader we are registered at, or were last."""
        self._stub: ResourceManagerStub = jobmanager.stub(ResourceManagerStub)
        self._clock = clock
        self._give_up_s = give_up_s
        self._on_given_up = on_given_up
        self._reports: asyncio.Queue[taskmanager_pb2.SubtaskReport] = asyncio.Queue(REPORTS_MAX)
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._outlives_leader = outlives_leader
        self._registered = asyncio.Event()
        self._is_unheard = False
        jobmanager.on_moved = self._changed.set
        slots.on_report = self._reports.put_nowait
        slots.on_event = self._relay_event
        slots.on_checkpoint = lambda report: self._spawn(self._send_checkpoint(report))
        slots.on_change = self._changed.set

    def start(self) -> None:
        """Register, and stay registered, in the background."""
        self._spawn(self._stay_registered())
        self._spawn(self._send_reports())

    async def stop(self, reason: str) -> None:
        """Say good-bye if there is somebody to say it to."""
        for task in list(self._tasks):
            task.cancel()
        if self._registered.is_set():
            request = jobmanager_pb2.UnregisterTaskManagerRequest(taskmanager_id=self._taskmanager_id, reason=reason)
            with contextlib.suppress(MillstreamError):
                await self._jobmanager.call(self._stub.UnregisterTaskManager, request, deadline_s=1.0)

    # -- registration and heartbeats --------------------------------------------------------------------------------

    async def _stay_registered(self) -> None:
        while True:
            response = await self._register()
            if response is None:
                return
            self._epoch = response.leader_epoch
            self._leader.learn(response.leader_epoch)
            self._registered.set()
            log.info("registered at the JobManager %s", self._jobmanager.address)
            runs_on = await self._beat(response)
            self._registered.clear()
            if runs_on:
                log.warning("lost the JobManager %s: subtasks run on until there is another", self._jobmanager.address)
            else:
                log.warning("lost the JobManager %s: all subtasks are dropped", self._jobmanager.address)
                self._slots.free_all()

    async def _register(self) -> jobmanager_pb2.RegisterTaskManagerResponse | None:
        """Until it works; None when it cannot or takes too long."""
        wait_s, started_s, said = REGISTER_WAIT_S, self._clock.monotonic_s(), False
        while True:
            del self._request.slots[:]
            self._request.slots.extend(process.report() for process in self._slots.processes.values())
            del self._request.subtasks[:]
            self._request.subtasks.extend(self._slots.known_subtasks())
            try:
                response: jobmanager_pb2.RegisterTaskManagerResponse = await self._jobmanager.call(
                    self._stub.RegisterTaskManager, self._request, deadline_s=5.0
                )
                return response
            except (AuthenticationError, ProtocolVersionError) as error:
                self._on_given_up(error)
                return None
            except MillstreamError as error:
                waited_s = self._clock.monotonic_s() - started_s
                if waited_s > self._give_up_s:
                    story = f"no JobManager within {waited_s:.0f} s (taskmanager.registration.timeout): {error}"
                    self._on_given_up(UnavailableError(story))
                    return None
                if waited_s > 2.0 and not said:
                    log.warning("cannot register yet, trying on: %s", error)
                    said = True
            await pause(wait_s)
            wait_s = min(REGISTER_WAIT_S_MAX, wait_s * 1.5)

    async def _beat(self, registered: jobmanager_pb2.RegisterTaskManagerResponse) -> bool:
        """Heartbeats until the JobManager does not know us or does not answer for its timeout.

        Whether the subtasks run on: not when the leader that we were registered at has given us up.
        """
        interval_s, timeout_s = registered.heartbeat_interval_ms / 1000, registered.heartbeat_timeout_ms / 1000
        answered_s, wait_s = self._clock.monotonic_s(), REGISTER_WAIT_S
        while True:
            slots = [process.report() for process in self._slots.processes.values()]
            metrics = self._slots.metrics()
            request = jobmanager_pb2.HeartbeatRequest(
                taskmanager_id=self._taskmanager_id, slots=slots, subtasks=metrics
            )
            self._changed.clear()
            try:
                response = await self._jobmanager.call(self._stub.Heartbeat, request, deadline_s=timeout_s)
                self._leader.learn(response.leader_epoch)
                if not response.known:
                    return self._outlives_leader and response.leader_epoch != registered.leader_epoch
                answered_s, wait_s = self._clock.monotonic_s(), REGISTER_WAIT_S
                self._is_unheard = False
                if response.runs_tables:
                    self._slots.preload_tables()
            except MillstreamError as error:
                if self._clock.monotonic_s() - answered_s > timeout_s:
                    return self._outlives_leader
                self._complain("a heartbeat was not answered", error)
                await self._wait_for_change(wait_s)  # a new leader may just be taking over
                wait_s = min(interval_s, REGISTER_WAIT_S_MAX, 1.5 * wait_s)
                continue
            await self._wait_for_change(METRICS_INTERVAL_S if metrics else interval_s)

    async def _wait_for_change(self, seconds: float) -> None:
        """Until a slot has changed, or another JobManager leads; at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    # -- reports and events -----------------------------------------------------------------------------------------

    async def _send_reports(self) -> None:
        """One after the other, so that the JobManager sees a subtask's life in order."""
        while True:
            request = report_request(await self._reports.get())
            request.taskmanager_id = self._taskmanager_id
            await self._send_report(request)

    async def _send_report(self, request: jobmanager_pb2.ReportSubtaskRequest) -> None:
        """Again and again where subtasks outlive the leader: the next one may not learn of it otherwise."""
        while True:
            if self._outlives_leader:
                await self._registered.wait()
            try:
                response = await self._jobmanager.call(
                    self._stub.ReportSubtask, request, retry=_RETRY, epoch=self._epoch
                )
                if not response.accepted and request.status not in ENDED:  # of a former attempt, or of no job any more
                    self._slots.cancel([request.subtask], timeout_s=10.0)
                return
            except MillstreamError as error:
                self._complain("a report did not reach the JobManager", error)
                if not (self._outlives_leader and isinstance(error, UnavailableError)):
                    return
                self._changed.set()  # a heartbeat finds out whether another one leads
            await pause(REGISTER_WAIT_S)

    async def _send_checkpoint(self, report: checkpoint_pb2.CheckpointReport) -> None:
        """A lost one costs a checkpoint, which times out."""
        try:
            await self._jobmanager.call(self._stub.ReportCheckpoint, report, retry=_INSIST, epoch=self._epoch)
        except MillstreamError as error:
            log.warning("a subtask's part of checkpoint %d was not reported: %s", report.checkpoint_id, error)

    def _relay_event(self, process: SlotProcess, event: taskmanager_pb2.SlotEvent) -> None:
        self._spawn(self._send_event(process, event))

    async def _send_event(self, process: SlotProcess, event: taskmanager_pb2.SlotEvent) -> None:
        request = jobmanager_pb2.OperatorEventRequest(
            subtask=event.subtask, operator_id=event.operator_id, kind=event.kind, payload=event.payload
        )
        reply = taskmanager_pb2.EventReply(request_id=event.request_id)
        try:
            response = await self._jobmanager.call(
                self._stub.SendToCoordinator, request, EVENT_DEADLINE_S, epoch=self._epoch
            )
            reply.accepted, reply.payload = response.accepted, response.payload
        except MillstreamError as error:
            self._complain(f"an operator event ({event.kind}) was not answered", error)
            if self._outlives_leader:
                self._changed.set()
                await pause(REGISTER_WAIT_S)  # the subtask tries again at once
            reply.unreachable = True
        process.send(taskmanager_pb2.ToSlot(event_reply=reply))

    def _complain(self, what: str, error: MillstreamError) -> None:
        """Once, until a heartbeat is answered: all calls fail while nobody leads."""
        level = logging.DEBUG if self._is_unheard else logging.WARNING
        log.log(level, "%s, trying on: %s", what, error)
        self._is_unheard = True

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
