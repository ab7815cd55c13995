"""Prometheus metrics of the JobManager, computed when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from millstream.core.api.job import JobStatus
from millstream.jobmanager.job_master import JobMaster
from millstream.jobmanager.leader import Leader


class JobManagerCollector(Collector):
    """Reads the JobManager's own objects. Called on the HTTP server's thread, so it copies before it walks."""

    def __init__(self) -> None:
        self.leader: Leader | None = None
        """None while this JobManager stands by."""

    def collect(self) -> Iterator[Metric]:
        leader = self.leader
        epoch = -1 if leader is None else leader.leadership.epoch
        yield GaugeMetricFamily(
            "millstream_jobmanager_epoch", "Grows with each change of the leader; -1: stands by.", value=epoch
        )
        if leader is not None:
            yield from self._of_leader(leader)

    def _of_leader(self, leader: Leader) -> Iterator[Metric]:
        status = GaugeMetricFamily(
            "millstream_job_status", "1 for the status a job has, 0 for the others.", labels=["job", "status"]
        )
        masters = list(leader.jobs.masters.values())
        for master in masters:
            for possible in JobStatus:
                status.add_metric([master.job_id, possible.name], float(master.status is possible))
        yield status
        yield from _recovery(masters)
        pool = leader.taskmanagers.pool
        running = sum(not master.status.is_terminal_state() for master in masters)
        yield GaugeMetricFamily("millstream_jobs_running", "Jobs that have not ended.", value=running)
        yield GaugeMetricFamily("millstream_slots_total", "Slots of registered TaskManagers.", value=pool.total())
        yield GaugeMetricFamily("millstream_slots_free", "Slots that wait for a job.", value=pool.free())
        registered = len(leader.taskmanagers.registered)
        yield GaugeMetricFamily("millstream_taskmanagers", "Registered TaskManagers.", value=registered)


def _recovery(masters: list[JobMaster]) -> Iterator[Metric]:
    """Restarts and checkpoints of each job."""
    restarts = CounterMetricFamily("millstream_job_restarts", "Attempts after the first.", labels=["job"])
    completed = CounterMetricFamily("millstream_job_checkpoints_completed", "Complete checkpoints.", labels=["job"])
    failed = CounterMetricFamily("millstream_job_checkpoints_failed", "Checkpoints given up.", labels=["job"])
    fallbacks = CounterMetricFamily(
        "millstream_job_checkpoint_fallbacks",
        "Damaged checkpoints that made a job go on from an earlier one.",
        labels=["job"],
    )
    duration = GaugeMetricFamily(
        "millstream_job_last_checkpoint_duration_ms",
        "From trigger to manifest, of the last one.",
        labels=["job"],
    )
    size = GaugeMetricFamily("millstream_job_last_checkpoint_bytes", "State of the last complete one.", labels=["job"])
    for master in masters:
        job, statistics = [master.job_id], master.checkpoints.coordinator.statistics
        restarts.add_metric(job, master.machine.restarts)
        completed.add_metric(job, statistics.completed)
        failed.add_metric(job, statistics.failed)
        fallbacks.add_metric(job, statistics.fallbacks)
        last = next((summary for summary in statistics.history if summary.status == "COMPLETED"), None)
        if last is not None:
            duration.add_metric(job, last.ended_ms - last.triggered_ms)
            size.add_metric(job, last.state_bytes)
    yield from (restarts, completed, failed, fallbacks, duration, size)
