"""A cluster of real processes for tests, whose parts can be killed, frozen and added while jobs run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from millstream.client.session import Session, set_current_session
from millstream.core.clock import Clock, SystemClock
from millstream.core.config import Configuration, load
from millstream.core.errors import UnavailableError
from millstream.local import LocalCluster
from millstream.local.server_process import ServerProcess
from millstream.testing.processes import Freeze, children_of, family_of, send

if TYPE_CHECKING:
    from millstream.client.job_client import JobClient
    from millstream.datastream import StreamExecutionEnvironment
    from millstream.proto.v1.jobmanager_pb2 import ClusterDetails, JobDetails

FoundT = TypeVar("FoundT")

WAIT_TIMEOUT_S: Final = 60.0
WAIT_INTERVAL_S: Final = 0.05


class MiniCluster:
    """``with MiniCluster(taskmanagers=2, slots=2) as cluster: ...`` starts it and waits for all slots.

    Within, it is where environments of this process send their jobs. ``configuration``: settings by key, over the
    defaults; files and environment variables do not count. Everything it starts, and its directory with logs and
    checkpoints, ends with it, or with this process. TaskManagers are numbered from 0 in order of their start, and keep
    their numbers; so are JobManagers, of which several elect one: by a file lease, or as ``configuration`` says. Used
    by one thread.
    """

    def __init__(
        self,
        taskmanagers: int = 2,
        slots: int = 2,
        configuration: Mapping[str, Any] | None = None,
        *,
        clock: Clock | None = None,
        jobmanagers: int = 1,
    ) -> None:
        self._clock = clock or SystemClock()
        self._slots = slots
        settings = load(overrides=configuration)
        self._cluster = LocalCluster(
            taskmanagers, slots, settings, clock=self._clock, keeps_checkpoints=False, jobmanagers=jobmanagers
        )
        self._frozen: dict[int, Freeze] = {}
        self._frozen_jobmanagers: dict[int, Freeze] = {}
        self._session = Session(self._cluster.configuration)
        self._session_before: Session | None = None
        self._entered = False

    @property
    def configuration(self) -> Configuration:
        """The settings of the cluster, with its address and secret, for clients."""
        return self._cluster.configuration

    def submit(self, environment: StreamExecutionEnvironment, job_name: str | None = None) -> JobClient:
        """Start what ``environment`` holds, without waiting: ``submit(env).wait()`` does."""
        return environment.execute_async(job_name)

    # -- disturbances -------------------------------------------------------------------------------------------

    def kill_taskmanager(self, number: int) -> None:
        """SIGKILL for the TaskManager and its slots, at once; returns when it has ended."""
        server = self._taskmanager(number)
        send(family_of(server.pid), signal.SIGKILL)
        server.stop(0)
        self.thaw(number)

    def slots_of(self, taskmanager: int) -> list[int]:
        """The process ids of its slots, in order of their start. One that is being replaced is missing for a moment."""
        return [slot for server in children_of(self._taskmanager(taskmanager).pid) for slot in children_of(server)]

    def kill_slot(self, taskmanager: int, position: int = 0) -> int:
        """SIGKILL for the process at ``position`` in ``slots_of``, which may have to start first; returns its id.

        Its TaskManager starts another one, which is then the last.
        """
        total = self._cluster.slots[taskmanager]
        if not 0 <= position < total:
            raise ValueError(f"TaskManager {taskmanager} has {total} slots; there is no {position}")
        slots = self.wait_until(lambda: self.slots_of(taskmanager)[position:], "the process of the slot")
        os.kill(slots[0], signal.SIGKILL)
        return slots[0]

    def freeze_taskmanager(self, number: int) -> None:
        """SIGSTOP for the TaskManager and its slots: they hold their connections and say nothing."""
        if number not in self._frozen:
            self._frozen[number] = Freeze(family_of(self._taskmanager(number).pid))

    def thaw(self, number: int) -> None:
        """A frozen TaskManager goes on where it was. Without effect on others."""
        frozen = self._frozen.pop(number, None)
        if frozen is not None:
            frozen.thaw()

    def add_taskmanager(self, slots: int | None = None) -> int:
        """Start another TaskManager, by default with as many slots as the first ones; returns its number. Does not
        wait."""
        return self._cluster.add_taskmanager(self._slots if slots is None else slots)

    def leader(self) -> int:
        """The number of the JobManager that leads; waits until there is one that runs."""
        self.wait_until(lambda: self._cluster.leader() is not None, "a JobManager that leads")
        number = self._cluster.leader()
        return self.leader() if number is None else number

    def kill_jobmanager(self, number: int) -> None:
        """SIGKILL; returns when it has ended."""
        server = _running(self._cluster.jobmanagers, number, "JobManager")
        send([server.pid], signal.SIGKILL)
        server.stop(0)
        self.thaw_jobmanager(number)

    def freeze_jobmanager(self, number: int) -> None:
        """SIGSTOP: it holds its connections and says nothing."""
        if number not in self._frozen_jobmanagers:
            server = _running(self._cluster.jobmanagers, number, "JobManager")
            self._frozen_jobmanagers[number] = Freeze([server.pid])

    def thaw_jobmanager(self, number: int) -> None:
        """A frozen JobManager goes on where it was. Without effect on others."""
        frozen = self._frozen_jobmanagers.pop(number, None)
        if frozen is not None:
            frozen.thaw()

    def log_of_jobmanager(self, number: int) -> str:
        """What it has logged so far."""
        return self._cluster.jobmanagers[number].log.read_text("utf-8", "replace")

    def add_jobmanager(self) -> int:
        """Start another one, in a cluster that began with several; returns its number. Does not wait."""
        return self._cluster.add_jobmanager()

    # -- waiting ------------------------------------------------------------------------------------------------

    def describe(self) -> ClusterDetails:
        """What the JobManager knows of its TaskManagers and slots."""
        return self._session.connection().describe_cluster()

    def number_of(self, taskmanager_id: str) -> int:
        """The number of the TaskManager that job details and ``describe`` call so."""
        for number, server in enumerate(self._cluster.taskmanagers):
            if f"TaskManager {taskmanager_id} " in server.log.read_text(errors="replace"):
                return number
        raise ValueError(f"no TaskManager of this cluster is called {taskmanager_id}")

    def wait_until(self, found: Callable[[], FoundT], what: str, timeout_s: float = WAIT_TIMEOUT_S) -> FoundT:
        """Ask ``found`` until its answer is true, and return that. ``AssertionError`` with ``what`` after a time."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        pause = threading.Event()
        while not (answer := found()):
            if self._clock.monotonic_s() > deadline_s:
                raise AssertionError(f"waited {timeout_s:g} s for {what}")
            pause.wait(WAIT_INTERVAL_S)
        return answer

    def wait_for_slots(self, total: int, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Until exactly so many slots are registered."""
        self.wait_until(lambda: self.describe().slots_total == total, f"{total} slots", timeout_s)

    def wait_for_checkpoint(self, job: JobClient, timeout_s: float = WAIT_TIMEOUT_S) -> JobDetails:
        """Until ``job`` has completed a checkpoint after this call, or has ended."""
        completed = job.describe().checkpoints.completed

        def done() -> JobDetails | None:
            details = job.describe()
            return details if details.checkpoints.completed > completed or details.summary.ended_ms else None

        details = self.wait_until(done, f"a checkpoint of {job.name!r}", timeout_s)
        assert details is not None
        return details

    # -- life ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop all processes and remove everything. Idempotent."""
        if self._entered:
            self._entered = False
            set_current_session(self._session_before)
        try:
            self._session.close()
        finally:
            for number in list(self._frozen):
                self.thaw(number)
            for number in list(self._frozen_jobmanagers):
                self.thaw_jobmanager(number)
            self._cluster.close()

    def __enter__(self) -> Self:
        try:
            self._cluster.wait_until_started()
            self._session = Session(self._cluster.configuration)  # the port is known now
            self._session_before = set_current_session(self._session)
            self._entered = True
            self.wait_for_slots(self._cluster.slots_total)
            for number, slots in enumerate(self._cluster.slots):
                self.wait_until(lambda n=number, s=slots: len(self.slots_of(n)) == s, "slot processes")  # type: ignore[misc]
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- inside -------------------------------------------------------------------------------------------------

    def _taskmanager(self, number: int) -> ServerProcess:
        return _running(self._cluster.taskmanagers, number, "TaskManager")


def _running(servers: list[ServerProcess], number: int, role: str) -> ServerProcess:
    if not 0 <= number < len(servers):
        raise ValueError(f"there is no {role} {number}; {len(servers)} were started")
    server = servers[number]
    if server.exit_code() is not None:
        raise UnavailableError(f"{role} {number} has ended: {server.story()}")
    return server
