"""Builds readings of a job as the JobManager would send them."""

from millstream.core.api.job import JobStatus
from millstream.proto.v1 import jobmanager_pb2 as pb

RUNNING, FINISHED = 5, 6


def job_details(
    *, status: JobStatus = JobStatus.RUNNING, out: float = 0, taken: float = 0, watermark_ms: int | None = None
) -> pb.JobDetails:
    """A source of two subtasks that feeds a vertex of one; every source subtask produced ``out`` records."""
    details = pb.JobDetails()
    details.summary.job_id = "ab" * 16
    details.summary.name = "count"
    details.summary.status = status
    details.edges.add(source_vertex="s", target_vertex="t")
    source = details.vertices.add()
    source.vertex.vertex_id, source.vertex.name, source.vertex.parallelism = "s", "Source: lines -> split", 2
    for index in range(2):
        subtask = source.subtasks.add(index=index, status=RUNNING)
        subtask.metrics.values["busy_ms_per_second"] = 250.0 * (index + 1)
        subtask.metrics.operators.add(operator_name="lines").values["records_out_total"] = out
        last = subtask.metrics.operators.add(operator_name="split")
        last.values["records_out_total"] = 2 * out
        if watermark_ms is not None:
            last.values["current_watermark_ms"] = watermark_ms + index
    target = details.vertices.add()
    target.vertex.vertex_id, target.vertex.name, target.vertex.parallelism = "t", "sum", 1
    subtask = target.subtasks.add(index=0, status=RUNNING)
    subtask.metrics.values["records_in_total"] = taken
    subtask.metrics.values["backpressured_ms_per_second"] = 1500.0
    return details
