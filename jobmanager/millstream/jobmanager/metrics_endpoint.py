"""Prometheus metrics of the JobManager, computed when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from millstream.core.api.job import JobStatus
from millstream.jobmanager.jobs import Jobs
from millstream.jobmanager.taskmanagers import TaskManagers


class JobManagerCollector(Collector):
    """Reads the JobManager's own objects. Called on the HTTP server's thread, so it copies before it walks."""

    def __init__(self, jobs: Jobs, taskmanagers: TaskManagers) -> None:
        self._jobs = jobs
        self._taskmanagers = taskmanagers

    def collect(self) -> Iterator[Metric]:
        status = GaugeMetricFamily(
            "millstream_job_status", "1 for the status a job has, 0 for the others.", labels=["job", "status"]
        )
        masters = list(self._jobs.masters.values())
        for master in masters:
            for possible in JobStatus:
                status.add_metric([master.job_id, possible.name], float(master.status is possible))
        yield status
        pool = self._taskmanagers.pool
        running = sum(not master.status.is_terminal_state() for master in masters)
        yield GaugeMetricFamily("millstream_jobs_running", "Jobs that have not ended.", value=running)
        yield GaugeMetricFamily("millstream_slots_total", "Slots of registered TaskManagers.", value=pool.total())
        yield GaugeMetricFamily("millstream_slots_free", "Slots that wait for a job.", value=pool.free())
        registered = len(self._taskmanagers.registered)
        yield GaugeMetricFamily("millstream_taskmanagers", "Registered TaskManagers.", value=registered)
