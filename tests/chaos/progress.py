"""How a job goes on after a fault: when the fault was noticed, and when new output came that started after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from millstream.client.job_client import JobClient
from millstream.core.api.job import JobStatus
from millstream.core.clock import SystemClock
from millstream.core.errors import MillstreamError
from millstream.proto.v1.jobmanager_pb2 import JobDetails
from millstream.testing.outputs import committed_files
from tests.chaos.job import Load

COMPLETED: Final = "COMPLETED"


@dataclass(frozen=True)
class Recovery:
    """Seconds after a fault. ``detected_s``: until the job changed its status; None if it never did."""

    kind: str
    detected_s: float | None
    output_s: float


class Progress:
    """From a fault on. A job goes on when a checkpoint that started after the fault is complete, and output of it or
    of later ones is visible: an old one that was under way does not count."""

    def __init__(self, load: Load, kind: str) -> None:
        self._output = load.directory / "counts"
        self._kind = kind
        self._struck_ms = SystemClock().wall_ms()
        self._files = {file.name for file in committed_files(self._output)}

    def seen(self, details: JobDetails) -> Recovery | None:
        """None: the job does not go on yet."""
        checkpoints = details.checkpoints.history
        since = [c for c in checkpoints if c.status == COMPLETED and c.triggered_ms >= self._struck_ms]
        if not since:
            return None
        started_ms = min(checkpoint.triggered_ms for checkpoint in since)
        new = [file.stat() for file in committed_files(self._output) if file.name not in self._files]
        visible_ms = [stat.st_ctime * 1000 for stat in new if stat.st_ctime * 1000 >= started_ms]
        if not visible_ms:
            return None
        return Recovery(self._kind, self._detected_s(details), (min(visible_ms) - self._struck_ms) / 1000)

    def _detected_s(self, details: JobDetails) -> float | None:
        for change in details.history:
            if change.at_ms >= self._struck_ms and change.status != JobStatus.RUNNING.value:
                return (change.at_ms - self._struck_ms) / 1000
        return None


class Tally:
    """Counts over all jobs of a round and all their leaders, of whom each counts from 0."""

    def __init__(self) -> None:
        self.restarts = 0
        self.checkpoints = 0
        self._last: dict[str, tuple[int, int]] = {}

    def see(self, job_id: str, details: JobDetails) -> None:
        """A reading of one of the jobs."""
        now = details.restarts, int(details.checkpoints.completed)
        before = self._last.get(job_id, (0, 0))
        self._last[job_id] = now
        self.restarts += now[0] - before[0] if now[0] >= before[0] else now[0]
        self.checkpoints += now[1] - before[1] if now[1] >= before[1] else now[1]


def describe(job: JobClient) -> JobDetails | None:
    """What the JobManager says of the job; None when it does not answer."""
    try:
        return job.describe()
    except MillstreamError:
        return None
