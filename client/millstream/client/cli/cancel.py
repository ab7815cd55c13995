"""``millstream cancel``: cancel a job and see it stop."""

from __future__ import annotations

import click

from millstream.client.cli.exit_codes import ExitCode
from millstream.client.cli.settings import jobmanager_option, load_settings, require_jobmanager, settings_option
from millstream.client.job_client import JobClient
from millstream.core.api.job import JobStatus

WAIT_TIMEOUT_S = 60.0


@click.command()
@click.argument("job")
@click.option("--no-wait", is_flag=True, help="Return at once instead of waiting until the job has stopped.")
@jobmanager_option
@settings_option
def command(job: str, no_wait: bool, jobmanager: str | None, settings: tuple[str, ...]) -> int:
    """Cancel JOB: its id, the beginning of its id, or its name."""
    configuration = require_jobmanager(load_settings(settings, jobmanager))
    from millstream.client.connection import ClusterConnection

    connection = ClusterConnection(configuration)
    try:
        response = connection.cancel(job)
        status = JobStatus(response.status)
        if not no_wait and not status.is_globally_terminal_state():
            details = JobClient(connection, response.job_id, job).wait_until_ended([], WAIT_TIMEOUT_S)
            status = status if details is None else JobStatus(details.summary.status)
    finally:
        connection.close()
    click.echo(f"Job {response.job_id} is {status.name}.")
    stopped = no_wait or status in (JobStatus.CANCELED, JobStatus.CANCELLING)
    return ExitCode.OK if stopped else ExitCode.FAILED


COMMANDS = {"cancel": command}
