"""What each failpoint does when it is hit, and the files by which a test lets it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from millstream.core.failpoints import FAILPOINTS

JOBMANAGER: Final = {
    "enumerators.copied": "error",
    "manifest.write": "io-error",
    "manifest.written": "io-error",
    "checkpoint.announce": "delay:150ms",
    "discard.begin": "io-error",
    "discard.end": "delay:150ms",
    "discard.all": "delay:150ms",
}
"""In a cluster whose only JobManager has to live; elsewhere a process dies at each failpoint."""
STANDBY_ONLY: Final = ("jobstore.", "ledger.", "takeover.")
"""Nobody comes by at those that begin so, unless others may follow the JobManager."""
SLOTS: Final = {"files.sync": "io-error"}
ACTIONS: Final = {name: {**JOBMANAGER, **SLOTS}.get(name, "kill") for name in FAILPOINTS}
UPLOAD: Final = "files.write=io-error%20"


def reachable(standby: bool) -> list[str]:
    """Failpoints that somebody comes by in a cluster with a standby, or without one."""
    return [name for name in FAILPOINTS if standby or not name.startswith(STANDBY_ONLY)]


class Failpoints:
    """Armed one at a time, by markers in a directory: each ``arm`` makes one process act, once."""

    def __init__(self, directory: Path) -> None:
        self._markers = directory / "markers"
        self._switch = directory / "uploads-fail"
        self._markers.mkdir()
        self.disarm()

    @property
    def environment(self) -> dict[str, str]:
        """For the processes of the cluster."""
        armed = [f"{name}={action}:{self._markers / name}" for name, action in ACTIONS.items()]
        return {"CHAOS_FAILPOINTS": ";".join([*armed, f"{UPLOAD}?{self._switch}"])}

    def arm(self, name: str) -> None:
        """The next process that comes by acts."""
        (self._markers / name).unlink(missing_ok=True)

    def has_acted(self, name: str) -> bool:
        return (self._markers / name).exists()

    def disarm(self) -> None:
        """None acts any more."""
        for name in ACTIONS:
            (self._markers / name).touch()
        self.let_uploads_fail(False)

    def let_uploads_fail(self, wanted: bool) -> None:
        """Now and then, until they are told not to."""
        if wanted:
            self._switch.touch()
        else:
            self._switch.unlink(missing_ok=True)
