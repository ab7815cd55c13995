"""Tables of plain text: columns as wide as their widest cell, nothing cut, so that other programs can read them too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import click


def echo_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows`` under ``header``."""
    for line in table_lines(header, rows):
        click.echo(line)


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of the table."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def echo_json(value: object) -> None:
    """Print ``value`` as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def time_text(wall_ms: int) -> str:
    """Local time; "-" for 0."""
    if wall_ms == 0:
        return "-"
    return datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration_text(duration_ms: int) -> str:
    """``75000`` is "1 min 15 s"."""
    seconds, milliseconds = divmod(max(0, duration_ms), 1000)
    if seconds < 10:
        return f"{seconds + milliseconds / 1000:.1f} s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
