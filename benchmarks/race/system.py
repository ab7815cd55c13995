"""What the race asks of a system that runs the job."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class System(Protocol):
    """A cluster of real processes with one job. Times are wall seconds of this machine."""

    name: str
    struck_s: float
    """When the last fault began."""

    def start(self, home: Path) -> None:
        """All processes; returns when the job can be placed."""

    def submit(self, output: Path) -> None:
        """Start the job, which commits into ``output``."""

    def is_steady(self) -> bool:
        """The job runs; there are as many processes as at the start, and they have loaded what they need."""

    def checkpoints(self) -> int:
        """Completed so far; may start anew with a new JobManager."""

    def strike(self, kind: str, choice: int) -> None:
        """Do it, at once."""

    def noticed(self, kind: str, since_s: float) -> float | None:
        """When the system first acted on it: the job left RUNNING, or another JobManager answers for it."""

    def restarted(self, since_s: float) -> bool:
        """Whether any task was started again since then."""

    def heal(self) -> None:
        """Thaw what is frozen, and start a process for each that was killed, as a supervisor would."""

    def close(self) -> None:
        """End everything."""
