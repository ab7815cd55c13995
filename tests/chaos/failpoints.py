"""What each failpoint does when it is hit, and the files by which a test lets it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Final

from millstream.core.failpoints import FAILPOINTS

ONE_JOBMANAGER: Final = {
    "enumerators.copied": "error",
    "trigger.send": "delay:150ms",
    "answer.taken": "delay:150ms",
    "savepoint.sealed": "delay:150ms",
    "deployment.send": "error",
    "deployment.sent": "delay:150ms",
    "manifest.write": "io-error",
    "manifest.written": "io-error",
    "checkpoint.announce": "delay:150ms",
    "checkpoint.note": "io-error",
    "discard.begin": "io-error",
    "discard.end": "delay:150ms",
    "discard.all": "delay:150ms",
}
"""In a cluster whose only JobManager has to live; elsewhere a process dies at each failpoint."""
ALWAYS: Final = {"files.sync": "io-error"}
STANDBY_ONLY: Final = ("jobstore.", "ledger.", "takeover.", "splits.")
"""Nobody comes by at those that begin so, unless others may follow the JobManager."""
OVERTAKING_ONLY: Final = ("barrier.overtak",)
"""Nobody comes by at those, unless barriers may overtake."""
UPLOAD: Final = "files.write=io-error%20"


class Passing(Enum):
    """What makes a process come by at a failpoint, where waiting does not."""

    NOTHING = "nothing"
    RESTORE = "a slot dies after a checkpoint"
    DEPLOYMENT = "a slot dies"
    CANCELLATION = "a slot dies, or the only one has to stop its subtasks"
    TAKEOVER = "the leader dies"
    SEALED_TAKEOVER = "the leader dies between the manifest of a checkpoint and its claim"
    SUBMISSION = "the job goes on as another one, from a savepoint"
    END = "the job ends"


_PASSING: Final = {
    "restore.": Passing.RESTORE,
    "cancel.": Passing.CANCELLATION,
    "savepoint.": Passing.SUBMISSION,
    "deployment.": Passing.DEPLOYMENT,
    "splits.recorded": Passing.DEPLOYMENT,
    "splits.resumed": Passing.TAKEOVER,
    "jobstore.accept": Passing.SUBMISSION,
    "jobstore.writ": Passing.DEPLOYMENT,
    "jobstore.forget": Passing.END,
    "jobstore.": Passing.TAKEOVER,
    "ledger.claimed": Passing.SEALED_TAKEOVER,
    "ledger.": Passing.TAKEOVER,
    "takeover.": Passing.TAKEOVER,
    "discard.all": Passing.END,
}


def passing(name: str) -> Passing:
    """By how its name begins."""
    return next((how for start, how in _PASSING.items() if name.startswith(start)), Passing.NOTHING)


def reachable(standby: bool, overtaking: bool = True) -> list[str]:
    """Failpoints that somebody comes by, in a cluster with a standby or without; where barriers overtake, or not."""
    others = (() if standby else STANDBY_ONLY) + (() if overtaking else OVERTAKING_ONLY)
    return [name for name in FAILPOINTS if not name.startswith(others)]


def actions(standby: bool) -> dict[str, str]:
    """What each does when it is armed."""
    special = ALWAYS if standby else {**ONE_JOBMANAGER, **ALWAYS}
    return {name: special.get(name, "kill") for name in FAILPOINTS}


class Failpoints:
    """Armed one at a time, by markers in a directory: each ``arm`` makes one process act, once."""

    def __init__(self, directory: Path, standby: bool) -> None:
        self._actions = actions(standby)
        self._markers = directory / "markers"
        self._switch = directory / "uploads-fail"
        self._markers.mkdir()
        self.disarm()

    @property
    def environment(self) -> dict[str, str]:
        """For the processes of the cluster."""
        armed = [f"{name}={action}:{self._markers / name}" for name, action in self._actions.items()]
        return {"CHAOS_FAILPOINTS": ";".join([*armed, f"{UPLOAD}?{self._switch}"])}

    def arm(self, name: str) -> None:
        """The next process that comes by acts."""
        (self._markers / name).unlink(missing_ok=True)

    def has_acted(self, name: str) -> bool:
        return (self._markers / name).exists()

    def disarm(self) -> None:
        """None acts any more."""
        for name in self._actions:
            (self._markers / name).touch()
        self.let_uploads_fail(False)

    def let_uploads_fail(self, wanted: bool) -> None:
        """Now and then, until they are told not to."""
        if wanted:
            self._switch.touch()
        else:
            self._switch.unlink(missing_ok=True)
