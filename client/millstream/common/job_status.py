"""The life of a job (``pyflink.common.job_status``)."""

from millstream.core.api.job import JobStatus

__all__ = ["JobStatus"]
