"""``millstream savepoint`` and ``millstream stop``: keep the state of a job, and go on or stop."""

from __future__ import annotations

from pathlib import Path

import click

from millstream.client.cli.cancel import WAIT_TIMEOUT_S
from millstream.client.cli.exit_codes import ExitCode
from millstream.client.cli.settings import jobmanager_option, load_settings, require_jobmanager, settings_option
from millstream.client.job_client import JobClient


@click.command()
@click.argument("job")
@click.argument("directory", required=False, type=click.Path(file_okay=False, path_type=Path))
@jobmanager_option
@settings_option
def savepoint(job: str, directory: Path | None, jobmanager: str | None, settings: tuple[str, ...]) -> int:
    """Write a savepoint of JOB below DIRECTORY and print its path; the job goes on.

    DIRECTORY must be one that the cluster sees under the same path. Start from a savepoint with
    'millstream run --from-savepoint PATH SCRIPT'.
    """
    return take(job, directory, jobmanager, settings, stop=False)


@click.command()
@click.argument("job")
@click.option(
    "--savepoint-dir", type=click.Path(file_okay=False, path_type=Path), help="Where the savepoint is written."
)
@jobmanager_option
@settings_option
def stop(job: str, savepoint_dir: Path | None, jobmanager: str | None, settings: tuple[str, ...]) -> int:
    """Write a savepoint of JOB, print its path, and cancel the job.

    What the job does after the savepoint is not committed by sinks that commit with checkpoints.
    """
    return take(job, savepoint_dir, jobmanager, settings, stop=True)


def take(job: str, directory: Path | None, jobmanager: str | None, settings: tuple[str, ...], *, stop: bool) -> int:
    configuration = require_jobmanager(load_settings(settings, jobmanager))
    from millstream.client.connection import ClusterConnection

    connection = ClusterConnection(configuration)
    try:
        response = connection.take_savepoint(job, "" if directory is None else str(directory.absolute()), stop=stop)
        if stop:
            JobClient(connection, response.job_id, job).wait_until_ended([], WAIT_TIMEOUT_S)
    finally:
        connection.close()
    click.echo(response.path)
    return ExitCode.OK


COMMANDS = {"savepoint": savepoint, "stop": stop}
