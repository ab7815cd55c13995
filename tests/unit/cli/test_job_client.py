"""A job's handle: waiting, outcomes, results; the JobManager is a list of prepared answers."""

from collections.abc import Iterator
from typing import Any

import pytest
from readings import job_details

from millstream.client.job_client import JobCanceledError, JobClient
from millstream.core.api.job import JobStatus
from millstream.core.clock import ManualClock
from millstream.core.errors import UnavailableError, UserCodeError
from millstream.proto.v1 import common_pb2, jobmanager_pb2


class PreparedAnswers:
    """Stands in for ``ClusterConnection``."""

    def __init__(self, *answers: Any) -> None:
        self._answers: Iterator[Any] = iter(answers)
        self.asked: list[tuple[Any, ...]] = []

    def describe(self, job: str, known_version: int = 0, wait_ms: int = 0) -> Any:
        return self._next(job, known_version, wait_ms)

    def fetch_results(self, job_id: str, operator_id: str, token: int, wait_ms: int) -> Any:
        return self._next(job_id, operator_id, token)

    def _next(self, *asked: Any) -> Any:
        self.asked.append(asked)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def versioned(version: int, **kwargs: Any) -> jobmanager_pb2.JobDetails:
    details = job_details(**kwargs)
    details.version = version
    return details


def finished() -> jobmanager_pb2.JobDetails:
    details = versioned(9, status=JobStatus.FINISHED, out=3)
    details.history.add(status=JobStatus.CREATED, at_ms=1000)
    details.history.add(status=JobStatus.RUNNING, at_ms=1500)
    details.summary.ended_ms = 4000
    return details


def client(answers: PreparedAnswers, **kwargs: Any) -> JobClient:
    return JobClient(answers, "ab" * 16, "count", **kwargs)  # type: ignore[arg-type]


def test_waiting_follows_versions_and_gives_run_time_and_counts() -> None:
    answers = PreparedAnswers(versioned(4), versioned(7), finished())
    seen: list[int] = []
    job = client(answers)
    result = job.wait(lambda details: seen.append(details.version))
    assert [asked[1] for asked in answers.asked] == [0, 4, 7]
    assert seen == [4, 7, 9]
    assert result.get_net_runtime() == 2500
    assert result.get_accumulator_result("split.records_out") == 12
    with pytest.raises(KeyError, match=r"split\.records_out"):
        result.get_accumulator_result("nothing")
    assert job.has_ended and job.status() is JobStatus.FINISHED


def test_a_failed_job_raises_its_root_cause() -> None:
    failed = versioned(2, status=JobStatus.FAILED)
    failed.error.CopyFrom(
        common_pb2.ErrorInfo(kind="UserCodeError", message="map failed", line=7, blame=common_pb2.BLAME_USER)
    )
    with pytest.raises(UserCodeError, match="map failed") as caught:
        client(PreparedAnswers(failed)).wait()
    assert caught.value.place.line == 7


def test_a_cancelled_job_raises_that_it_was() -> None:
    with pytest.raises(JobCanceledError, match="'count'"):
        client(PreparedAnswers(versioned(2, status=JobStatus.CANCELED))).wait()


def test_a_detached_job_is_not_waited_for() -> None:
    answers = PreparedAnswers()
    result = client(answers, detached=True).wait()
    assert not result.is_job_execution_result()
    assert answers.asked == []


def test_a_wait_with_a_timeout_gives_up() -> None:
    clock = ManualClock()
    job = client(PreparedAnswers(versioned(1), versioned(2)), clock=clock)
    assert job.wait_until_ended([lambda _: clock.advance(3000)], timeout_s=5) is None
    assert not job.has_ended


def test_a_dead_embedded_cluster_explains_itself() -> None:
    def check() -> None:
        raise UnavailableError("the embedded cluster lost a process")

    job = client(PreparedAnswers(UnavailableError("nobody answers")), check_cluster=check)
    with pytest.raises(UnavailableError, match="lost a process"):
        job.status()


def test_results_are_acknowledged_by_the_next_request() -> None:
    from millstream.core.elements import ObjectBatch
    from millstream.core.serde import encode_batch

    def response(values: list[Any], token: int, end: bool) -> jobmanager_pb2.FetchResultsResponse:
        encoded = b"".join(bytes(part) for part in encode_batch(ObjectBatch(values)))
        return jobmanager_pb2.FetchResultsResponse(
            batches=[encoded], next_token=token, end=end, status=common_pb2.JOB_STATUS_RUNNING
        )

    answers = PreparedAnswers(response([1, 2], 1, False), response([("a", None)], 2, True))
    assert list(client(answers).results("sink")) == [1, 2, ("a", None)]
    assert [asked[2] for asked in answers.asked] == [0, 1]


def test_results_of_a_failed_job_end_with_its_error() -> None:
    response = jobmanager_pb2.FetchResultsResponse(status=common_pb2.JOB_STATUS_FAILED)
    response.error.CopyFrom(common_pb2.ErrorInfo(kind="UserCodeError", message="map failed"))
    with pytest.raises(UserCodeError, match="map failed"):
        list(client(PreparedAnswers(response)).results("sink"))
