"""Files as source and sink, by PyFlink's builders (``pyflink.datastream.connectors.file_system``).

``env.read_text(...)`` and ``ds.write_csv(...)`` are shorter and offer more formats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from millstream.common.serialization import Encoder
from millstream.connectors.files.formats.csv import CsvFormat
from millstream.connectors.files.formats.encoders import (
    CsvFileFormat,
    FileFormat,
    NdjsonFileFormat,
    ParquetFileFormat,
    TextFileFormat,
)
from millstream.connectors.files.formats.line_format import LineFormat
from millstream.connectors.files.formats.ndjson import NdjsonFormat
from millstream.connectors.files.formats.text import TextLineFormat
from millstream.connectors.files.parquet import ParquetFormat
from millstream.connectors.files.sink import ROLL_BYTES, ROLL_INTERVAL_MS
from millstream.connectors.files.sink import FileSink as FilesSink
from millstream.connectors.files.sink import RollingPolicy as Rolling
from millstream.connectors.files.source import FileSource as FilesSource
from millstream.core.api.time import DurationLike, parse_duration_ms
from millstream.datastream.call_site import refuse
from millstream.datastream.reading import absolute
from millstream.datastream.writing import directory

__all__ = [
    "BulkFormat",
    "FileSink",
    "FileSource",
    "FileSourceBuilder",
    "OutputFileConfig",
    "RollingPolicy",
    "RowFormatBuilder",
    "StreamFormat",
]


class StreamFormat:
    """Formats of a record a line."""

    def __init__(self, file_format: LineFormat) -> None:
        self.file_format = file_format

    @staticmethod
    def text_line_format(charset_name: str = "UTF-8") -> StreamFormat:
        """Lines as ``str``."""
        return StreamFormat(TextLineFormat(charset_name))

    @staticmethod
    def json_line_format(schema: Any = None) -> StreamFormat:
        """A JSON value a line; ``schema`` as of ``env.read_json``."""
        return StreamFormat(NdjsonFormat(schema))

    @staticmethod
    def csv_line_format(**options: Any) -> StreamFormat:
        """CSV rows as dicts; ``options`` are fields of ``CsvFormat``."""
        return StreamFormat(CsvFormat(**options))


class BulkFormat:
    """Columnar formats."""

    def __init__(self, file_format: ParquetFormat) -> None:
        self.file_format = file_format

    @staticmethod
    def parquet(columns: list[str] | None = None) -> BulkFormat:
        """Parquet rows as dicts."""
        from millstream.connectors.files.formats.arrow_rows import dict_rows

        return BulkFormat(ParquetFormat(None if columns is None else tuple(columns), dict_rows))


class FileSourceBuilder:
    """Ends with ``build``."""

    def __init__(self, file_format: LineFormat | ParquetFormat, paths: tuple[str, ...]) -> None:
        self._file_format = file_format
        self._paths = absolute(list(paths))

    def process_static_file_set(self) -> FileSourceBuilder:
        """Read the files that are there when the job starts; always so in this version."""
        return self

    def build(self) -> FilesSource:
        return FilesSource(self._paths, self._file_format)


class FileSource:
    """``FileSource.for_record_stream_format(StreamFormat.text_line_format(), path).build()``."""

    @staticmethod
    def for_record_stream_format(stream_format: StreamFormat, *paths: str) -> FileSourceBuilder:
        """From files, directories or globs."""
        if not isinstance(stream_format, StreamFormat):
            raise refuse(f"for_record_stream_format takes a StreamFormat, not {stream_format!r:.60}.")
        return FileSourceBuilder(stream_format.file_format, paths)

    @staticmethod
    def for_bulk_file_format(bulk_format: BulkFormat, *paths: str) -> FileSourceBuilder:
        """From files, directories or globs."""
        if not isinstance(bulk_format, BulkFormat):
            raise refuse(f"for_bulk_file_format takes a BulkFormat, not {bulk_format!r:.60}.")
        return FileSourceBuilder(bulk_format.file_format, paths)


class RollingPolicy:
    """When a file is complete and the next one begins."""

    @staticmethod
    def default_rolling_policy(
        part_size: int = ROLL_BYTES,
        rollover_interval: DurationLike = ROLL_INTERVAL_MS,
        inactivity_interval: DurationLike = ROLL_INTERVAL_MS,
    ) -> Rolling:
        """At ``part_size`` bytes, or ``rollover_interval`` after it was begun; a quiet file is complete with its age,
        so the sooner of both intervals counts."""
        ages_ms = (parse_duration_ms(rollover_interval), parse_duration_ms(inactivity_interval))
        return Rolling(part_size, min(ages_ms))


class OutputFileConfig:
    """Names of part files: ``<prefix>-...<suffix>``."""

    def __init__(self, part_prefix: str, part_suffix: str) -> None:
        self.part_prefix = part_prefix
        self.part_suffix = part_suffix

    @staticmethod
    def builder() -> OutputFileConfig.OutputFileConfigBuilder:
        return OutputFileConfig.OutputFileConfigBuilder()

    def get_part_prefix(self) -> str:
        return self.part_prefix

    def get_part_suffix(self) -> str:
        return self.part_suffix

    class OutputFileConfigBuilder:
        """Ends with ``build``."""

        def __init__(self) -> None:
            self._prefix = "part"
            self._suffix = ""

        def with_part_prefix(self, prefix: str) -> OutputFileConfig.OutputFileConfigBuilder:
            self._prefix = prefix
            return self

        def with_part_suffix(self, suffix: str) -> OutputFileConfig.OutputFileConfigBuilder:
            self._suffix = suffix
            return self

        def build(self) -> OutputFileConfig:
            return OutputFileConfig(self._prefix, self._suffix)


class RowFormatBuilder:
    """Ends with ``build``."""

    def __init__(self, base_path: str, file_format: FileFormat) -> None:
        self._directory = directory(base_path)
        self._file_format = file_format
        self._rolling = Rolling()
        self._prefix = "part"

    def with_rolling_policy(self, rolling_policy: Rolling) -> RowFormatBuilder:
        if not isinstance(rolling_policy, Rolling):
            raise refuse(f"with_rolling_policy takes a RollingPolicy, not {rolling_policy!r:.60}.")
        self._rolling = rolling_policy
        return self

    def with_output_file_config(self, output_file_config: OutputFileConfig) -> RowFormatBuilder:
        self._prefix = output_file_config.get_part_prefix()
        suffix = output_file_config.get_part_suffix()
        if suffix:
            self._file_format = with_suffix(self._file_format, suffix)
        return self

    def build(self) -> FilesSink:
        return FilesSink(self._directory, self._file_format, self._rolling, self._prefix)


class FileSink:
    """``FileSink.for_row_format(path, Encoder.simple_string_encoder()).build()``."""

    @staticmethod
    def for_row_format(base_path: str, encoder: Encoder | Callable[[Any], str]) -> RowFormatBuilder:
        """A line a record, as the encoder (or a function) makes it."""
        encode = encoder.encode if isinstance(encoder, Encoder) else encoder
        if not callable(encode):
            raise refuse(f"for_row_format takes an Encoder or a function from record to text, not {encoder!r:.60}.")
        return RowFormatBuilder(base_path, TextFileFormat(encode))

    @staticmethod
    def for_bulk_format(base_path: str, writer_factory: FileFormat) -> RowFormatBuilder:
        """One of ``ParquetFileFormat``, ``CsvFileFormat`` and ``NdjsonFileFormat``."""
        if not isinstance(writer_factory, FileFormat):
            raise refuse(f"for_bulk_format takes a file format, not {writer_factory!r:.60}.")
        return RowFormatBuilder(base_path, writer_factory)


def with_suffix(file_format: FileFormat, suffix: str) -> FileFormat:
    """The same format under another suffix."""
    if isinstance(file_format, TextFileFormat | NdjsonFileFormat | CsvFileFormat | ParquetFileFormat):
        return replace(file_format, suffix=suffix)
    raise refuse(f"{type(file_format).__name__} has a fixed suffix.")
