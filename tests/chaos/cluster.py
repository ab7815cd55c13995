"""A cluster whose failpoints can be armed one at a time while jobs run."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from millstream.core.errors import UnavailableError
from millstream.testing import MiniCluster
from tests.chaos.variants import ACTIONS, CLUSTER

TASKMANAGERS: Final = 3
SLOTS: Final = 2
ARMING: Final = Path(__file__).with_name("armed")


class ChaosCluster:
    """A ``MiniCluster`` and the markers by which its failpoints act: once for each ``arm``."""

    def __init__(self, cluster: MiniCluster, markers: Path) -> None:
        self.mini = cluster
        self._markers = markers
        self.taskmanagers = list(range(TASKMANAGERS))
        self._log_read = 0

    def arm(self, failpoint: str) -> None:
        """The next process that comes by acts."""
        (self._markers / failpoint).unlink(missing_ok=True)

    def has_acted(self, failpoint: str) -> bool:
        return (self._markers / failpoint).exists()

    def disarm(self) -> None:
        """None acts any more."""
        for name in ACTIONS:
            (self._markers / name).touch()

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

    def replace(self, taskmanager: int) -> None:
        """Kill a TaskManager with its slots; start another one."""
        self.mini.kill_taskmanager(taskmanager)
        self.taskmanagers.remove(taskmanager)
        self.taskmanagers.append(self.mini.add_taskmanager())

    def crashes(self) -> str:
        """What the JobManager did not expect since the last call."""
        text = (self.mini._cluster.directory / "jobmanager.log").read_text(errors="replace")
        new, self._log_read = text[self._log_read :], len(text)
        found = new.find("Traceback")
        return new[max(0, found - 300) : found + 3000] if found >= 0 else ""


@contextmanager
def chaos_cluster() -> Iterator[ChaosCluster]:
    """Ends with the block, and with all its processes."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        markers = Path(directory, "markers")
        markers.mkdir()
        armed = ";".join(f"{name}={action}:{markers / name}" for name, action in ACTIONS.items())
        before = {name: os.environ.get(name) for name in ("PYTHONPATH", "CHAOS_FAILPOINTS")}
        paths = os.pathsep.join(filter(None, (str(ARMING), before["PYTHONPATH"])))
        os.environ.update({"PYTHONPATH": paths, "CHAOS_FAILPOINTS": armed})
        for name in ACTIONS:
            (markers / name).touch()
        try:
            settings = {**CLUSTER, "io.tmp.dirs": str(Path(directory, "cluster"))}
            with MiniCluster(TASKMANAGERS, SLOTS, settings) as mini:
                yield ChaosCluster(mini, markers)
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
