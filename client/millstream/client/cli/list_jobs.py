"""``millstream list``: the jobs of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from millstream.client.cli.settings import (
    jobmanager_option,
    load_settings,
    output_option,
    require_jobmanager,
    settings_option,
)
from millstream.client.cli.text_table import duration_text, echo_json, echo_table, time_text
from millstream.core.api.job import JobStatus
from millstream.core.clock import SystemClock

if TYPE_CHECKING:
    from millstream.proto.v1.jobmanager_pb2 import JobSummary


@click.command()
@click.option("-a", "--all", "include_ended", is_flag=True, help="Also jobs that have ended.")
@jobmanager_option
@output_option
@settings_option
def command(include_ended: bool, jobmanager: str | None, output: str, settings: tuple[str, ...]) -> None:
    """List jobs that run or wait for slots."""
    configuration = require_jobmanager(load_settings(settings, jobmanager))
    from millstream.client.connection import ClusterConnection

    connection = ClusterConnection(configuration)
    try:
        jobs = connection.list_jobs(include_ended=include_ended)
    finally:
        connection.close()
    now_ms = SystemClock().wall_ms()
    if output == "json":
        echo_json([as_json(job) for job in jobs])
    elif not jobs:
        click.echo("No jobs." if include_ended else "No jobs are running (--all shows ended ones).")
    else:
        rows = [as_row(job, now_ms) for job in jobs]
        echo_table(["JOB ID", "NAME", "STATUS", "STARTED", "DURATION", "SUBTASKS"], rows)


def as_row(job: JobSummary, now_ms: int) -> list[str]:
    """One line of the table."""
    status = JobStatus(job.status).name
    duration = duration_text((job.ended_ms or now_ms) - job.started_ms) if job.started_ms else "-"
    return [
        job.job_id,
        job.name,
        f"{status} (waiting for {job.waiting_for})" if job.waiting_for else status,
        time_text(job.started_ms),
        duration,
        f"{job.subtasks_running} running, {job.subtasks_finished} finished of {job.subtasks_total}",
    ]


def as_json(job: JobSummary) -> dict[str, object]:
    """For ``--output json``; times in ms since 1970, ``ended_ms`` null while the job runs."""
    return {
        "job_id": job.job_id,
        "name": job.name,
        "status": JobStatus(job.status).name,
        "waiting_for": job.waiting_for or None,
        "started_ms": job.started_ms,
        "ended_ms": job.ended_ms or None,
        "subtasks_total": job.subtasks_total,
        "subtasks_running": job.subtasks_running,
        "subtasks_finished": job.subtasks_finished,
    }


COMMANDS = {"list": command}
