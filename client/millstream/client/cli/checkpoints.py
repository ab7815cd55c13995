"""``millstream checkpoints``: what checkpoints a job has taken, how large and how long."""

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
from millstream.core.errors import UserError

if TYPE_CHECKING:
    from millstream.proto.v1.checkpoint_pb2 import CheckpointSummary
    from millstream.proto.v1.jobmanager_pb2 import JobDetails


@click.command()
@click.argument("job")
@jobmanager_option
@output_option
@click.option("--subtasks", is_flag=True, help="Show each subtask's part of one checkpoint.")
@click.option("--id", "checkpoint_id", type=int, help="Of this checkpoint, not the newest completed one.")
@settings_option
def command(
    job: str, jobmanager: str | None, output: str, subtasks: bool, checkpoint_id: int | None, settings: tuple[str, ...]
) -> None:
    """Show the last checkpoints of JOB, the newest first."""
    configuration = require_jobmanager(load_settings(settings, jobmanager))
    from millstream.client.connection import ClusterConnection

    connection = ClusterConnection(configuration)
    try:
        details = connection.describe(job)
    finally:
        connection.close()
    statistics = details.checkpoints
    if output == "json":
        echo_json(as_json(details))
        return
    if subtasks:
        _show_subtasks(details, checkpoint_id)
        return
    restored = f", restored from {statistics.restored_from}" if statistics.restored_from else ""
    counts = f"{statistics.triggered} started, {statistics.completed} completed, {statistics.failed} given up"
    click.echo(f"{counts}; {details.restarts} restarts{restored}")
    if details.savepoint:
        click.echo(f"the job ends with its savepoint {details.savepoint}")
    if statistics.history:
        header = [
            "ID",
            "STATUS",
            "STARTED",
            "DURATION",
            "STATE BYTES",
            "WRITTEN",
            "ANSWERED",
            "SYNC",
            "ALIGNMENT",
            "PATH OR REASON",
        ]
        echo_table(header, [as_row(summary) for summary in statistics.history])


def _show_subtasks(details: JobDetails, checkpoint_id: int | None) -> None:
    """The parts of one checkpoint as a table. Raises ``UserError`` when there is no such checkpoint."""
    history = details.checkpoints.history
    wanted = "COMPLETED" if checkpoint_id is None else None
    chosen = next((c for c in history if wanted == c.status or checkpoint_id == c.checkpoint_id), None)
    if chosen is None:
        which = "completed checkpoint" if checkpoint_id is None else f"checkpoint {checkpoint_id}"
        known = ", ".join(str(summary.checkpoint_id) for summary in history) or "none"
        raise UserError(f"job {details.summary.name!r} has no {which} among the last ones (there are: {known}).")
    click.echo(f"checkpoint {chosen.checkpoint_id}: {chosen.status}")
    names = {shown.vertex.vertex_id: shown.vertex.name for shown in details.vertices}
    header = [
        "VERTEX",
        "SUBTASK",
        "STATE BYTES",
        "WRITTEN",
        "IN FLIGHT",
        "SYNC",
        "ASYNC",
        "ALIGNMENT",
        "ANSWERED",
    ]
    rows = [
        [
            names.get(part.vertex_id, part.vertex_id),
            str(part.index),
            *(f"{size:,}" for size in (part.state_bytes, part.written_bytes, part.in_flight_bytes)),
            *(f"{us / 1000:.1f} ms" for us in (part.sync_us, part.async_us, part.alignment_us)),
            f"{part.ended_ms - chosen.triggered_ms} ms",
        ]
        for part in sorted(chosen.subtasks, key=lambda part: (names.get(part.vertex_id, ""), part.index))
    ]
    echo_table(header, rows)


def as_row(summary: CheckpointSummary) -> list[str]:
    """One line of the table."""
    return [
        str(summary.checkpoint_id),
        f"{summary.status} (savepoint)" if summary.savepoint else summary.status,
        time_text(summary.triggered_ms),
        duration_text(summary.ended_ms - summary.triggered_ms) if summary.ended_ms else "-",
        f"{summary.state_bytes:,}",
        f"{summary.written_bytes:,}",
        f"{summary.acknowledged}/{summary.expected}",
        f"{summary.sync_us_max / 1000:.1f} ms",
        f"{summary.alignment_us_max / 1000:.1f} ms",
        summary.failure or summary.path,
    ]


def as_json(details: JobDetails) -> dict[str, object]:
    """For ``--output json``; times in ms since 1970, ``ended_ms`` null while a checkpoint is under way.

    ``ends_with`` is the savepoint with which the job was stopped.
    """
    statistics = details.checkpoints
    return {
        "triggered": statistics.triggered,
        "completed": statistics.completed,
        "failed": statistics.failed,
        "restarts": details.restarts,
        "restored_from": statistics.restored_from or None,
        "ends_with": details.savepoint or None,
        "history": [
            {
                "checkpoint_id": summary.checkpoint_id,
                "status": summary.status,
                "triggered_ms": summary.triggered_ms,
                "ended_ms": summary.ended_ms or None,
                "savepoint": summary.savepoint,
                "state_bytes": summary.state_bytes,
                "written_bytes": summary.written_bytes,
                "in_flight_bytes": summary.in_flight_bytes,
                "acknowledged": summary.acknowledged,
                "expected": summary.expected,
                "sync_us_max": summary.sync_us_max,
                "async_us_max": summary.async_us_max,
                "alignment_us_max": summary.alignment_us_max,
                "path": summary.path or None,
                "failure": summary.failure or None,
                "subtasks": [
                    {
                        "vertex_id": subtask.vertex_id,
                        "index": subtask.index,
                        "state_bytes": subtask.state_bytes,
                        "written_bytes": subtask.written_bytes,
                        "in_flight_bytes": subtask.in_flight_bytes,
                        "sync_us": subtask.sync_us,
                        "async_us": subtask.async_us,
                        "alignment_us": subtask.alignment_us,
                        "ended_ms": subtask.ended_ms,
                    }
                    for subtask in summary.subtasks
                ],
            }
            for summary in statistics.history
        ],
    }


COMMANDS = {"checkpoints": command}
