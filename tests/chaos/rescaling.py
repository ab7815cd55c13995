"""The parallelism of a job is changed: while it goes on, or by a savepoint and another start from there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from millstream.client.job_client import JobClient
from millstream.client.session import current_session
from millstream.core.api.job import JobStatus
from millstream.core.clock import SystemClock
from millstream.core.errors import MillstreamError

Submit = Callable[[int, dict[str, Any]], JobClient]

WAIT_S: Final = 60.0
ResultT = TypeVar("ResultT")


def rescale_live(job: JobClient, parallelism: int) -> None:
    """The job itself goes on with another parallelism. What it needs for that may fail, as the job may meanwhile."""
    _insist(job, lambda: job.rescale(parallelism))


def rescale_by_savepoint(job: JobClient, parallelism: int, directory: Path, submit: Submit) -> JobClient:
    """The job that goes on, which may be another one. Its savepoint may be given up, as the job may fail meanwhile."""
    connection = current_session().connection()
    directory = directory / "savepoints"
    path = _insist(job, lambda: connection.take_savepoint(job.job_id, str(directory), stop=True)).path
    ended = job.wait_until_ended([], WAIT_S)
    if ended is None or JobStatus(ended.summary.status) is not JobStatus.FINISHED:
        story = "hangs" if ended is None else f"is {JobStatus(ended.summary.status)}: {ended.error.message}"
        raise AssertionError(f"the job did not stop with its savepoint {path}, it {story}")
    return submit(parallelism, {"execution.state-recovery.path": path})


def _insist(job: JobClient, action: Callable[[], ResultT]) -> ResultT:
    clock = SystemClock()
    deadline_s = clock.monotonic_s() + WAIT_S
    while True:
        try:
            return action()
        except MillstreamError:
            if clock.monotonic_s() > deadline_s or job.describe().summary.ended_ms:
                raise
