"""``millstream savepoint`` and ``millstream stop``: keep the state of a job; look at what was kept, or delete it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from millstream.client.cli.cancel import WAIT_TIMEOUT_S
from millstream.client.cli.exit_codes import ExitCode
from millstream.client.cli.recovery import with_recovery
from millstream.client.cli.settings import (
    jobmanager_option,
    load_settings,
    output_option,
    require_jobmanager,
    settings_option,
)
from millstream.client.cli.text_table import echo_json, echo_table, time_text
from millstream.client.job_client import JobClient, uncommitted
from millstream.core.api.job import JobStatus
from millstream.core.errors import UserError

if TYPE_CHECKING:
    from millstream.core.checkpoint.storage import Storage
    from millstream.proto.v1.checkpoint_pb2 import VertexState


class SavepointGroup(click.Group):
    """``savepoint JOB [DIRECTORY]`` takes one; ``show``, ``diff`` and ``delete`` are about one that is there."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return "take", self.commands["take"], args
        return super().resolve_command(ctx, args)


@click.group(cls=SavepointGroup, subcommand_metavar="JOB [DIRECTORY] | show PATH | diff PATH SCRIPT | delete PATH")
def savepoint() -> None:
    """Take a savepoint of a job, or look at one or delete it.

    'savepoint JOB [DIRECTORY]' writes a savepoint of JOB below DIRECTORY, which the cluster must see under the same
    path, and prints its path; the job goes on. Start from it with 'millstream run --from-savepoint PATH SCRIPT'.
    """


@savepoint.command("take")
@click.argument("job")
@click.argument("directory", required=False)
@jobmanager_option
@settings_option
def take_command(job: str, directory: str | None, jobmanager: str | None, settings: tuple[str, ...]) -> int:
    """Write a savepoint of JOB below DIRECTORY and print its path ('take' may be left out).

    Without DIRECTORY it is written where execution.checkpointing.savepoint-dir says.
    """
    return take(job, directory, jobmanager, settings, stop=False)


@savepoint.command("show")
@click.argument("path")
@output_option
@settings_option
def show_command(path: str, output: str, settings: tuple[str, ...]) -> None:
    """Show what a savepoint or checkpoint holds, and check that all its files are whole.

    PATH is a directory or a URL.
    """
    from millstream.core.checkpoint.manifest import check_contents, read_manifest

    storage = _open(path, settings)
    manifest = read_manifest(storage)
    check_contents(storage, "", manifest)
    rows = [
        (name, operator_id, vertex.parallelism, vertex.max_parallelism, *_size_of(vertex, operator_id))
        for vertex in manifest.vertices
        for operator_id, name in zip(vertex.operator_ids, vertex.operator_names, strict=True)
    ]
    kind = "savepoint" if manifest.savepoint else "checkpoint"
    if output == "json":
        keys = ("name", "operator_id", "parallelism", "max_parallelism", "states", "bytes")
        echo_json(
            {
                "kind": kind,
                "job_id": manifest.job_id,
                "job_name": manifest.job_name,
                "checkpoint_id": manifest.checkpoint_id,
                "completed_ms": manifest.completed_ms,
                "operators": [dict(zip(keys, row, strict=True)) for row in rows],
            }
        )
        return
    taken = time_text(manifest.completed_ms)
    click.echo(f"{kind} {manifest.checkpoint_id} of job {manifest.job_name!r} ({manifest.job_id}), {taken}")
    header = ["OPERATOR", "OPERATOR ID", "PARALLELISM", "MAX PARALLELISM", "STATES", "BYTES"]
    echo_table(
        header,
        [[name, key, str(p), str(most), ", ".join(states), f"{size:,}"] for name, key, p, most, states, size in rows],
    )


@savepoint.command("diff", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--local", is_flag=True, help="Use an embedded cluster, whatever is configured.")
@jobmanager_option
@click.option("--allow-non-restored-state", is_flag=True, help="As of 'millstream run'.")
@settings_option
@click.argument("path")
@click.argument("script", type=click.Path(exists=True))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def diff_command(
    local: bool,
    jobmanager: str | None,
    allow_non_restored_state: bool,
    settings: tuple[str, ...],
    path: str,
    script: str,
    arguments: tuple[str, ...],
) -> int:
    """Show what the first job of SCRIPT, run with ARGS, would start with of the savepoint in PATH; nothing runs.

    SCRIPT is a program in Python, or SQL if its name ends with '.sql': what stands before its first execute, query or
    INSERT is executed. State by state: kept, new, no longer there, or of another type. PATH is a directory or a URL
    that the cluster can read.
    """
    from millstream.client.cli.info import planned_job
    from millstream.client.cli.run import choose_cluster
    from millstream.client.session import Session, set_current_session

    configuration = choose_cluster(load_settings(settings, jobmanager), local)
    session = Session(with_recovery(configuration, path, None, allow_non_restored_state))
    set_current_session(session)
    try:
        planned = planned_job(script, arguments)
        if isinstance(planned, int):
            return planned
        click.echo(session.state_comparison(planned))
        return ExitCode.OK
    finally:
        session.close()
        set_current_session(None)


@savepoint.command("delete")
@click.argument("path")
@settings_option
def delete_command(path: str, settings: tuple[str, ...]) -> None:
    """Delete a savepoint: its manifest first, then the state files that the manifest names.

    PATH is a directory or a URL.
    """
    from millstream.core.checkpoint.manifest import MANIFEST_NAME, read_manifest, state_files

    storage = _open(path, settings)
    manifest = read_manifest(storage)
    if not manifest.savepoint:
        raise UserError(
            f"{path} is a checkpoint of job {manifest.job_id}, and shares files with others: it is not deleted."
        )
    storage.delete(MANIFEST_NAME)
    directories = set()
    for _, file in state_files(manifest):
        storage.delete(file.path)
        directories.add(file.path.rpartition("/")[0])
    for directory in sorted(directories, reverse=True):
        if not storage.list(directory):  # else there is something in it which is not ours to remove
            storage.delete_tree(directory)
    click.echo(f"Deleted {path}.")


def _open(path: str, settings: tuple[str, ...]) -> Storage:
    from millstream.core.checkpoint.storage import absolute_location, open_storage

    return open_storage(absolute_location(path), load_settings(settings).flatten())


def _size_of(vertex: VertexState, operator_id: str) -> tuple[list[str], int]:
    """Names and bytes of an operator's state over all subtasks."""
    names: set[str] = set()
    size = 0
    for subtask in vertex.subtasks:
        for operator in subtask.operators:
            if operator.operator_id != operator_id:
                continue
            names |= {section.name for section in operator.sections} | {table.name for table in operator.tables}
            if operator.runs or operator.database.files:
                names.add("keyed state")
            size += sum(section.length for section in operator.sections)
            size += sum(subtask.files[table.file].length for table in operator.tables)
            size += sum(sum(run.lengths) for run in operator.runs)
            size += sum(subtask.files[file.file].length for file in operator.database.files)
    return sorted(names), size


@click.command()
@click.argument("job")
@click.argument("directory", required=False)
@click.option("--savepoint", "savepoint_wanted", is_flag=True, help="Always so: a job ends with a savepoint.")
@click.option("--savepoint-dir", "named", metavar="DIRECTORY", help="The same as the argument DIRECTORY.")
@click.option(
    "--drain",
    is_flag=True,
    help="End the input first: all windows fire, and the job finishes. For a job that will not go on.",
)
@jobmanager_option
@settings_option
def stop(
    job: str,
    directory: str | None,
    savepoint_wanted: bool,
    named: str | None,
    drain: bool,
    jobmanager: str | None,
    settings: tuple[str, ...],
) -> int:
    """Write a savepoint of JOB below DIRECTORY, print its path, end the job.

    Without DIRECTORY it is written where execution.checkpointing.savepoint-dir says, else below the checkpoints.
    Sinks commit what the savepoint holds, and nothing after it; then the job is FINISHED.
    """
    return take(job, directory or named, jobmanager, settings, stop=True, drain=drain)


def take(
    job: str,
    directory: str | None,
    jobmanager: str | None,
    settings: tuple[str, ...],
    *,
    stop: bool,
    drain: bool = False,
) -> int:
    configuration = require_jobmanager(load_settings(settings, jobmanager))
    from millstream.client.connection import ClusterConnection
    from millstream.core.checkpoint.storage import absolute_location
    from millstream.core.config.options import CHECKPOINTING_SAVEPOINT_DIRECTORY

    if directory is None and any(setting.startswith(CHECKPOINTING_SAVEPOINT_DIRECTORY.key) for setting in settings):
        directory = configuration[CHECKPOINTING_SAVEPOINT_DIRECTORY]
    target = absolute_location(directory) if directory else ""  # the settings of the job or the cluster say where
    connection = ClusterConnection(configuration)
    try:
        response = connection.take_savepoint(job, target, stop=stop, drain=drain)
        ended = JobClient(connection, response.job_id, job).wait_until_ended([], WAIT_TIMEOUT_S) if stop else None
    finally:
        connection.close()
    click.echo(response.path)
    if ended is not None and JobStatus(ended.summary.status) is not JobStatus.FINISHED:
        click.echo(uncommitted(ended), err=True)
        return ExitCode.FAILED
    return ExitCode.OK


COMMANDS = {"savepoint": savepoint, "stop": stop}
