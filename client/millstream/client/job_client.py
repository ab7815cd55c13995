"""A submitted job, from the client's side: status, waiting, cancelling, results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from millstream.common.completable_future import CompletableFuture
from millstream.core.api.job import JobExecutionResult, JobStatus
from millstream.core.clock import Clock, SystemClock
from millstream.core.errors import Blame, CheckpointError, MillstreamError

if TYPE_CHECKING:
    from millstream.client.connection import ClusterConnection
    from millstream.core.elements import Batch
    from millstream.proto.v1.jobmanager_pb2 import FetchResultsResponse, JobDetails

R = TypeVar("R")

OnDetails = Callable[["JobDetails"], None]
"""Called with each new reading of the job while the client waits."""

ShowProgress = Callable[[], AbstractContextManager[OnDetails | None]]
"""Opens a display for one wait; leaving the context closes the display."""

PROGRESS_INTERVAL_MS = 500
QUIET_INTERVAL_MS = 10_000


class JobCanceledError(MillstreamError):
    """The job that somebody waited for was cancelled."""

    blame = Blame.USER


class JobClient:
    """Handle of one job. Cheap to make; every method that asks the JobManager says so."""

    def __init__(
        self,
        connection: ClusterConnection,
        job_id: str,
        name: str,
        *,
        detached: bool = False,
        show_progress: ShowProgress | None = None,
        check_cluster: Callable[[], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._connection = connection
        self.job_id = job_id
        self.name = name
        self._detached = detached
        self._show_progress: ShowProgress = show_progress or nullcontext
        self._check_cluster = check_cluster
        self._clock = clock or SystemClock()
        self._ended: JobDetails | None = None

    def get_job_id(self) -> str:
        """The id, 32 hexadecimal digits."""
        return self.job_id

    def get_job_status(self) -> CompletableFuture[JobStatus]:
        """The status; ``result()`` asks the JobManager."""
        return CompletableFuture(self.status)

    def get_job_execution_result(self) -> CompletableFuture[JobExecutionResult]:
        """What ``execute`` returns; ``result()`` waits for the end of the job and raises what made it fail."""
        return CompletableFuture(self.wait)

    def status(self) -> JobStatus:
        """Ask the JobManager for the status."""
        return JobStatus(self.describe().summary.status)

    def describe(self) -> JobDetails:
        """Ask the JobManager for everything it knows of the job."""
        return self._ended or self._guarded(partial(self._connection.describe, self.job_id))

    def cancel(self) -> JobStatus:
        """Ask the JobManager to cancel the job; returns its status then, usually CANCELLING. Does not wait."""
        return JobStatus(self._guarded(partial(self._connection.cancel, self.job_id)).status)

    def rescale(self, parallelism: int = 0, **by_vertex: int) -> bool:
        """Let the job go on, from a checkpoint taken now, with ``parallelism`` subtasks an operator.

        Operators whose parallelism the program set keep it, unless named here by their uid. False when nothing changed.
        """
        return self._guarded(partial(self._connection.rescale, self.job_id, parallelism, by_vertex)).changed

    def trigger_savepoint(self, savepoint_directory: str | None = None) -> CompletableFuture[str]:
        """Write a savepoint below a directory that the cluster sees, and go on; ``result()`` is where it is.

        Waits for it. None: where ``execution.checkpointing.savepoint-dir`` says. Raises ``CheckpointError``.
        """
        return _known(self._take_savepoint(savepoint_directory, stop=False, drain=False))

    def stop_with_savepoint(
        self, advance_to_end_of_event_time: bool, savepoint_directory: str | None = None
    ) -> CompletableFuture[str]:
        """Write a savepoint, commit what it holds, and end the job, which is FINISHED; ``result()`` is where it is.

        Waits for that. ``advance_to_end_of_event_time``: as if the input had ended, so that all windows fire; for a job
        that will not go on. Raises ``CheckpointError``, also when the savepoint is complete and was not committed.
        """
        path = self._take_savepoint(savepoint_directory, stop=True, drain=advance_to_end_of_event_time)
        details = self.wait_until_ended([])
        assert details is not None, "without a timeout the wait ends with the job"
        if JobStatus(details.summary.status) is not JobStatus.FINISHED:
            raise CheckpointError(f"{path}: {uncommitted(details)}")
        return _known(path)

    def _take_savepoint(self, directory: str | None, *, stop: bool, drain: bool) -> str:
        from millstream.core.checkpoint.storage import absolute_location

        target = absolute_location(directory) if directory else ""
        take = partial(self._connection.take_savepoint, self.job_id, target, stop=stop, drain=drain)
        return str(self._guarded(take).path)

    @property
    def has_ended(self) -> bool:
        """Some wait has seen the end of the job. Asks nobody."""
        return self._ended is not None

    def wait(self, progress: OnDetails | None = None) -> JobExecutionResult:
        """Return when the job has finished; ``progress`` gets a reading about every half second.

        Raises what made the job fail, or ``JobCanceledError``. ``millstream run --detached`` does not wait.
        """
        if self._detached:
            return JobExecutionResult(self.job_id, self.name, attached=False)
        with self._show_progress() as display:
            listeners = [listener for listener in (progress, display) if listener is not None]
            details = self.wait_until_ended(listeners)
        assert details is not None, "without a timeout the wait ends with the job"
        return execution_result(details)

    def wait_until_ended(self, listeners: list[OnDetails], timeout_s: float | None = None) -> JobDetails | None:
        """Follow the job to a terminal status, whichever it is; None if that takes longer than ``timeout_s``."""
        version = 0
        interval_ms = QUIET_INTERVAL_MS if not listeners and timeout_s is None else PROGRESS_INTERVAL_MS
        started_s = self._clock.monotonic_s()
        while self._ended is None:
            details = self._guarded(partial(self._connection.describe, self.job_id, version, interval_ms))
            version = details.version
            for listener in listeners:
                listener(details)
            if JobStatus(details.summary.status).is_globally_terminal_state():
                self._ended = details
            elif timeout_s is not None and self._clock.monotonic_s() - started_s > timeout_s:
                return None
        return self._ended

    def wait_until_running(self, timeout_s: float) -> JobDetails:
        """Until the job runs, or has ended, or that takes too long; the last reading."""
        version, started_s = 0, self._clock.monotonic_s()
        while True:
            details = self._guarded(partial(self._connection.describe, self.job_id, version, PROGRESS_INTERVAL_MS))
            version = details.version
            status = JobStatus(details.summary.status)
            late = self._clock.monotonic_s() - started_s > timeout_s
            if late or status is JobStatus.RUNNING or status.is_globally_terminal_state():
                return details

    def results(self, operator_id: str) -> Iterator[Any]:
        """The records that the collect sink ``operator_id`` receives, in order, until the job ends.

        Raises what made the job fail. Batches that were handed out are acknowledged by the next request.
        """
        from millstream.client.results import result_values

        return result_values(self.job_id, self.name, self._fetch(operator_id))

    def result_batches(self, operator_id: str) -> Iterator[Batch]:
        """The same in batches, with the row kinds of a changelog."""
        from millstream.client.results import result_batches

        return result_batches(self.job_id, self.name, self._fetch(operator_id))

    def _fetch(self, operator_id: str) -> Callable[[int, int], FetchResultsResponse]:
        def fetch(token: int, wait_ms: int) -> FetchResultsResponse:
            return self._guarded(lambda: self._connection.fetch_results(self.job_id, operator_id, token, wait_ms))

        return fetch

    def _guarded(self, call: Callable[[], R]) -> R:
        """``call``; if it cannot reach an embedded cluster, say which of its processes died rather than "no answer"."""
        try:
            return call()
        except MillstreamError:
            if self._check_cluster is not None:
                self._check_cluster()
            raise


def execution_result(details: JobDetails) -> JobExecutionResult:
    """The result of a job that ended; raises if it did not finish."""
    summary = details.summary
    status = JobStatus(summary.status)
    if status is JobStatus.FAILED:
        from millstream.core.rpc.error_info import from_proto

        error = from_proto(details.error)
        error.job_id = summary.job_id
        raise error
    if status is JobStatus.CANCELED:
        raise JobCanceledError(f"job {summary.name!r} ({summary.job_id}) was cancelled.")
    running_ms = [change.at_ms for change in details.history if JobStatus(change.status) is JobStatus.RUNNING]
    started_ms = running_ms[-1] if running_ms else summary.started_ms
    return JobExecutionResult(
        summary.job_id, summary.name, max(0, summary.ended_ms - started_ms), operator_counts(details)
    )


def uncommitted(details: JobDetails) -> str:
    """What to know of a job that was stopped with a savepoint, and is not FINISHED."""
    told = (
        f"The savepoint is complete, but the job is {JobStatus(details.summary.status)}, so its results up to there "
        f"may not be committed: a job that starts from the savepoint commits them."
    )
    return f"{told} {details.error.message}".rstrip()


def _known(value: R) -> CompletableFuture[R]:
    """One whose answer is here."""
    future = CompletableFuture(lambda: value)
    future.result()
    return future


def operator_counts(details: JobDetails) -> dict[str, float]:
    """Counters of all operators, summed over their subtasks: ``{"map.records_out": 3.0}``."""
    counts: dict[str, float] = {}
    for vertex in details.vertices:
        for subtask in vertex.subtasks:
            for operator in subtask.metrics.operators:
                for metric, value in operator.values.items():
                    if metric.endswith("_total"):
                        name = f"{operator.operator_name}.{metric.removesuffix('_total')}"
                        counts[name] = counts.get(name, 0) + value
    return counts
