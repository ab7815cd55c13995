"""Files as SQL tables: columnar sources and sinks for the formats of ``'format' = '...'``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import pyarrow as pa

from millstream.connectors.files.avro_columns import AvroColumnFormat
from millstream.connectors.files.formats.avro_schema import avro_record
from millstream.connectors.files.formats.column_encoders import AvroColumnFile, ParquetColumnFile, RowTextFile
from millstream.connectors.files.formats.csv_cells import cell_converter
from millstream.connectors.files.formats.csv_columns import CsvColumnFormat
from millstream.connectors.files.formats.encoders import FileFormat
from millstream.connectors.files.formats.line_format import LineFormat
from millstream.connectors.files.formats.ndjson_columns import NdjsonColumnFormat
from millstream.connectors.files.formats.row_text import CsvRows, JsonRows
from millstream.connectors.files.malformed import FAIL, SKIP, MalformedPolicy
from millstream.connectors.files.parquet_columns import ParquetColumnFormat
from millstream.connectors.files.partition_writing import Partitioning
from millstream.connectors.files.partitions import PartitionColumns, PartitionedLines, PartitionFilter
from millstream.connectors.files.pieces import PieceFormat
from millstream.connectors.files.sink import FileSink, RollingPolicy
from millstream.connectors.files.source import FileSource
from millstream.connectors.files.split import FileSplit
from millstream.connectors.files.table_formats import csv_options, format_options, json_options
from millstream.core.api.source import Source
from millstream.core.table.connectors import Filter
from millstream.core.table.table_options import TableOptions

MILLISECOND: Final = timedelta(milliseconds=1)


def file_table_source(
    paths: str | Sequence[str],
    file_format: str,
    schema: pa.Schema,
    projection: Sequence[str] | None,
    options: Mapping[str, str],
    partition_keys: Sequence[str] = (),
    filters: Sequence[Filter] = (),
) -> Source[FileSplit]:
    """Reads ``paths`` (files, directories, globs) as ``ArrowBatch`` of exactly the columns of ``projection``, in order.

    ``schema`` has all columns of the table, ``partition_keys`` among them: their values come from directories named
    ``key=value``. A projection entry may be a dotted path into a ROW; its column is named by the path. ``options`` are
    those of the format and of the file source by Flink's names. ``filters`` leave out files and row groups that cannot
    pass; rows are not filtered. Raises ``ConfigError`` for unknown formats, columns and options.
    """
    checked = format_options(file_format, options)
    names = tuple(schema.names if projection is None else projection)
    partitions = PartitionColumns(schema, names, partition_keys, checked.get("partition.default-name"))
    if file_format in ("json", "csv"):
        stored = _line_format(schema, partitions.stored, partition_keys, file_format, checked)
        readable: LineFormat | PieceFormat = PartitionedLines(stored, partitions) if partition_keys else stored
    elif file_format == "parquet":
        readable = ParquetColumnFormat(schema, partitions, filters)
    else:
        readable = AvroColumnFormat(schema, partitions)
    policy = MalformedPolicy(advice="Correct the file.")
    if file_format in ("json", "csv"):
        policy = MalformedPolicy(
            SKIP if checked.get(f"{file_format}.ignore-parse-errors") else FAIL,
            f"Correct the file, or set '{file_format}.ignore-parse-errors' = 'true' to skip and count such rows.",
        )
    monitor = checked.get("source.monitor-interval")
    return FileSource(
        [paths] if isinstance(paths, str) else list(paths),
        readable,
        policy,
        PartitionFilter(partitions, partition_keys, filters).keeps,
        None if not monitor else round(monitor / MILLISECOND),
    )


def file_table_sink(
    path: str,
    file_format: str,
    schema: pa.Schema,
    options: Mapping[str, str],
    partition_keys: Sequence[str] = (),
) -> FileSink:
    """Appends ``ArrowBatch`` of all columns of ``schema``, in order, to files below the directory ``path``.

    Exactly once: files appear when the checkpoint that holds their rows is complete. ``options`` are those of the
    format and of the file sink by Flink's names. Raises ``ConfigError`` for unknown formats and options, and for types
    that the format does not hold.
    """
    checked = format_options(file_format, options)
    stored = stored_schema(schema, partition_keys)
    partitioning = None
    if partition_keys:
        partitioning = Partitioning(tuple(partition_keys), checked.get("partition.default-name"))
    success_file = ""
    if checked.get("sink.partition-commit.policy.kind") is not None:
        success_file = checked.get("sink.partition-commit.success-file.name")
    return FileSink(
        path,
        _file_format(file_format, stored, checked),
        RollingPolicy(
            checked.get("sink.rolling-policy.file-size"),
            round(checked.get("sink.rolling-policy.rollover-interval") / MILLISECOND),
            round(checked.get("sink.rolling-policy.inactivity-interval") / MILLISECOND),
            round(checked.get("sink.rolling-policy.check-interval") / MILLISECOND),
        ),
        partitioning=partitioning,
        success_file=success_file,
    )


def _file_format(file_format: str, stored: pa.Schema, options: TableOptions) -> FileFormat:
    match file_format:
        case "json":
            separator = json_options(options).separator
            return RowTextFile(JsonRows(separator, options.get("json.encode.ignore-null-fields")), ".json")
        case "csv":
            rows = csv_options(options)
            for field in stored:
                cell_converter(field.type, rows.array_delimiter)
            return RowTextFile(CsvRows(rows), ".csv")
        case "parquet":
            return ParquetColumnFile(stored, options.get("parquet.compression"), options.get("parquet.block.size"))
    avro_record(stored)
    return AvroColumnFile(stored, options.get("avro.codec"))


def _line_format(
    schema: pa.Schema, names: tuple[str, ...], partition_keys: Sequence[str], file_format: str, options: TableOptions
) -> LineFormat:
    if file_format == "json":
        return NdjsonColumnFormat(schema, names, json_options(options))
    return CsvColumnFormat(stored_schema(schema, partition_keys), names, csv_options(options))


def stored_schema(schema: pa.Schema, partition_keys: Sequence[str]) -> pa.Schema:
    """The columns that the files themselves hold."""
    return pa.schema([field for field in schema if field.name not in partition_keys])
