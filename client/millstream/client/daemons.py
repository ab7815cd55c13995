"""A cluster of background processes on this machine: what ``millstream cluster start|stop|status`` does.

The directory ``cluster.directory`` holds ``cluster.json`` (address and processes), one ``.pid`` and one ``.log`` file a
process. A process is identified by its id *and* its start time, since ids are used again; so nothing foreign is ever
stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from millstream.core.clock import Clock
from millstream.core.config import Configuration, options
from millstream.core.config.loading import environment_without_settings
from millstream.core.errors import ConfigError, UnavailableError
from millstream.core.ha.settings import has_election

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.02
LOG_TAIL_BYTES = 4000
LOG_TAIL_LINES = 12
STATE_FILE = "cluster.json"
STARTER_ORIGIN = "millstream cluster start"
ELECTION = (
    options.HA_TYPE,
    options.HA_STORAGE_DIR,
    options.HA_CLUSTER_ID,
    options.HA_ZOOKEEPER_QUORUM,
    options.HA_ZOOKEEPER_ROOT,
)
LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "::": "[::1]"}
"""Where a server that listens on all addresses is reached from this machine."""


@dataclass(frozen=True)
class Daemon:
    """One background process."""

    role: str
    """"jobmanager", "taskmanager-0", ..."""
    pid: int
    started_ticks: int
    """Field 22 of ``/proc/PID/stat``."""

    def is_running(self) -> bool:
        return start_ticks(self.pid) == self.started_ticks

    def signal_group(self, number: signal.Signals) -> None:
        """To the process and all it started."""
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)


@dataclass(frozen=True)
class RunningCluster:
    """What ``cluster.json`` says."""

    address: str
    """``host:port`` of the JobManager, of several with commas between."""
    directory: Path
    daemons: tuple[Daemon, ...]
    """JobManagers first."""
    settings: Mapping[str, Any]
    """By which clients find the one that leads; empty if there is one."""

    @property
    def jobmanagers(self) -> list[Daemon]:
        return [daemon for daemon in self.daemons if daemon.role.startswith("jobmanager")]

    def log_of(self, daemon: Daemon) -> Path:
        return self.directory / f"{daemon.role}.log"


def running_cluster(configuration: Configuration) -> RunningCluster | None:
    """The cluster that was started with this ``cluster.directory``, if one of its JobManagers runs."""
    cluster = read_state(configuration[options.CLUSTER_DIRECTORY])
    runs = cluster is not None and any(daemon.is_running() for daemon in cluster.jobmanagers)
    return cluster if runs else None


def read_state(directory: Path) -> RunningCluster | None:
    """What the last ``start`` wrote into ``directory``, whether its processes run or not."""
    try:
        state = json.loads((directory / STATE_FILE).read_text())
        daemons = tuple(Daemon(**daemon) for daemon in state["daemons"])
        return (
            RunningCluster(state["address"], directory, daemons, dict(state.get("settings", {}))) if daemons else None
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


class ClusterStarter:
    """Starts JobManagers and TaskManagers, or leaves nothing behind."""

    def __init__(
        self, configuration: Configuration, clock: Clock, wait_for_slots: Callable[[Configuration, int], None]
    ):
        """``wait_for_slots(configuration, n)`` returns when ``n`` slots are ready."""
        self._configuration = configuration
        self._clock = clock
        self._wait_for_slots = wait_for_slots
        self._directory = configuration[options.CLUSTER_DIRECTORY]
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, taskmanagers: int, slots: int, jobmanagers: int = 1) -> RunningCluster:
        """Several ``jobmanagers`` elect one, by a lease in the cluster's directory unless the settings say otherwise.

        ``ConfigError``: one runs already, or a port is taken. ``UnavailableError``: a process does not come up."""
        with locked(self._directory):
            already = read_state(self._directory)
            if already is not None and any(daemon.is_running() for daemon in already.daemons):
                raise ConfigError(
                    f"a cluster that was started before is still running at {already.address} ({already.directory}). "
                    f"Stop it with `millstream cluster stop`, or start a second one with "
                    f"-D cluster.directory=DIRECTORY -D jobmanager.rpc.port=0."
                )
            try:
                return self._start(taskmanagers, slots, jobmanagers)
            except BaseException:
                self._kill_all()
                raise

    def _start(self, taskmanagers: int, slots: int, jobmanagers: int) -> RunningCluster:
        configuration = self._configuration
        if jobmanagers > 1 and not has_election(configuration):
            elected = {options.HA_TYPE.key: "file", options.HA_STORAGE_DIR.key: self._directory / "high-availability"}
            configuration = configuration.with_values(elected, STARTER_ORIGIN)
        ensure_secret(configuration)
        roles = ["jobmanager"] if jobmanagers == 1 else [f"jobmanager-{number}" for number in range(jobmanagers)]
        for number, role in enumerate(roles):
            self._start_jobmanager(role, number, configuration)
        found = [self._await_address(role) for role in roles]
        reached = self._leading_to(found, configuration).with_values(
            {options.TASKMANAGER_NUMBER_OF_TASK_SLOTS.key: slots}, STARTER_ORIGIN
        )
        for number in range(taskmanagers):
            own = self._with_metrics_port(reached, options.METRICS_TASKMANAGER_PORT, number)
            self._spawn(f"taskmanager-{number}", [], own)
        self._wait_for_slots(reached, taskmanagers * slots)
        self._check_alive()
        return self._write_state(",".join(found), configuration)

    def _start_jobmanager(self, role: str, number: int, configuration: Configuration) -> None:
        own = self._with_metrics_port(configuration, options.METRICS_JOBMANAGER_PORT, number)
        first = configuration[options.JOBMANAGER_RPC_PORT]
        port = first + number if first > 0 else 0
        require_free_port(configuration[options.JOBMANAGER_BIND_HOST], port, options.JOBMANAGER_RPC_PORT.key)
        own = own.with_values({options.JOBMANAGER_RPC_PORT.key: port}, STARTER_ORIGIN)
        address_file = self._address_file(role)
        address_file.unlink(missing_ok=True)
        self._spawn(role, ["--address-file", str(address_file)], own)

    def _leading_to(self, found: list[str], configuration: Configuration) -> Configuration:
        """Settings with which TaskManagers and clients find the JobManager: by its record if there is an election."""
        if has_election(configuration):
            return configuration.with_values({options.JOBMANAGER_RPC_ADDRESS.key: None}, STARTER_ORIGIN)
        host, _, port = found[0].rpartition(":")
        address = {options.JOBMANAGER_RPC_ADDRESS.key: host, options.JOBMANAGER_RPC_PORT.key: port}
        return configuration.with_values(address, STARTER_ORIGIN)

    def _address_file(self, role: str) -> Path:
        return self._directory / f"{role}.address"

    def _with_metrics_port(self, base: Configuration, option: options.Option[int], number: int) -> Configuration:
        """The ``number``-th port counted from the setting; a free one if that is taken and nobody asked for it."""
        first = base[option]
        if first <= 0:
            return base
        port = first + number
        host = base[options.METRICS_BIND_HOST]
        if self._configuration.is_default(option):
            return base.with_values({option.key: port if port_is_free(host, port) else 0}, STARTER_ORIGIN)
        require_free_port(host, port, option.key)
        return base.with_values({option.key: port}, STARTER_ORIGIN)

    def _spawn(self, role: str, arguments: list[str], configuration: Configuration) -> None:
        module = "millstream." + role.partition("-")[0]
        inherited = environment_without_settings()
        with (self._directory / f"{role}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**inherited, **configuration.as_environment()},
                cwd="/",
                start_new_session=True,
            )
        self._processes.append((role, process))
        (self._directory / f"{role}.pid").write_text(f"{process.pid}\n")

    def _await_address(self, role: str) -> str:
        """``host:port`` where it listens, as others of this machine reach it."""
        address_file = self._address_file(role)
        deadline_s = self._clock.monotonic_s() + START_TIMEOUT_S
        pause = threading.Event()
        while not address_file.exists():
            self._check_alive()
            if self._clock.monotonic_s() > deadline_s:
                raise UnavailableError(
                    f"the JobManager did not start within {START_TIMEOUT_S:.0f} s{self._log_tail(role)}"
                )
            pause.wait(POLL_INTERVAL_S)
        listening, _, port = address_file.read_text().strip().rpartition(":")
        host = self._configuration[options.JOBMANAGER_RPC_ADDRESS] or LOOPBACK_OF.get(listening, listening)
        return f"{host}:{port}"

    def _check_alive(self) -> None:
        for role, process in self._processes:
            code = process.poll()
            if code is not None:
                raise UnavailableError(f"the {role} ended at once (exit code {code}){self._log_tail(role)}")

    def _log_tail(self, role: str) -> str:
        log = self._directory / f"{role}.log"
        lines = log.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:]
        return f", see {log}" + "".join(f"\n  {line}" for line in lines)

    def _write_state(self, address: str, configuration: Configuration) -> RunningCluster:
        daemons = tuple(Daemon(role, process.pid, start_ticks(process.pid)) for role, process in self._processes)
        flat = configuration.flatten()
        settings = {option.key: flat[option.key] for option in ELECTION} if has_election(configuration) else {}
        state = {"address": address, "daemons": [asdict(daemon) for daemon in daemons], "settings": settings}
        draft = self._directory / (STATE_FILE + ".new")
        draft.write_text(json.dumps(state, indent=2))
        draft.replace(self._directory / STATE_FILE)
        return RunningCluster(address, self._directory, daemons, settings)

    def _kill_all(self) -> None:
        for role, process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            (self._directory / f"{role}.pid").unlink(missing_ok=True)


def stop_cluster(configuration: Configuration, clock: Clock) -> RunningCluster | None:
    """Stop what ``start`` started. None if nothing ran."""
    directory = configuration[options.CLUSTER_DIRECTORY]
    if not directory.is_dir():
        return None
    with locked(directory):
        cluster = read_state(directory)
        if cluster is not None:
            for daemon in in_order_of_end(cluster):
                daemon.signal_group(signal.SIGTERM)
            deadline_s = clock.monotonic_s() + STOP_TIMEOUT_S
            pause = threading.Event()
            while any(daemon.is_running() for daemon in cluster.daemons) and clock.monotonic_s() < deadline_s:
                pause.wait(POLL_INTERVAL_S)
            for daemon in cluster.daemons:
                daemon.signal_group(signal.SIGKILL)
        for leftover in [*directory.glob("*.pid"), *directory.glob("*.address"), directory / STATE_FILE]:
            leftover.unlink(missing_ok=True)
    return cluster


def in_order_of_end(cluster: RunningCluster) -> list[Daemon]:
    """TaskManagers first; but jobs that will go on with the next start do not fail for lack of them."""
    return list(cluster.daemons if cluster.settings else reversed(cluster.daemons))


def ensure_secret(configuration: Configuration) -> None:
    """Create the secret file (mode 0600) unless a secret is given; on loopback only the owner needs to know it."""
    from millstream.core.rpc.secret import ClusterSecret

    ClusterSecret.load(configuration[options.SECURITY_SECRET], configuration[options.SECURITY_SECRET_FILE], create=True)


def port_is_free(host: str, port: int) -> bool:
    """Nobody listens on ``host:port``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def require_free_port(host: str, port: int, key: str) -> None:
    """``ConfigError`` naming the port, the setting and the remedy if the port is taken."""
    if port > 0 and not port_is_free(host, port):
        raise ConfigError(
            f"port {port} on {host} is in use by another process. Stop that process, or choose another port with "
            f"-D {key}=PORT; -D {key}=0 takes any free one."
        )


def start_ticks(pid: int) -> int:
    """When process ``pid`` started, in clock ticks since boot; -1 if there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return -1
    fields = stat[stat.rindex(")") + 2 :].split()
    return -1 if fields[0] in "ZX" else int(fields[19])


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One ``start`` or ``stop`` at a time."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"another `millstream cluster start` or `stop` is at work in {directory}; try again when it is done."
            ) from None
        yield
