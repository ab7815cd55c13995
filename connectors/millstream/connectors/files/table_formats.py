"""The formats of file tables and their options, by Flink's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from millstream.core.config.configuration import nearest
from millstream.core.config.values import Boolean, Choice
from millstream.core.errors import ConfigError
from millstream.core.table.table_options import TableOption, TableOptions

JSON_OPTIONS: Final = {
    "json.ignore-parse-errors": TableOption("Skip and count rows that do not parse.", Boolean(), False),
    "json.fail-on-missing-field": TableOption("A missing field is an error instead of NULL.", Boolean(), False),
    "json.timestamp-format.standard": TableOption(
        "Whether a space (SQL) or a T (ISO-8601) stands in timestamps.", Choice(("SQL", "ISO-8601")), "SQL"
    ),
}
FORMAT_OPTIONS: Final[dict[str, dict[str, TableOption]]] = {"json": JSON_OPTIONS}


def format_options(file_format: str, options: Mapping[str, str]) -> TableOptions:
    """The checked options of the format. Raises ``ConfigError`` for a format or an option that does not exist."""
    if file_format not in FORMAT_OPTIONS:
        near = nearest(file_format, list(FORMAT_OPTIONS))
        hint = f"Did you mean {near!r}? " if near else ""
        raise ConfigError(f"unknown format {file_format!r}. {hint}Known: {', '.join(sorted(FORMAT_OPTIONS))}.")
    return TableOptions(f"format {file_format!r}", options, {}, FORMAT_OPTIONS[file_format])
