"""The embedded cluster: JobManagers and TaskManagers as child processes, for tests and for ``millstream run --local``.

Everything private to it lives in one temporary directory: the secret (mode 0600), the address file, logs, blobs, and
sockets. Both servers start at once; a TaskManager that is up before the JobManager keeps trying to register. The
processes end with their parent, however it ends (``child.py``).
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import socket
import threading
from pathlib import Path
from types import TracebackType

from millstream.core.clock import Clock, SystemClock
from millstream.core.config import Configuration, load, options
from millstream.core.config.loading import environment_without_settings
from millstream.core.config.options import temporary_directory
from millstream.core.errors import UnavailableError
from millstream.core.ha.leader_address import LeaderAddress
from millstream.core.ha.leader_finder import LeaderFinder
from millstream.core.ha.settings import has_election, open_finder
from millstream.local.server_process import STOP_TIMEOUT_S, ServerProcess

ORIGIN = "embedded cluster"
START_TIMEOUT_S = 30.0
START_ATTEMPTS_MAX = 3
POLL_INTERVAL_S = 0.01


class LocalCluster:
    """``with LocalCluster(taskmanagers=1, slots=2) as cluster: ...``; ``cluster.address`` is its JobManager's.

    Several ``jobmanagers`` elect one of them by a file lease in the cluster's directory.

    Starting does not block: ``wait_until_started`` does, and clients call it before their first call. ``stdout`` is the
    descriptor for what user functions print (None: this process's standard output). Checkpoints go where the settings
    say; without ``keeps_checkpoints``, and if the settings say nothing, into the cluster's directory.
    """

    def __init__(
        self,
        taskmanagers: int = 1,
        slots: int = 2,
        configuration: Configuration | None = None,
        *,
        clock: Clock | None = None,
        stdout: int | None = None,
        keeps_checkpoints: bool = True,
        jobmanagers: int = 1,
    ) -> None:
        self._base = configuration or load(environ=os.environ)
        self._clock = clock or SystemClock()
        self._stdout = stdout
        self._keeps_checkpoints = keeps_checkpoints
        self._lock = threading.Lock()
        self._closed = False
        self._owner_pid = os.getpid()
        self._slots = [slots] * taskmanagers
        self.directory = temporary_directory(self._base) / f"millstream-{secrets.token_hex(6)}"
        self._secret_file = self.directory / "secret"
        self._jobmanagers: list[ServerProcess] = []
        self._taskmanagers: list[ServerProcess] = []
        self._jobmanagers_wanted = jobmanagers
        self._finder: LeaderFinder | None = None
        self._started = False
        self._attempt = 0
        self.configuration = self._base
        atexit.register(self.close)
        try:  # an interrupt may come anywhere from here on
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            self.directory.mkdir(mode=0o700)
            _write_private(self._secret_file, secrets.token_hex(32))
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """``host:port`` of the JobManager, of the one that leads if there are several."""
        leader = LeaderAddress.of(self.configuration)
        try:
            return leader.current()
        finally:
            leader.close()

    @property
    def slots(self) -> list[int]:
        """How many each TaskManager has."""
        return list(self._slots)

    @property
    def slots_total(self) -> int:
        return sum(self._slots)

    @property
    def process_ids(self) -> list[int]:
        """Of the JobManagers, then of the TaskManagers."""
        return [server.pid for server in self._servers]

    @property
    def jobmanagers(self) -> list[ServerProcess]:
        """In order of their start, with those that have ended."""
        return list(self._jobmanagers)

    @property
    def taskmanagers(self) -> list[ServerProcess]:
        """In order of their start, with those that have ended."""
        return list(self._taskmanagers)

    def leader(self) -> int | None:
        """The number of the JobManager that began to lead last, if it runs; None before the first one does."""
        elects = self._jobmanagers_wanted > 1
        if elects and self._finder is None:
            self._finder = open_finder(self.configuration)
        record = self._finder.find() if self._finder is not None else None
        for number, server in enumerate(self._jobmanagers):
            file = self._address_file(number)
            serves_at = file.read_text().strip() if file.exists() and server.exit_code() is None else ""
            if serves_at and (not elects or (record is not None and record.address == serves_at)):
                return number
        return None

    def ensure_slots(self, needed: int) -> None:
        """Start another TaskManager if the cluster has fewer than ``needed`` slots."""
        with self._lock:
            missing = needed - self.slots_total
            if missing > 0:
                self._add_taskmanager(missing)

    def add_taskmanager(self, slots: int) -> int:
        """Start another TaskManager; returns its number, counted from 0."""
        with self._lock:
            return self._add_taskmanager(slots)

    def add_jobmanager(self) -> int:
        """Start another JobManager, in a cluster that began with several; returns its number, counted from 0."""
        if self._jobmanagers_wanted == 1:
            raise ValueError("the cluster was started with one JobManager, which has no election; start it with two")
        with self._lock:
            if not self._closed:
                self._start_jobmanager(len(self._jobmanagers))
            return len(self._jobmanagers) - 1

    def wait_until_started(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Return when a JobManager leads. ``UnavailableError`` with the end of its log if it cannot."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        pause = threading.Event()
        while not self._started:
            if self.leader() is not None:
                self._started = True
                return
            dead = all(server.exit_code() is not None for server in self._jobmanagers)
            if dead and self._attempt < START_ATTEMPTS_MAX and self._port_was_taken():
                self._stop_servers()
                self._start()
            elif dead or self._clock.monotonic_s() > deadline_s:
                raise UnavailableError(f"the embedded cluster did not start: {self._jobmanagers[0].story()}")
            pause.wait(POLL_INTERVAL_S)

    def check(self) -> None:
        """``UnavailableError`` if a server has ended, with its story."""
        for server in self._servers:
            if server.exit_code() is not None and not self._closed:
                raise UnavailableError(f"the embedded cluster lost a process: {server.story()}")

    def close(self) -> None:
        """Stop all processes and remove the directory. Idempotent, and complete even when interrupted."""
        with self._lock:
            if self._closed or os.getpid() != self._owner_pid:
                return  # a fork of the owner must not stop what is not its own
            self._closed = True
        atexit.unregister(self.close)
        if self._finder is not None:
            self._finder.close()
        try:
            self._stop_servers()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- processes ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._attempt += 1
        self.configuration = self._base.with_values(self._private_settings(), ORIGIN)
        self._jobmanagers, self._taskmanagers = [], []
        for number in range(self._jobmanagers_wanted):
            self._start_jobmanager(number)
        for number in range(len(self._slots)):
            self._start_taskmanager(number)

    @property
    def _servers(self) -> list[ServerProcess]:
        return [*self._jobmanagers, *self._taskmanagers]

    def _name_of(self, jobmanager: int) -> str:
        return "jobmanager" if self._jobmanagers_wanted == 1 else f"jobmanager-{jobmanager}"

    def _address_file(self, jobmanager: int) -> Path:
        return self.directory / f"{self._name_of(jobmanager)}.address"

    def _start_jobmanager(self, number: int) -> None:
        log = self.directory / f"{self._name_of(number)}.log"
        arguments = ["--address-file", str(self._address_file(number))]
        self._jobmanagers.append(
            ServerProcess("millstream.jobmanager", arguments, self._environment(), log, remove=self.directory)
        )

    def _add_taskmanager(self, slots: int) -> int:
        if not self._closed:
            self._slots.append(slots)
            self._start_taskmanager(len(self._slots) - 1)
        return len(self._slots) - 1

    def _start_taskmanager(self, number: int) -> None:
        own = {options.TASKMANAGER_NUMBER_OF_TASK_SLOTS: str(self._slots[number])}
        environment = self._environment()
        environment.update({option.environment_variable: value for option, value in own.items()})
        log = self.directory / f"taskmanager-{number}.log"
        stdout = 1 if self._stdout is None else self._stdout
        self._taskmanagers.append(ServerProcess("millstream.taskmanager", [], environment, log, stdout=stdout))

    def _private_settings(self) -> dict[str, object]:
        elects = self._jobmanagers_wanted > 1
        settings: dict[str, object] = {
            options.JOBMANAGER_RPC_ADDRESS.key: None if elects else "127.0.0.1",
            options.JOBMANAGER_RPC_PORT.key: 0 if elects else free_port(),
            options.HA_TYPE.key: self._election_type() if elects else "NONE",
            options.JOBMANAGER_BIND_HOST.key: "127.0.0.1",
            options.TASKMANAGER_HOST.key: "127.0.0.1",
            options.TASKMANAGER_BIND_HOST.key: "127.0.0.1",
            options.TASKMANAGER_RPC_PORT.key: 0,
            options.TASKMANAGER_DATA_PORT.key: 0,
            options.SECURITY_SECRET.key: None,
            options.SECURITY_SECRET_FILE.key: self._secret_file,
            options.BLOB_STORAGE_DIRECTORY.key: self.directory / "blobs",
            options.IO_TMP_DIRS.key: self.directory,
        }
        if elects and self._base.is_default(options.HA_STORAGE_DIR):
            settings[options.HA_STORAGE_DIR.key] = self.directory / "ha"
        if not elects and self._base.is_default(options.CLIENT_TIMEOUT):
            settings[options.CLIENT_TIMEOUT.key] = "2 s"  # a child does not come back; its story is wanted soon
        if not self._keeps_checkpoints and self._base.is_default(options.CHECKPOINTING_DIRECTORY):
            settings[options.CHECKPOINTING_DIRECTORY.key] = self.directory / "checkpoints"
        for option in (options.METRICS_JOBMANAGER_PORT, options.METRICS_TASKMANAGER_PORT):
            if self._base.is_default(option):
                settings[option.key] = -1
        return settings

    def _election_type(self) -> str:
        """ZooKeeper if the settings say so, which has to run already; else by the cluster's directory."""
        return self._base[options.HA_TYPE] if has_election(self._base) else "file"

    def _environment(self) -> dict[str, str]:
        inherited = environment_without_settings()
        return {**inherited, **self.configuration.as_environment()}

    def _port_was_taken(self) -> bool:
        """Between choosing the free port and listening on it, another process was faster; try another."""
        return "in use" in self._jobmanagers[0].story()

    def _stop_servers(self) -> None:
        for server in reversed(self._servers):
            server.ask_to_stop()
        deadline_s = self._clock.monotonic_s() + STOP_TIMEOUT_S
        impatient = False
        for server in self._servers:
            try:
                server.stop(0 if impatient else max(0.0, deadline_s - self._clock.monotonic_s()))
            except KeyboardInterrupt:
                impatient = True
                server.stop(0)
        if impatient:
            raise KeyboardInterrupt


def free_port() -> int:
    """A port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
