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

if TYPE_CHECKING:
    from millstream.proto.v1.checkpoint_pb2 import CheckpointStatistics, CheckpointSummary


@click.command()
@click.argument("job")
@jobmanager_option
@output_option
@settings_option
def command(job: str, jobmanager: str | None, output: str, settings: tuple[str, ...]) -> None:
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
        echo_json(as_json(statistics, details.restarts))
        return
    restored = f", restored from {statistics.restored_from}" if statistics.restored_from else ""
    counts = f"{statistics.triggered} started, {statistics.completed} completed, {statistics.failed} given up"
    click.echo(f"{counts}; {details.restarts} restarts{restored}")
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


def as_json(statistics: CheckpointStatistics, restarts: int) -> dict[str, object]:
    """For ``--output json``; times in ms since 1970, ``ended_ms`` null while a checkpoint is under way."""
    return {
        "triggered": statistics.triggered,
        "completed": statistics.completed,
        "failed": statistics.failed,
        "restarts": restarts,
        "restored_from": statistics.restored_from or None,
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
