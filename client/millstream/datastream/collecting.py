"""Results on their way back to the program."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Final, Generic, TypeVar, overload

from millstream.core.graph.specs import CollectSpec
from millstream.datastream.call_site import refuse
from millstream.datastream.writing import WritableStream

if TYPE_CHECKING:
    from millstream.client.job_client import JobClient

T = TypeVar("T")

_END_TIMEOUT_S: Final = 0.5
_CANCEL_TIMEOUT_S: Final = 30.0


class CloseableIterator(Generic[T]):
    """The records of a running job, in order. Closing it before the end cancels the job; use it in ``with``."""

    def __init__(self, job: JobClient, operator_id: str) -> None:
        self._job = job
        self._values: Iterator[T] = job.results(operator_id)

    @property
    def job(self) -> JobClient:
        """The job behind the results."""
        return self._job

    def __iter__(self) -> CloseableIterator[T]:
        return self

    def __next__(self) -> T:
        """The next record; waits for it. Raises what made the job fail."""
        return next(self._values)

    def close(self) -> None:
        """End the job if it still runs. Idempotent."""
        if self._job.has_ended or self._job.wait_until_ended([], _END_TIMEOUT_S) is not None:
            return
        self._job.cancel()
        self._job.wait_until_ended([], _CANCEL_TIMEOUT_S)

    def __enter__(self) -> CloseableIterator[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class CollectableStream(WritableStream, Generic[T]):
    """A stream whose records the program can fetch."""

    @overload
    def execute_and_collect(self, job_execution_name: str | None = None) -> CloseableIterator[T]: ...
    @overload
    def execute_and_collect(self, job_execution_name: str | None = None, *, limit: int) -> list[T]: ...
    @overload
    def execute_and_collect(self, job_execution_name: str | None, limit: int) -> list[T]: ...
    def execute_and_collect(
        self, job_execution_name: str | None = None, limit: int | None = None
    ) -> CloseableIterator[T] | list[T]:
        """Run the job and iterate over the records of this stream as they are computed.

        With ``limit``: a list of that many records at most; the job is cancelled when they are there.
        """
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise refuse(f"execute_and_collect takes a limit of at least 1, not {limit!r}.")
        program = self._environment._program
        node = self._add("collect", CollectSpec(), output_type=self._record_type)
        try:
            job, operator_ids = self._environment._submit(job_execution_name)
        except BaseException:
            program.withdraw(node)
            raise
        results: CloseableIterator[T] = CloseableIterator(job, operator_ids[node.node_id])
        if limit is None:
            return results
        with results:
            return list(islice(results, limit))
