"""Results on their way back to the program (``pyflink.datastream`` ``CloseableIterator``)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millstream.client.job_client import JobClient


class CloseableIterator:
    """Iterates over the records of a running job; closing it early cancels the job."""

    def __init__(self, job: JobClient, operator_id: str, limit: int | None) -> None:
        self._job = job
        self._values = job.results(operator_id)
        if limit is not None:
            self._values = itertools.islice(self._values, limit)
        self._complete = False

    @property
    def job(self) -> JobClient:
        """The job behind the results."""
        return self._job

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._values)
        except StopIteration:
            if not self._complete:
                self._complete = True
                self.close()
            raise

    def close(self) -> None:
        """Stop the job if it still runs. Idempotent."""
        self._complete = True
        if not self._job.has_ended:
            details = self._job.wait_until_ended([], timeout_s=0.5)
            if details is None:
                self._job.cancel()
                self._job.wait_until_ended([], timeout_s=30.0)

    def __enter__(self) -> CloseableIterator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
