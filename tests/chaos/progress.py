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


def describe(job: JobClient) -> JobDetails | None:
    """What the JobManager says of the job; None when it does not answer."""
    try:
        return job.describe()
    except MillstreamError:
        return None
