"""All slots of a TaskManager: starts the fork server, replaces slot processes that end, relays messages."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from millstream.core.checkpoint.events import AWAIT_COMMIT
from millstream.core.clock import Clock
from millstream.core.errors import ErrorPlace, ExternalError, MillstreamError, SlotDiedError
from millstream.core.rpc.error_info import to_proto
from millstream.core.table.table_jobs import is_of_tables
from millstream.proto.v1 import checkpoint_pb2, common_pb2, jobmanager_pb2, taskmanager_pb2
from millstream.taskmanager.fork_server import MESSAGE_BYTES_MAX, PRELOAD_TABLES, PRELOADED, request_bytes
from millstream.taskmanager.pulse import Pulse
from millstream.taskmanager.slot.bootstrap import SlotBootstrap
from millstream.taskmanager.slot_process import SlotProcess, SubtaskKey, describe_exit, name_of_end, subtask_key

RESTART_WAIT_S: Final = 0.2
RESTART_WAIT_S_MAX: Final = 30.0
UNIX_PATH_BYTES_MAX: Final = 107
BEATS_AN_INTERVAL: Final = 2
CANCELLED_MAX: Final = 10_000
STABLE_S: Final = 5.0
"""A slot process that lived this long, or that served a job, did not die of its start."""

log = logging.getLogger("millstream.taskmanager")


class Slots:
    """``count`` slots. ``on_report``, ``on_event`` and ``on_change`` are set by who registers the TaskManager."""

    def __init__(
        self,
        count: int,
        taskmanager_id: str,
        host_id: str,
        bind_host: str,
        advertised_host: str,
        data_port: int,
        work_dir: Path,
        configuration: dict[str, Any],
        clock: Clock,
        heartbeat_interval_s: float,
        heartbeat_timeout_s: float,
    ) -> None:
        self.processes: dict[int, SlotProcess] = {}
        self.on_report: Callable[[taskmanager_pb2.SubtaskReport], None] = lambda report: None
        self.on_event: Callable[[SlotProcess, taskmanager_pb2.SlotEvent], None] = lambda slot, event: None
        self.on_checkpoint: Callable[[checkpoint_pb2.CheckpointReport], None] = lambda report: None
        self.on_change: Callable[[], None] = lambda: None
        self._cancelled: dict[SubtaskKey, None] = {}
        """The last subtasks that were cancelled and were not here."""
        self.drops = 0
        """How often all jobs were dropped."""
        self._count = count
        self._taskmanager_id = taskmanager_id
        self._host_id = host_id
        self._bind_host = bind_host
        self._advertised_host = advertised_host
        self._data_port = data_port
        self._work_dir = work_dir
        self._configuration = configuration
        self._clock = clock
        self._heartbeat_interval_s = heartbeat_interval_s
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._next_look: asyncio.TimerHandle | None = None
        self._started_s: dict[int, float] = {}
        self._failed_starts: dict[int, int] = {}
        self._fork_server: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._closing = False
        self._tables_preloaded = False

    def start_fork_server(self) -> None:
        """Start it first, and early: it imports for half a second while the rest of the TaskManager starts."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._fork_server = subprocess.Popen(
            # -P: the working directory may hold files with the names of library modules.
            [sys.executable, "-P", "-m", "millstream.taskmanager.fork_server", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        ours.setblocking(False)
        self._connection = ours

    async def start(self) -> None:
        """Ask for all slot processes; they report themselves ready."""
        assert self._connection is not None
        asyncio.get_running_loop().add_reader(self._connection.fileno(), self._answered)
        for index in range(self._count):
            await self._fork(index, 0)
        self._look()

    # -- processes ------------------------------------------------------------------------------------------------

    async def _fork(self, index: int, incarnation: int) -> None:
        work_dir = self._work_dir / f"slot-{index}-{incarnation}"
        work_dir.mkdir(mode=0o700)
        bootstrap = SlotBootstrap(
            slot_index=index,
            incarnation=incarnation,
            taskmanager_id=self._taskmanager_id,
            host_id=self._host_id,
            unix_path=unix_socket_path(work_dir),
            tcp_host=self._bind_host,
            tcp_port=self._data_port + index if self._data_port else 0,
            work_dir=str(work_dir),
            beat_interval_s=self._heartbeat_interval_s / BEATS_AN_INTERVAL,
            configuration=self._configuration,
            advertised_host=self._advertised_host,
        )
        pulse = Pulse(self._heartbeat_interval_s, self._heartbeat_timeout_s)
        process = SlotProcess(index, incarnation, work_dir, self._received, pulse)
        self.processes[index] = process
        self._started_s[index] = self._clock.monotonic_s()
        await self.launch(process, bootstrap)

    async def launch(self, process: SlotProcess, bootstrap: SlotBootstrap) -> None:
        """Let the fork server make the process. A simulator makes its own kind here."""
        assert self._connection is not None
        ours, theirs = socket.socketpair()
        beats, beating = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        await process.connect(ours)
        process.listen(beats)
        request = request_bytes(bootstrap)
        if len(request) > MESSAGE_BYTES_MAX:
            raise ExternalError(f"the settings of a slot take {len(request)} bytes; the limit is {MESSAGE_BYTES_MAX}")
        socket.send_fds(self._connection, [request], [theirs.fileno(), beating])
        theirs.close()
        os.close(beating)

    def _look(self) -> None:
        """Once an interval: find processes that hang."""
        for process in self.processes.values():
            process.look()
        self._next_look = asyncio.get_running_loop().call_later(self._heartbeat_interval_s, self._look)

    def _answered(self) -> None:
        """The fork server says that a process started or ended."""
        assert self._connection is not None
        try:
            data = self._connection.recv(MESSAGE_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            if not self._closing:
                log.critical("the fork server ended; this TaskManager cannot run slots any more and stops")
                os.kill(os.getpid(), 15)
            return
        answer = json.loads(data)
        if answer == PRELOADED:
            self._preloaded()
        elif "status" in answer:
            self._ended(answer["pid"], answer["status"])
        else:
            process = self.processes.get(answer["slot"])
            if process is not None and process.incarnation == answer["incarnation"]:
                process.pid = answer["pid"]

    def _preloaded(self) -> None:
        """Idle processes are older than what is loaded now; the JobManager says when each may be replaced."""
        for process in self.processes.values():
            process.cold = process.pid != 0  # the others are not forked yet
        self.on_change()

    def _ended(self, pid: int, status: int) -> None:
        process = next((process for process in self.processes.values() if process.pid == pid), None)
        if process is None or self._closing:
            return
        if not process.being_replaced:
            reason = process.kill_reason or describe_exit(status)
            end = process.kill_end if process.kill_reason else name_of_end(status)
            work = process.work()
            story = f"slot {process.index} of TaskManager {self._taskmanager_id} (process {pid})"
            story += f", which ran {work}, {reason}" if work else f" {reason}"
            log.warning("%s; it is replaced", story)
            place = ErrorPlace(operator=work)
            error = SlotDiedError(f"{story}. The slot gets a new process; its subtasks are lost.", place=place)
            for ref in list(process.subtasks.values()):
                self._fail(ref, error, end)
        self._replace(process)

    def _fail(self, ref: common_pb2.SubtaskRef, error: MillstreamError, end: str) -> None:
        status = common_pb2.SUBTASK_STATUS_FAILED
        self.on_report(
            taskmanager_pb2.SubtaskReport(subtask=ref, status=status, error=to_proto(error), process_end=end)
        )

    def _replace(self, process: SlotProcess) -> None:
        """Fork the next incarnation; wait longer and longer while it dies at its start."""
        process.close()
        index = process.index
        lived_s = self._clock.monotonic_s() - self._started_s[index]
        died_early = not process.being_replaced and not process.job_id and lived_s < STABLE_S
        failed = self._failed_starts.get(index, 0) + 1 if died_early else 0
        self._failed_starts[index] = failed
        wait_s = min(RESTART_WAIT_S_MAX, RESTART_WAIT_S * 2**failed) if failed else 0.0
        process.ready = False
        process.pid = 0  # another process may get the number
        process.drop_all()
        self.on_change()
        loop = asyncio.get_running_loop()
        loop.call_later(wait_s, lambda: loop.create_task(self._fork(index, process.incarnation + 1)))
        shutil.rmtree(process.work_dir, ignore_errors=True)

    # -- messages from slots ----------------------------------------------------------------------------------------

    def _received(self, process: SlotProcess, message: taskmanager_pb2.FromSlot) -> None:
        match message.WhichOneof("message"):
            case "ready":
                process.data.CopyFrom(message.ready.data)
                process.ready = True
                self.on_change()
            case "report":
                process.note(message.report)
                self.on_report(message.report)
            case "event":
                if message.event.kind == AWAIT_COMMIT:
                    process.awaiting.add(subtask_key(message.event.subtask))
                self.on_event(process, message.event)
            case "checkpoint":
                self.on_checkpoint(message.checkpoint)
            case "metrics":
                for metrics in message.metrics.subtasks:
                    process.metrics[subtask_key(metrics.subtask)] = metrics

    # -- orders -----------------------------------------------------------------------------------------------------

    def deploy(self, index: int, request: taskmanager_pb2.DeploySubtasksRequest, blob_paths: dict[str, str]) -> None:
        """Hand subtasks to a slot. Raises ``ExternalError`` when the slot cannot take them."""
        process = self.processes.get(index)
        if process is None or not process.ready or process.being_replaced:
            raise ExternalError(f"slot {index} of TaskManager {self._taskmanager_id} has no process ready")
        if process.job_id not in ("", request.job_id):
            raise ExternalError(f"slot {index} of TaskManager {self._taskmanager_id} serves job {process.job_id}")
        process.job_id = request.job_id
        for deployment in request.subtasks:
            process.take(deployment)
        deploy = taskmanager_pb2.SlotDeploy(request=request, blob_paths=blob_paths)
        process.send(taskmanager_pb2.ToSlot(deploy=deploy))
        if is_of_tables(request.configuration):
            self.preload_tables()

    def preload_tables(self) -> None:
        """Slots forked from now on have what jobs of SQL and tables load. Idempotent."""
        if not self._tables_preloaded and self._connection is not None:
            self._tables_preloaded = True
            socket.send_fds(self._connection, [PRELOAD_TABLES], [])

    def cancel(
        self, refs: list[common_pb2.SubtaskRef], timeout_s: float, aborted_checkpoints: Iterable[int] = ()
    ) -> None:
        """Cancel subtasks; kill the slot process of any that does not end in time.

        ``aborted_checkpoints`` were given up with that.

        One that never arrived, because its deployment failed on the way, has ended by that. If it arrives after all,
        nobody waits for it.
        """
        known = {key for process in self.processes.values() for key in process.subtasks}
        for ref in refs:
            if subtask_key(ref) not in known:
                self._cancelled[subtask_key(ref)] = None
                status = common_pb2.SUBTASK_STATUS_CANCELED
                self.on_report(taskmanager_pb2.SubtaskReport(subtask=ref, status=status))
        for forgotten in list(self._cancelled)[:-CANCELLED_MAX]:
            del self._cancelled[forgotten]
        for process in self.processes.values():
            own = [ref for ref in refs if subtask_key(ref) in process.subtasks]
            if own:
                request = taskmanager_pb2.CancelSubtasksRequest(subtasks=own, aborted_checkpoints=aborted_checkpoints)
                process.send(taskmanager_pb2.ToSlot(cancel=request))
                asyncio.get_running_loop().call_later(timeout_s, self._check_cancelled, process, own, timeout_s)

    def was_cancelled(self, ref: common_pb2.SubtaskRef) -> bool:
        """Before it arrived."""
        return subtask_key(ref) in self._cancelled

    def _check_cancelled(self, process: SlotProcess, refs: list[common_pb2.SubtaskRef], timeout_s: float) -> None:
        if any(subtask_key(ref) in process.subtasks for ref in refs):
            process.kill(
                f"was killed because a cancelled subtask did not end within {timeout_s:g} s "
                f"(task.cancellation.timeout): user code may hang"
            )

    def free(self, index: int, job_id: str, attempt: int | None = None) -> None:
        """The job is done with the slot: replace its process by a fresh one. Without a job: an idle one.

        ``attempt``: the job's newest one then. The slot may have been given to it again since, for another one.
        """
        process = self.processes.get(index)
        if process is None or process.job_id != job_id or process.being_replaced:
            return
        if attempt is None or all(ref.attempt <= attempt for ref in process.subtasks.values()):
            process.being_replaced = True
            process.kill()

    def free_all(self) -> None:
        """Drop all jobs: the JobManager is gone, or gave this TaskManager up."""
        self.drops += 1
        for process in list(self.processes.values()):
            if process.job_id:
                self.free(process.index, process.job_id)

    def find(self, ref: common_pb2.SubtaskRef) -> SlotProcess | None:
        """The slot that runs a subtask."""
        key = subtask_key(ref)
        return next((process for process in self.processes.values() if key in process.subtasks), None)

    def known_subtasks(self) -> list[jobmanager_pb2.KnownSubtask]:
        """What a new leader has to know of all that was deployed here."""
        return [known for process in self.processes.values() for known in process.known_subtasks()]

    def metrics(self) -> list[common_pb2.SubtaskMetrics]:
        """The last reading of every running subtask."""
        return [metrics for process in self.processes.values() for metrics in process.metrics.values()]

    async def close(self) -> None:
        """End all slots and the fork server."""
        self._closing = True
        if self._next_look is not None:
            self._next_look.cancel()
        for process in self.processes.values():
            process.kill()
            process.close()
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self._connection.close()
        if self._fork_server is not None:
            try:
                await asyncio.to_thread(self._fork_server.wait, 2.0)
            except subprocess.TimeoutExpired:
                self._fork_server.kill()
                self._fork_server.wait()


def unix_socket_path(directory: Path) -> str:
    """Where a slot accepts connections of its host; empty, for TCP only, when the path is too long for the kernel."""
    path = str(directory / "data.sock")
    return path if len(path.encode()) <= UNIX_PATH_BYTES_MAX else ""
