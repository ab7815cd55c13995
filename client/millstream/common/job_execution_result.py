"""The outcome of a job (``pyflink.common.job_execution_result``)."""

from millstream.core.api.job import JobExecutionResult

__all__ = ["JobExecutionResult"]
