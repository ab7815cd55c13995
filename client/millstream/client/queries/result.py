"""The rows of a running query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from millstream.client.job_client import JobClient
from millstream.core.elements.batch import ArrowBatch
from millstream.core.errors import invariant
from millstream.core.table.row_type import RowType

_END_TIMEOUT_S: Final = 0.5
_CANCEL_TIMEOUT_S: Final = 30.0


class ClusterQueryResult:
    """Implements ``QueryResult`` over the collect sink of a job."""

    def __init__(self, job: JobClient, operator_id: str, row_type: RowType, insert_only: bool) -> None:
        self.job = job
        self._operator_id = operator_id
        self._row_type = row_type
        self._insert_only = insert_only

    @property
    def row_type(self) -> RowType:
        return self._row_type

    @property
    def insert_only(self) -> bool:
        return self._insert_only

    @property
    def job_id(self) -> str:
        return self.job.job_id

    def __iter__(self) -> Iterator[ArrowBatch]:
        """Batches as they come, their columns named as the query names them. Raises what made the job fail."""
        names = list(self._row_type.names)
        for batch in self.job.result_batches(self._operator_id):
            invariant(isinstance(batch, ArrowBatch), f"a query sent {batch!r}")
            assert isinstance(batch, ArrowBatch)
            yield ArrowBatch(batch.records.rename_columns(names), None, batch.row_kinds)

    def close(self) -> None:
        """Cancel the job unless it has ended. Idempotent."""
        if self.job.has_ended or self.job.wait_until_ended([], _END_TIMEOUT_S) is not None:
            return
        self.job.cancel()
        self.job.wait_until_ended([], _CANCEL_TIMEOUT_S)
