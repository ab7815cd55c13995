"""``'connector' = 'filesystem'``: files in a directory, perhaps partitioned, in any of the file formats."""

from __future__ import annotations

from datetime import timedelta

from millstream.connectors.files.table_formats import FORMAT_OPTIONS
from millstream.connectors.files.tables import file_table_source
from millstream.core.api.source import Boundedness
from millstream.core.config.values import Boolean, Choice, DurationKind, Integer
from millstream.core.table.connectors import Pushdown, TableConnector, TableDescription, TableSource, projected_schema
from millstream.core.table.table_options import TableOption, TableOptions


class FilesystemConnector(TableConnector):
    """Reads each file once, when the job starts: ``source.monitor-interval`` is refused. Options of a format begin
    with its name. Filters on partition columns leave files out; the query still applies them."""

    identifier = "filesystem"
    required_options = {
        "path": TableOption("a file, a directory or a glob"),
        "format": TableOption(f"one of {', '.join(sorted(FORMAT_OPTIONS))}", Choice(tuple(sorted(FORMAT_OPTIONS)))),
    }
    optional_options = {
        "source.monitor-interval": TableOption("Refused: directories are read once.", DurationKind(), timedelta(0)),
        "auto-compaction": TableOption("Only `false`: small files are not merged.", Boolean(), False),
        "scan.parallelism": TableOption("Parallelism of the source.", Integer(1)),
        **{name: option for options in FORMAT_OPTIONS.values() for name, option in options.items()},
    }

    def open_source(self, description: TableDescription, options: TableOptions, pushdown: Pushdown) -> TableSource:
        _refuse_unsupported(options)
        file_format = options.get("format")
        source = file_table_source(
            _local(options.get("path")),
            file_format,
            description.schema,
            pushdown.projection,
            _format_options(description, options),
            description.partition_keys,
            pushdown.filters,
        )
        return TableSource(
            source,
            projected_schema(description.schema, pushdown.projection, description.place),
            bounded=source.boundedness is Boundedness.BOUNDED,
            parallelism=options.get("scan.parallelism"),
        )


def _format_options(description: TableDescription, options: TableOptions) -> dict[str, str]:
    """Those of formats. Raises ``ConfigError`` for one of another format than the table's."""
    file_format = options.get("format")
    given = {
        name: description.options[name]
        for name, _ in options.given()
        if any(name in declared for declared in FORMAT_OPTIONS.values())
    }
    for name in given:
        if name not in FORMAT_OPTIONS[file_format]:
            raise options.refuse(name, f"it is of another format than {file_format!r}, the table's. Remove it.")
    return given


def _refuse_unsupported(options: TableOptions) -> None:
    if options.get("source.monitor-interval"):
        raise options.refuse("source.monitor-interval", "directories are read once. Remove the option.")
    if options.get("auto-compaction"):
        raise options.refuse("auto-compaction", "small files are not merged. Remove the option.")


def _local(path: str) -> str:
    """Flink writes local paths as URLs."""
    return path.removeprefix("file://")
