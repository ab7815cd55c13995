"""``'connector' = 'filesystem'``: files in a directory, perhaps partitioned, in any of the file formats."""

from __future__ import annotations

from millstream.connectors.files.table_formats import FILE_OPTIONS, FORMAT_OPTIONS
from millstream.connectors.files.tables import file_table_sink, file_table_source
from millstream.core.api.sink import Sink
from millstream.core.api.source import Boundedness
from millstream.core.config.values import Boolean, Choice, Integer
from millstream.core.table.connectors import (
    ChangelogMode,
    Pushdown,
    TableConnector,
    TableDescription,
    TableSource,
    projected_schema,
)
from millstream.core.table.lookups import FULL_CACHE_OPTIONS, FullCacheLookup, LookupFunction
from millstream.core.table.table_options import TableOption, TableOptions


class FilesystemConnector(TableConnector):
    """Options of a format begin with its name. Filters on partition columns leave files out, and those on Parquet row
    groups; the query still applies them. The sink takes inserts alone and commits with checkpoints."""

    identifier = "filesystem"
    required_options = {
        "path": TableOption("a directory; to read also a file or a glob"),
        "format": TableOption(f"one of {', '.join(sorted(FORMAT_OPTIONS))}", Choice(tuple(sorted(FORMAT_OPTIONS)))),
    }
    optional_options = {
        **FILE_OPTIONS,
        "auto-compaction": TableOption("Only `false`: small files are not merged.", Boolean(), False),
        "scan.parallelism": TableOption("Parallelism of the source.", Integer(1)),
        "sink.parallelism": TableOption("Parallelism of the sink.", Integer(1)),
        **FULL_CACHE_OPTIONS,
        **{name: option for options in FORMAT_OPTIONS.values() for name, option in options.items()},
    }

    def lookup(
        self, description: TableDescription, keys: tuple[str, ...], projection: tuple[str, ...]
    ) -> LookupFunction | None:
        table = self.source(description, Pushdown(projection))
        return FullCacheLookup(table.source, table.schema, self.options(description)) if table.bounded else None

    def open_source(self, description: TableDescription, options: TableOptions, pushdown: Pushdown) -> TableSource:
        source = file_table_source(
            _local(options.get("path")),
            options.get("format"),
            description.schema,
            pushdown.projection,
            _file_options(description, options),
            description.partition_keys,
            pushdown.filters,
        )
        bounded = source.boundedness is Boundedness.BOUNDED
        if bounded and options.is_set("source.monitor-interval"):
            raise options.refuse("source.monitor-interval", "it must be longer than 0. Remove the option to read once.")
        return TableSource(
            source,
            projected_schema(description.schema, pushdown.projection, description.place),
            bounded,
            parallelism=options.get("scan.parallelism"),
        )

    def open_sink(self, description: TableDescription, options: TableOptions, changelog_mode: ChangelogMode) -> Sink:
        return file_table_sink(
            _local(options.get("path")),
            options.get("format"),
            description.schema,
            _file_options(description, options),
            description.partition_keys,
        )


def _file_options(description: TableDescription, options: TableOptions) -> dict[str, str]:
    """What the files take. Raises ``ConfigError`` for an option of another format than the table's, and for merging
    small files."""
    if options.get("auto-compaction"):
        raise options.refuse("auto-compaction", "small files are not merged. Remove the option.")
    file_format = options.get("format")
    taken = {**FILE_OPTIONS, **FORMAT_OPTIONS[file_format]}
    for name, _ in options.given():
        if name not in taken and any(name in declared for declared in FORMAT_OPTIONS.values()):
            raise options.refuse(name, f"it is of another format than {file_format!r}, the table's. Remove it.")
    return {name: description.options[name] for name, _ in options.given() if name in taken}


def _local(path: str) -> str:
    """Flink writes local paths as URLs."""
    return path.removeprefix("file://")
