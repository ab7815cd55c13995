"""The life of a job as a table: every legal edge is a row, any other raises with the story so far."""

from __future__ import annotations

from typing import Final

from millstream.core.api.job import JobStatus
from millstream.core.errors import invariant

S = JobStatus

EDGES: Final[dict[JobStatus, frozenset[JobStatus]]] = {
    S.CREATED: frozenset({S.INITIALIZING, S.CANCELLING, S.FAILING, S.RECONCILING}),
    S.RECONCILING: frozenset({S.INITIALIZING, S.RUNNING, S.RESTARTING, S.FAILING, S.SUSPENDED}),
    S.INITIALIZING: frozenset({S.RUNNING, S.CANCELLING, S.FAILING}),
    S.RUNNING: frozenset({S.FINISHED, S.CANCELLING, S.FAILING, S.RESTARTING, S.SUSPENDED}),
    S.FAILING: frozenset({S.FAILED, S.CANCELLING, S.RESTARTING, S.SUSPENDED}),
    S.CANCELLING: frozenset({S.CANCELED, S.FINISHED, S.FAILED, S.SUSPENDED}),
    S.RESTARTING: frozenset({S.INITIALIZING, S.CANCELLING, S.FAILING, S.SUSPENDED}),
    S.FAILED: frozenset(),
    S.CANCELED: frozenset(),
    S.FINISHED: frozenset(),
    S.SUSPENDED: frozenset(),
}


class JobStory:
    """A job's status and how it came to it."""

    def __init__(self, job_id: str, now_ms: int) -> None:
        self._job_id = job_id
        self.status = JobStatus.CREATED
        self.history: list[tuple[JobStatus, int]] = [(JobStatus.CREATED, now_ms)]

    def become(self, status: JobStatus, now_ms: int) -> None:
        """Take an edge of the table. Raises ``InvariantViolation`` for any other."""
        story = " -> ".join(str(past) for past, _ in self.history)
        invariant(status in EDGES[self.status], f"job {self._job_id} cannot become {status} after {story}")
        self.status = status
        self.history.append((status, now_ms))

    @property
    def started_ms(self) -> int:
        return self.history[0][1]

    @property
    def ended_ms(self) -> int:
        """When the job ended; 0 while it has not."""
        return self.history[-1][1] if self.status.is_terminal_state() else 0


def mermaid() -> str:
    """The table as a diagram for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> CREATED"]
    for status, following in EDGES.items():
        lines += [f"    {status} --> {other}" for other in sorted(following)]
        if not following:
            lines.append(f"    {status} --> [*]")
    return "\n".join(lines)
