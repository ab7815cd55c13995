"""``millstream savepoint`` and ``millstream stop``: keep the state of a job; look at what was kept, or delete it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from millstream.client.cli.cancel import WAIT_TIMEOUT_S
from millstream.client.cli.exit_codes import ExitCode
from millstream.client.cli.settings import (
    jobmanager_option,
    load_settings,
    output_option,
    require_jobmanager,
    settings_option,
)
from millstream.client.cli.text_table import echo_json, echo_table, time_text
from millstream.client.job_client import JobClient

if TYPE_CHECKING:
    from millstream.proto.v1.checkpoint_pb2 import VertexState


class SavepointGroup(click.Group):
    """``savepoint JOB [DIRECTORY]`` takes one; ``show`` and ``delete`` are about one that is there."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return "take", self.commands["take"], args
        return super().resolve_command(ctx, args)


@click.group(cls=SavepointGroup, subcommand_metavar="JOB [DIRECTORY] | show PATH | delete PATH")
def savepoint() -> None:
    """Take a savepoint of a job, or look at one or delete it.

    'savepoint JOB [DIRECTORY]' writes a savepoint of JOB below DIRECTORY, which the cluster must see under the same
    path, and prints its path; the job goes on. Start from it with 'millstream run --from-savepoint PATH SCRIPT'.
    """


@savepoint.command("take")
@click.argument("job")
@click.argument("directory", required=False, type=click.Path(file_okay=False, path_type=Path))
@jobmanager_option
@settings_option
def take_command(job: str, directory: Path | None, jobmanager: str | None, settings: tuple[str, ...]) -> int:
    """Write a savepoint of JOB below DIRECTORY and print its path ('take' may be left out)."""
    return take(job, directory, jobmanager, settings, stop=False)


@savepoint.command("show")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@output_option
def show_command(path: Path, output: str) -> None:
    """Show what a savepoint or checkpoint holds, and check that all its files are whole."""
    from millstream.core.checkpoint.manifest import check_contents, read_manifest

    manifest = read_manifest(path)
    check_contents(path, manifest)
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


@savepoint.command("delete")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
def delete_command(path: Path) -> None:
    """Delete a savepoint: its manifest first, then the state files that the manifest names."""
    from millstream.core.checkpoint.manifest import MANIFEST_NAME, read_manifest

    manifest = read_manifest(path)
    (path / MANIFEST_NAME).unlink()
    for vertex in manifest.vertices:
        for subtask in vertex.subtasks:
            if subtask.path:
                (path / subtask.path).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there is something else in it, which is not ours to remove
        path.rmdir()
    click.echo(f"Deleted {path}.")


def _size_of(vertex: VertexState, operator_id: str) -> tuple[list[str], int]:
    """Names and bytes of an operator's state over all subtasks."""
    sections = [
        section
        for subtask in vertex.subtasks
        for operator in subtask.operators
        if operator.operator_id == operator_id
        for section in operator.sections
    ]
    return sorted({section.name for section in sections}), sum(section.length for section in sections)


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
