"""What a slot process does with the messages of its TaskManager: deploy, cancel, deliver events, report."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from millstream.core.checkpoint.events import ABORTED, COMPLETED, TRIGGER
from millstream.core.checkpoint.local_copies import CopyingStorage, LocalCopies
from millstream.core.checkpoint.storage import Storage, open_storage
from millstream.core.clock import Clock
from millstream.core.elements.control import Barrier
from millstream.core.errors import InvariantViolation
from millstream.core.failpoints import failpoint
from millstream.core.protocol_log import record
from millstream.core.rpc.error_info import to_proto
from millstream.proto.v1 import checkpoint_pb2, common_pb2, taskmanager_pb2
from millstream.taskmanager.checkpointing.writer import BarrierSettings, SnapshotWriter
from millstream.taskmanager.slot.bootstrap import SlotBootstrap
from millstream.taskmanager.slot.control import ControlChannel
from millstream.taskmanager.state.backends import SLOT_DIRECTORY
from millstream.taskmanager.task.context import SubtaskInfo
from millstream.taskmanager.task.deploy import start_task, subtask_info
from millstream.taskmanager.task.figures import TaskFigures, subtask_ref
from millstream.taskmanager.task.loop import TaskLoop
from millstream.taskmanager.task.phase import ENDED, REPORTED, TaskPhase
from millstream.taskmanager.task.task import Task

Reply = Callable[[bool, bytes], None]


class SlotServer:
    """Joins the control channel and the task loop. Everything here runs on the loop's thread."""

    def __init__(self, bootstrap: SlotBootstrap, clock: Clock) -> None:
        self._bootstrap = bootstrap
        self._clock = clock
        self._loop: TaskLoop | None = None
        self._control: ControlChannel | None = None
        self._tasks: dict[tuple[str, int, int], Task] = {}
        self._figures: dict[Task, TaskFigures] = {}
        self._answered: dict[tuple[str, int, int], int] = {}
        """The last checkpoint in which each of them took part."""
        self._replies: dict[int, Reply] = {}
        self._next_request_id = 1
        self._job_id = ""
        self._writer: SnapshotWriter | None = None

    def attach(self, loop: TaskLoop, control: ControlChannel) -> None:
        """Give it the two it joins, and announce that the slot is ready."""
        self._loop, self._control = loop, control
        self._writer = SnapshotWriter(loop.reactor, self._clock, self._report_checkpoint, self._fail)
        ready = taskmanager_pb2.SlotReady(data=loop.network.address)
        self.control.send(taskmanager_pb2.FromSlot(ready=ready))

    @property
    def loop(self) -> TaskLoop:
        assert self._loop is not None
        return self._loop

    @property
    def control(self) -> ControlChannel:
        assert self._control is not None
        return self._control

    @property
    def _snapshots(self) -> SnapshotWriter:
        assert self._writer is not None
        return self._writer

    # -- from the TaskManager -----------------------------------------------------------------------------------

    def handle(self, message: taskmanager_pb2.ToSlot) -> None:
        """Act on one message."""
        match message.WhichOneof("message"):
            case "deploy":
                self._deploy(message.deploy)
            case "cancel":
                failpoint("cancel.told")
                for ref in message.cancel.subtasks:
                    task = self._tasks.get(_key(ref))
                    if task is not None:
                        for checkpoint_id in message.cancel.aborted_checkpoints:
                            task.checkpoint_aborted(checkpoint_id)
                        task.cancel()
            case "event":
                event = message.event
                task = self._tasks.get(_key(event.subtask))
                if task is not None and not self._checkpoint_event(task, event):
                    task.deliver(event.operator_id, event.kind, event.payload)
            case "event_reply":
                reply = self._replies.pop(message.event_reply.request_id, None)
                if reply is not None:
                    reply(message.event_reply.accepted, message.event_reply.payload)
            case "shutdown":
                self.loop.stop()
            case None:
                raise InvariantViolation("the TaskManager sent an empty control message")

    def _checkpoint_event(self, task: Task, event: taskmanager_pb2.SubtaskEventRequest) -> bool:
        """What is for the task as a whole; False when it is for an operator."""
        if event.kind not in (TRIGGER, COMPLETED, ABORTED):
            return False
        message = checkpoint_pb2.TriggerCheckpoint.FromString(event.payload)
        if event.kind == TRIGGER:
            task.trigger_checkpoint(self._barrier(message), message.drain)
        elif event.kind == COMPLETED:
            task.checkpoint_completed(message.checkpoint_id)
        else:
            task.checkpoint_aborted(message.checkpoint_id)
        return True

    def _barrier(self, trigger: checkpoint_pb2.TriggerCheckpoint) -> Barrier:
        settings = self._snapshots.barriers
        timeout_ms = settings.timeout_ms if settings.unaligned and not trigger.savepoint else -1
        return Barrier(
            trigger.checkpoint_id,
            trigger.timestamp_ms,
            unaligned=timeout_ms == 0,
            base_id=trigger.base_id,
            full=trigger.full,
            timeout_ms=timeout_ms,
            savepoint=trigger.savepoint,
            generation=trigger.generation,
        )

    def _fail(self, info: SubtaskInfo, error: Exception) -> None:
        task = self._tasks.get((info.vertex_id, info.subtask_index, info.attempt))
        if task is not None:
            task.fail(error)

    def _report_checkpoint(self, report: checkpoint_pb2.CheckpointReport) -> None:
        key = _key(report.subtask)
        self._answered[key] = max(self._answered.get(key, 0), report.checkpoint_id)
        self.control.send(taskmanager_pb2.FromSlot(checkpoint=report))

    def _deploy(self, deploy: taskmanager_pb2.SlotDeploy) -> None:
        request = deploy.request
        if not self._job_id:
            self._adopt_job(request, deploy.blob_paths)
        configuration = self._configuration(request)
        started: list[tuple[Task, taskmanager_pb2.SubtaskDeployment]] = []
        for deployment in request.subtasks:
            task = Task(subtask_info(request, deployment), self._clock, self.loop, self._snapshots)
            self._tasks[_key(deployment.subtask)] = task
            self._figures[task] = TaskFigures(task, self._clock.monotonic_s())
            self.loop.tasks.append(task)
            self.on_phase(task)
            started.append((task, deployment))
        for task, deployment in started:
            path = Path(deploy.blob_paths[deployment.payload_blob])
            copies = self._snapshots.copies if configuration.get("execution.state-recovery.from-local") else None
            start_task(task, deployment, path, self.loop.network, self._clock, configuration, copies)

    def _configuration(self, request: taskmanager_pb2.DeploySubtasksRequest) -> dict[str, Any]:
        """The slot's settings with the job's over them."""
        configuration = self._bootstrap.with_job(request.configuration)
        configuration[SLOT_DIRECTORY] = self._bootstrap.work_dir
        return configuration

    def _adopt_job(self, request: taskmanager_pb2.DeploySubtasksRequest, blob_paths: Any) -> None:
        """A slot process serves one job in its life: its modules and its token are set once."""
        self._job_id = request.job_id
        configuration = self._configuration(request)
        exactly_once = configuration.get("execution.checkpointing.mode", "EXACTLY_ONCE") == "EXACTLY_ONCE"
        self._snapshots.barriers = BarrierSettings(
            exactly_once=exactly_once,
            unaligned=exactly_once and bool(configuration.get("execution.checkpointing.unaligned.enabled")),
            timeout_ms=int(configuration.get("execution.checkpointing.aligned-checkpoint-timeout") or 0),
        )
        self._snapshots.cluster = configuration
        if request.checkpoint_directory:
            storage: Storage = open_storage(request.checkpoint_directory, configuration)
            if configuration.get("execution.checkpointing.local-backup.enabled"):
                # Beside the slots: a slot that takes the place of one that died finds them.
                directory = Path(self._bootstrap.work_dir).parent / "local-state" / request.job_id
                self._snapshots.copies = LocalCopies(directory, request.checkpoint_directory)
                storage = CopyingStorage(storage, self._snapshots.copies)
            self._snapshots.storage = storage
        self.loop.network.set_job(request.job_id, request.job_token)
        if request.modules_blob:
            directory = Path(self._bootstrap.work_dir) / "modules"
            directory.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(blob_paths[request.modules_blob]) as archive:
                archive.extractall(directory)  # names inside are checked by zipfile; the archive is hash-verified
            sys.path.insert(0, str(directory))

    # -- TaskEvents ---------------------------------------------------------------------------------------------

    def on_phase(self, task: Task) -> None:
        """Report a phase the JobManager cares for."""
        status = REPORTED.get(task.phase)
        if status is None:
            return
        report = taskmanager_pb2.SubtaskReport(subtask=subtask_ref(task.info), status=status)
        if task.error is not None:
            report.error.CopyFrom(to_proto(task.error))
        if task.phase is TaskPhase.RUNNING:
            record("subtask.began", **task.info.identity(), reads=task.reads)
        if task.phase in ENDED:
            record("subtask.ended", **task.info.identity(), status=task.phase.name)
            report.final_metrics.CopyFrom(self._figures.pop(task).report(self._clock.monotonic_s()))
            key = (task.info.vertex_id, task.info.subtask_index, task.info.attempt)
            self._tasks.pop(key, None)
            report.answered_checkpoint = self._answered.pop(key, 0)
        self.control.send(taskmanager_pb2.FromSlot(report=report))

    def on_event(self, task: Task, operator_id: str, kind: str, payload: bytes, reply: Reply) -> None:
        """Pass an operator's event on to its coordinator in the JobManager."""
        request_id = self._next_request_id
        self._next_request_id += 1
        self._replies[request_id] = reply
        event = taskmanager_pb2.SlotEvent(
            request_id=request_id,
            subtask=subtask_ref(task.info),
            operator_id=operator_id,
            kind=kind,
            payload=payload,
        )
        self.control.send(taskmanager_pb2.FromSlot(event=event))

    def send_metrics(self) -> None:
        """Once a second while there are tasks."""
        if not self._figures:
            return
        now_s = self._clock.monotonic_s()
        metrics = taskmanager_pb2.SlotMetrics(subtasks=[figures.report(now_s) for figures in self._figures.values()])
        self.control.send(taskmanager_pb2.FromSlot(metrics=metrics))


def _key(ref: common_pb2.SubtaskRef) -> tuple[str, int, int]:
    return (ref.vertex_id, ref.index, ref.attempt)
