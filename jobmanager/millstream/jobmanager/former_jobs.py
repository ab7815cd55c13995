"""Jobs that ended under a former leader: only their results are left."""

from __future__ import annotations

from millstream.core.api.job import JobStatus
from millstream.core.errors import MillstreamError, UserError
from millstream.core.ids import JobId
from millstream.core.rpc.error_info import to_proto
from millstream.jobmanager.ha.job_store import StoredJob
from millstream.jobmanager.job_names import meant_by
from millstream.proto.v1 import common_pb2, jobmanager_pb2


class FormerJobs:
    """By id; as many as the job store keeps."""

    def __init__(self) -> None:
        self.results: dict[JobId, jobmanager_pb2.JobDetails] = {}

    def add(self, result: jobmanager_pb2.JobDetails) -> None:
        self.results[JobId(result.summary.job_id)] = result

    def find(self, text: str) -> jobmanager_pb2.JobDetails | None:
        """By id, by name or by a prefix of the id, if that is unique."""
        found = meant_by(text, {job_id: result.summary.name for job_id, result in self.results.items()})
        return self.results[found[0]] if len(found) == 1 else None

    def refuse(self, text: str) -> None:
        """Raise ``UserError`` if ``text`` names one of them: nothing can be done with it any more."""
        result = self.find(text)
        if result is not None:
            status = JobStatus(result.summary.status)
            raise UserError(f"job {result.summary.name!r} has ended: it is {status}, and only its result is left.")


def failed_result(stored: StoredJob, error: MillstreamError, now_ms: int) -> jobmanager_pb2.JobDetails:
    """Of a job that cannot go on here."""
    status = common_pb2.JOB_STATUS_FAILED
    error.message = f"the job was another JobManager's, and this one cannot go on with it: {error.message}"
    return jobmanager_pb2.JobDetails(
        summary=jobmanager_pb2.JobSummary(
            job_id=stored.graph.job_id,
            name=stored.graph.name,
            status=status,
            started_ms=stored.submitted_ms,
            ended_ms=now_ms,
        ),
        error=to_proto(error),
        history=[
            jobmanager_pb2.StatusChange(status=common_pb2.JOB_STATUS_CREATED, at_ms=stored.submitted_ms),
            jobmanager_pb2.StatusChange(status=status, at_ms=now_ms),
        ],
    )
