"""What a client learns of a job: its status and, at the end, its result. Names and methods are PyFlink's."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class JobStatus(enum.IntEnum):
    """Where a job is in its life. Values equal ``JobStatus`` of ``common.proto``."""

    CREATED = 1
    """Accepted, waiting for slots."""
    INITIALIZING = 2
    """Its subtasks are being deployed."""
    RUNNING = 3
    FAILING = 4
    """A subtask failed, the others are being cancelled."""
    FAILED = 5
    CANCELLING = 6
    CANCELED = 7
    FINISHED = 8
    RESTARTING = 9
    SUSPENDED = 10
    RECONCILING = 11
    """A JobManager that has just become the leader asks what of it still runs."""

    def is_globally_terminal_state(self) -> bool:
        """The job has ended and will not run again."""
        return self in (JobStatus.FAILED, JobStatus.CANCELED, JobStatus.FINISHED)

    def is_terminal_state(self) -> bool:
        """As ``is_globally_terminal_state``, or this JobManager gave the job up."""
        return self.is_globally_terminal_state() or self is JobStatus.SUSPENDED

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class JobExecutionResult:
    """The outcome of a job that finished, or of one that was submitted and left running (``attached`` False)."""

    job_id: str
    job_name: str
    net_runtime_ms: int = 0
    """From the moment all subtasks ran until the job finished."""
    counts: Mapping[str, float] = field(default_factory=dict)
    """Totals over all subtasks, by ``operator name.counter``: ``"map.records_out"``."""
    attached: bool = True

    def get_job_id(self) -> str:
        return self.job_id

    def get_net_runtime(self) -> int:
        """Milliseconds the job ran."""
        return self.net_runtime_ms

    def is_job_execution_result(self) -> bool:
        """False if the job was only submitted (``millstream run --detached``)."""
        return self.attached

    def get_all_accumulator_results(self) -> dict[str, float]:
        """All counts by ``operator name.counter``."""
        return dict(self.counts)

    def get_accumulator_result(self, accumulator_name: str) -> float:
        """One of the counts; ``KeyError`` names those there are."""
        try:
            return self.counts[accumulator_name]
        except KeyError:
            raise KeyError(f"{accumulator_name!r}; there are {', '.join(sorted(self.counts))}") from None
