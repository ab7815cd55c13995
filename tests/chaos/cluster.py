"""A cluster with everything that faults need: failpoints that can be armed, links that can be cut, a small disk."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

from millstream.core import protocol_log
from millstream.core.errors import UnavailableError
from millstream.testing import MiniCluster
from millstream.testing.processes import Freeze, family_of
from tests.chaos import disk
from tests.chaos.disk import SmallDisk, small_disk
from tests.chaos.failpoints import Failpoints
from tests.chaos.faults import Need
from tests.chaos.links import Links
from tests.chaos.variants import cluster_settings

TASKMANAGERS: Final = 3
SLOTS: Final = 2
ARMING: Final = Path(__file__).with_name("armed")
CHECKPOINTS: Final = Path("disk", "checkpoints")
PROTOCOL_LOG: Final = "protocol"
TOO_LONG: Final = "a-directory-whose-name-is-so-long-that-no-unix-socket-below-it-can-have-an-address" * 2
"""So slots talk TCP, as they do between machines."""


class ChaosCluster:
    """A ``MiniCluster``, and what lets it fail."""

    def __init__(
        self,
        cluster: MiniCluster,
        directory: Path,
        seed: int,
        failpoints: Failpoints,
        links: Links,
        disk: SmallDisk | None,
    ) -> None:
        self.mini = cluster
        self.checkpoints = directory / CHECKPOINTS
        self.protocol_log = directory / PROTOCOL_LOG
        self.seed = seed
        self.failpoints = failpoints
        self.links = links
        self.disk = disk
        self.taskmanagers = list(range(TASKMANAGERS))
        self.jobmanagers = list(range(len(cluster._cluster.jobmanagers)))
        self._logs_read: dict[Path, int] = {}

    @property
    def capabilities(self) -> set[str]:
        """Needs of faults that can be met."""
        met = {Need.DISK: self.disk is not None, Need.STANDBY: len(self.jobmanagers) > 1}
        return {need for need, is_met in met.items() if is_met}

    def process_of(self, taskmanager: int) -> int:
        """The id of the TaskManager's process."""
        return self.mini._cluster.taskmanagers[taskmanager].pid

    def process_of_jobmanager(self, number: int) -> int:
        """Likewise."""
        return self.mini._cluster.jobmanagers[number].pid

    def home_of(self, slot: int) -> int | None:
        """The TaskManager that the process belongs to."""
        for number in self.taskmanagers:
            with suppress(UnavailableError):
                if slot in self.mini.slots_of(number):
                    return number
        return None

    def kill_slot(self, slot: int) -> bool:
        """Whether it was still there."""
        return self._send(slot, signal.SIGKILL)

    def freeze_slot(self, slot: int) -> bool:
        """Whether it was still there. It stays frozen until it is killed."""
        return self._send(slot, signal.SIGSTOP)

    def _send(self, slot: int, number: signal.Signals) -> bool:
        if self.home_of(slot) is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(slot, number)
        return True

    def freeze(self, taskmanager: int) -> Freeze:
        """The TaskManager and its slots, until the answer's ``thaw``."""
        return Freeze(family_of(self.process_of(taskmanager)))

    def replace(self, taskmanagers: Collection[int]) -> None:
        """Kill TaskManagers with their slots; start others."""
        for number in taskmanagers:
            self.mini.kill_taskmanager(number)
            self.taskmanagers.remove(number)
        for _ in taskmanagers:
            self.taskmanagers.append(self.mini.add_taskmanager())

    def standby(self) -> int:
        """The number of a JobManager that does not lead."""
        leader = self.mini.leader()
        return next(number for number in self.jobmanagers if number != leader)

    def replace_jobmanagers(self, numbers: Collection[int]) -> None:
        """Kill them; start others."""
        for number in numbers:
            with suppress(UnavailableError):  # it has died meanwhile
                self.mini.kill_jobmanager(number)
        self.refill()

    def refill(self) -> None:
        """Start as many JobManagers as have died."""
        servers = self.mini._cluster.jobmanagers
        for number in [number for number in self.jobmanagers if servers[number].exit_code() is not None]:
            self.jobmanagers.remove(number)
            self.jobmanagers.append(self.mini.add_jobmanager())

    def keep_logs(self, directory: Path) -> str:
        """Copy what the processes have written there; returns words for that."""
        for log in self.mini._cluster.directory.glob("*.log"):
            shutil.copy(log, directory)
        if self.protocol_log.exists():
            shutil.copytree(self.protocol_log, directory / PROTOCOL_LOG, dirs_exist_ok=True)
        return f", with the cluster's logs and {PROTOCOL_LOG}"

    def crashes(self) -> str:
        """What the JobManagers did not expect since the last call."""
        told = ""
        for log in sorted(self.mini._cluster.directory.glob("jobmanager*.log")):
            text = log.read_text(errors="replace")
            new, self._logs_read[log] = text[self._logs_read.get(log, 0) :], len(text)
            found = new.find("Traceback")
            told += new[max(0, found - 300) : found + 3000] if found >= 0 else ""
        return told


@cache
def impossible() -> dict[str, str]:
    """Needs of faults that this machine does not meet, with the reasons."""
    reasons = {}
    if reason := disk.why_not():
        reasons[Need.DISK] = reason
    return reasons


@contextmanager
def chaos_cluster(seed: int = 0, jobmanagers: int = 1) -> Iterator[ChaosCluster]:
    """Ends with the block, and with all its processes. ``seed``: of its settings."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        failpoints = Failpoints(directory, standby=jobmanagers > 1)
        links = stack.enter_context(Links(directory))
        possible = Need.DISK not in impossible()
        small = stack.enter_context(small_disk((directory / CHECKPOINTS).parent)) if possible else None
        variables = {
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ARMING), os.environ.get("PYTHONPATH")))),
            protocol_log.VARIABLE: str(directory / PROTOCOL_LOG),
            **failpoints.environment,
            **links.environment,
        }
        stack.enter_context(_environment(variables))
        settings = {
            **cluster_settings(seed),
            "execution.checkpointing.dir": str(directory / CHECKPOINTS),
            "io.tmp.dirs": str(directory / TOO_LONG),
        }
        mini = stack.enter_context(MiniCluster(TASKMANAGERS, SLOTS, settings, jobmanagers=jobmanagers))
        yield ChaosCluster(mini, directory, seed, failpoints, links, small)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
