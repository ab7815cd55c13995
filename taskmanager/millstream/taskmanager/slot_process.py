"""One slot as its TaskManager sees it: the process that serves it now, and the connection to it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from millstream.core.checkpoint.events import TRIGGER
from millstream.core.errors import ExternalError
from millstream.core.subtask_names import shown_names, subtask_name
from millstream.proto.v1 import checkpoint_pb2, common_pb2, jobmanager_pb2, taskmanager_pb2
from millstream.taskmanager.pulse import Pulse
from millstream.taskmanager.slot.framing import Unpacker, pack

_READ_BYTES: Final = 256 * 1024
SubtaskKey = tuple[str, str, int, int]

ENDED: Final = frozenset(
    {
        common_pb2.SUBTASK_STATUS_FINISHED,
        common_pb2.SUBTASK_STATUS_CANCELED,
        common_pb2.SUBTASK_STATUS_FAILED,
    }
)


@dataclass
class SlotProcess:
    """``ready`` once the process said where it listens; ``subtasks`` are deployed and have not ended."""

    index: int
    incarnation: int
    work_dir: Path
    on_message: Callable[[SlotProcess, taskmanager_pb2.FromSlot], None]
    pulse: Pulse
    pid: int = 0
    ready: bool = False
    job_id: str = ""
    data: common_pb2.DataAddress = field(default_factory=common_pb2.DataAddress)
    subtasks: dict[SubtaskKey, common_pb2.SubtaskRef] = field(default_factory=dict)
    metrics: dict[SubtaskKey, common_pb2.SubtaskMetrics] = field(default_factory=dict)
    names: dict[SubtaskKey, str] = field(default_factory=dict)
    """What messages call the subtasks: "map -> sink (2/4)"."""
    reported: dict[SubtaskKey, taskmanager_pb2.SubtaskReport] = field(default_factory=dict)
    """The last report of the newest attempt of each subtask, also of those that have ended here."""
    awaiting: set[SubtaskKey] = field(default_factory=set)
    """Those that can only finish after a checkpoint, and have said so to their coordinator."""
    triggered_checkpoint: int = 0
    """The highest that any of them was told to start: its barrier may be on its way."""
    cold: bool = False
    """Forked before its TaskManager had loaded what jobs of tables use."""
    being_replaced: bool = False
    kill_reason: str = ""
    """Why the TaskManager itself killed the process; empty when it did not."""
    kill_end: str = ""
    """What the JobManager counts that as; empty: as nothing."""
    _writer: asyncio.StreamWriter | None = None
    _reading: asyncio.Task[None] | None = None
    _beats: int = -1

    async def connect(self, control: socket.socket) -> None:
        """Take over our end of the control pair."""
        reader, self._writer = await asyncio.open_unix_connection(sock=control)
        self._reading = asyncio.get_running_loop().create_task(self._read(reader))

    def send(self, message: taskmanager_pb2.ToSlot) -> None:
        """Queue a message; the process may be gone already, which its exit tells."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(pack(message))

    def listen(self, beats: int) -> None:
        """Take over our end of the pipe for its signs of life."""
        self._beats = beats
        asyncio.get_running_loop().add_reader(beats, self._beat)

    def look(self) -> None:
        """Once an interval: kill it if it hangs."""
        verdict = self.pulse.look(self.pid) if self.pid else None
        if verdict is not None:
            self.kill(verdict.reason, verdict.end)

    def kill(self, reason: str = "", end: str = "") -> None:
        """SIGKILL, once."""
        if not self.kill_reason:
            self.kill_reason, self.kill_end = reason, end
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def close(self) -> None:
        """Close the connection; an idle process ends by that."""
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()
        self._end_of_beats()

    def take(self, deployment: taskmanager_pb2.SubtaskDeployment) -> None:
        """A subtask is on its way to the process."""
        key = subtask_key(deployment.subtask)
        for former in [other for other in self.reported if other[:3] == key[:3]]:
            del self.reported[former]
            self.awaiting.discard(former)
        status = common_pb2.SUBTASK_STATUS_DEPLOYING
        self.reported[key] = taskmanager_pb2.SubtaskReport(subtask=deployment.subtask, status=status)
        self.subtasks[key] = deployment.subtask
        self.names[key] = subtask_name(deployment.vertex_name, deployment.subtask.index, deployment.parallelism)

    def deliver(self, event: taskmanager_pb2.SubtaskEventRequest) -> None:
        """An event for a subtask here."""
        if event.kind == TRIGGER:
            trigger = checkpoint_pb2.TriggerCheckpoint.FromString(event.payload)
            self.triggered_checkpoint = max(self.triggered_checkpoint, trigger.checkpoint_id)
        self.send(taskmanager_pb2.ToSlot(event=event))

    def note(self, report: taskmanager_pb2.SubtaskReport) -> None:
        """A subtask says how it is."""
        key = subtask_key(report.subtask)
        if key in self.reported:
            self.reported[key] = report
        if report.status in ENDED:
            for held in (self.subtasks, self.metrics, self.names):
                held.pop(key, None)

    def known_subtasks(self) -> list[jobmanager_pb2.KnownSubtask]:
        """What a new leader has to know of the subtasks here; nothing of a process that is being replaced."""
        reports = {} if self.being_replaced else self.reported
        return [
            jobmanager_pb2.KnownSubtask(
                slot=self.index,
                report=report_request(report),
                awaits_commit=key in self.awaiting,
                triggered_checkpoint=self.triggered_checkpoint,
            )
            for key, report in reports.items()
        ]

    def drop_all(self) -> None:
        """The process has ended."""
        for held in (self.subtasks, self.metrics, self.names, self.reported):
            held.clear()
        self.awaiting.clear()

    def work(self) -> str:
        """The subtasks it runs, by name; only the first ones of many."""
        return shown_names(list(self.names.values()))

    def report(self) -> jobmanager_pb2.SlotReport:
        """For the JobManager."""
        return jobmanager_pb2.SlotReport(
            index=self.index,
            ready=self.ready and not self.being_replaced,
            job_id=self.job_id,
            data=self.data,
            pid=self.pid,
            incarnation=self.incarnation,
            cold=self.cold,
        )

    def _beat(self) -> None:
        try:
            if os.read(self._beats, _READ_BYTES):
                self.pulse.beat()
            else:
                self._end_of_beats()
        except BlockingIOError:
            return

    def _end_of_beats(self) -> None:
        if self._beats >= 0:
            asyncio.get_running_loop().remove_reader(self._beats)
            os.close(self._beats)
            self._beats = -1

    async def _read(self, reader: asyncio.StreamReader) -> None:
        unpacker = Unpacker(taskmanager_pb2.FromSlot)
        try:
            while data := await reader.read(_READ_BYTES):
                for message in unpacker.feed(data):
                    self.on_message(self, message)
        except ExternalError as error:  # a slot that breaks the protocol cannot be trusted any more
            self.kill(f"it sent what is no control message: {error}")
        except ConnectionError:
            return


def report_request(report: taskmanager_pb2.SubtaskReport) -> jobmanager_pb2.ReportSubtaskRequest:
    """What the JobManager is told of it."""
    return jobmanager_pb2.ReportSubtaskRequest(
        subtask=report.subtask,
        status=report.status,
        error=report.error if report.HasField("error") else None,
        final_metrics=report.final_metrics if report.HasField("final_metrics") else None,
        process_end=report.process_end,
        answered_checkpoint=report.answered_checkpoint,
    )


def subtask_key(ref: common_pb2.SubtaskRef) -> SubtaskKey:
    return (ref.job_id, ref.vertex_id, ref.index, ref.attempt)


def name_of_end(status: int) -> str:
    """A wait status as the name of the signal, or as ``exit code 7``."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def describe_exit(status: int) -> str:
    """A wait status in words."""
    name = name_of_end(status)
    return (
        f"exited with {name.removeprefix('exit ')}"
        if name.startswith("exit")
        else f"was killed by {name}{_HINTS.get(name, '')}"
    )


_HINTS: Final = {
    "SIGKILL": " (if nobody sent it, the kernel was out of memory: look at dmesg)",
    "SIGSEGV": " (segmentation fault in native code)",
    "SIGABRT": " (abort in native code)",
    "SIGBUS": " (bus error in native code)",
}
