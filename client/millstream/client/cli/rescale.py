"""``millstream rescale``: let a running job go on with other numbers of subtasks."""

from __future__ import annotations

import click

from millstream.client.cli.exit_codes import ExitCode
from millstream.client.cli.settings import jobmanager_option, load_settings, require_jobmanager, settings_option
from millstream.client.job_client import JobClient
from millstream.core.api.job import JobStatus

WAIT_TIMEOUT_S = 120.0


@click.command()
@click.argument("job")
@click.option(
    "-p", "--parallelism", type=click.IntRange(1, 32768), help="Of operators whose own the program did not set."
)
@click.option(
    "--vertex",
    "vertices",
    multiple=True,
    metavar="NAME=N",
    help="Of one vertex: by its name or id, or the name or uid of one of its operators. May be repeated.",
)
@click.option("--no-wait", is_flag=True, help="Return when the job has stopped for it, before it runs again.")
@jobmanager_option
@settings_option
def command(
    job: str,
    parallelism: int | None,
    vertices: tuple[str, ...],
    no_wait: bool,
    jobmanager: str | None,
    settings: tuple[str, ...],
) -> int:
    """Stop JOB at a checkpoint and let it go on with another parallelism. Nothing is lost or doubled by that."""
    by_vertex: dict[str, int] = {}
    for text in vertices:
        name, equals, number = text.rpartition("=")
        if not equals or not name or not number.isdigit():
            raise click.UsageError(f"--vertex expects NAME=N, not {text!r}.")
        by_vertex[name] = int(number)
    if parallelism is None and not by_vertex:
        raise click.UsageError("give a parallelism with -p, or that of a vertex with --vertex NAME=N.")
    configuration = require_jobmanager(load_settings(settings, jobmanager))
    from millstream.client.connection import ClusterConnection

    connection = ClusterConnection(configuration)
    try:
        response = connection.rescale(job, parallelism or 0, by_vertex)
        client = JobClient(connection, response.job_id, job)
        details = client.describe()
        if response.changed and not no_wait:
            details = client.wait_until_running(WAIT_TIMEOUT_S)
    finally:
        connection.close()
    status = JobStatus(details.summary.status)
    if not response.changed:
        click.echo(f"Job {response.job_id} has that parallelism already.")
        return ExitCode.OK
    numbers = ", ".join(f"{vertex.vertex.name}: {vertex.vertex.parallelism}" for vertex in details.vertices)
    click.echo(f"Job {response.job_id} is {status.name}. {numbers}")
    return ExitCode.OK if no_wait or status in (JobStatus.RUNNING, JobStatus.FINISHED) else ExitCode.FAILED


COMMANDS = {"rescale": command}
