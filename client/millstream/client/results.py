"""Reading the records of a collect sink, batch by batch, as the JobManager hands them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from millstream.client.job_client import JobCanceledError
from millstream.core.api.job import JobStatus
from millstream.core.rpc.error_info import from_proto
from millstream.core.serde import decode_batch

if TYPE_CHECKING:
    from millstream.core.elements import Batch
    from millstream.proto.v1.jobmanager_pb2 import FetchResultsResponse

WAIT_MS = 5000
"""How long one request may wait in the JobManager for a first batch."""


Fetch = Callable[[int, int], "FetchResultsResponse"]
"""``fetch(token, wait_ms)`` asks for batches after the first ``token`` ones."""


def result_values(job_id: str, job_name: str, fetch: Fetch) -> Iterator[Any]:
    """All records as Python values."""
    for batch in result_batches(job_id, job_name, fetch):
        yield from batch_values(batch)


def result_batches(job_id: str, job_name: str, fetch: Fetch) -> Iterator[Batch]:
    """All records in the batches in which they come."""
    token = 0
    while True:
        response = fetch(token, WAIT_MS)
        for encoded in response.batches:
            yield decode_batch(encoded)
        token = response.next_token
        if response.HasField("error"):
            error = from_proto(response.error)
            error.job_id = job_id
            raise error
        if JobStatus(response.status) is JobStatus.CANCELED:
            raise JobCanceledError(f"job {job_name!r} was cancelled before all of its results were read.")
        if response.end:
            return


def batch_values(batch: Batch) -> list[Any]:
    """The rows of a batch as Python values; Arrow rows become dicts."""
    from millstream.core.elements import ObjectBatch

    if isinstance(batch, ObjectBatch):
        return batch.values
    rows: list[Any] = batch.records.to_pylist()
    return rows
