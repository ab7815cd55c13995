"""The formats of file tables and their options, by Flink's names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from millstream.connectors.files.formats.csv_columns import CsvOptions
from millstream.connectors.files.formats.json_schema import JsonOptions
from millstream.connectors.files.partitions import DEFAULT_PARTITION
from millstream.core.config.configuration import nearest
from millstream.core.config.values import Boolean, Choice, DurationKind, Size
from millstream.core.errors import ConfigError
from millstream.core.table.table_options import TableOption, TableOptions

JSON_OPTIONS: Final = {
    "json.ignore-parse-errors": TableOption("Skip and count rows that do not parse.", Boolean(), False),
    "json.fail-on-missing-field": TableOption("A missing field is an error instead of NULL.", Boolean(), False),
    "json.timestamp-format.standard": TableOption(
        "Whether a space (SQL) or a T (ISO-8601) stands in timestamps.", Choice(("SQL", "ISO-8601")), "SQL"
    ),
    "json.encode.ignore-null-fields": TableOption("Leave NULL fields out when writing.", Boolean(), False),
    "json.encode.decimal-as-plain-number": TableOption("Accepted; decimals are written plain.", Boolean()),
}
CSV_OPTIONS: Final = {
    "csv.field-delimiter": TableOption("Stands between fields; \\t and \\uXXXX are understood.", default=","),
    "csv.quote-character": TableOption("Encloses values.", default='"'),
    "csv.disable-quote-character": TableOption("Quotes mean nothing.", Boolean(), False),
    "csv.allow-comments": TableOption("Skip lines that begin with #.", Boolean(), False),
    "csv.ignore-parse-errors": TableOption(
        "Skip and count rows that do not parse; values that do not fit are NULL.", Boolean(), False
    ),
    "csv.array-element-delimiter": TableOption("Stands between the elements of an ARRAY.", default=";"),
    "csv.escape-character": TableOption("Makes the next character mean itself."),
    "csv.null-literal": TableOption("What NULL is written as."),
    "csv.write-bigdecimal-in-scientific-notation": TableOption("Accepted; decimals are written plain.", Boolean()),
}
PARQUET_OPTIONS: Final = {
    "parquet.compression": TableOption(
        "How files are compressed.", Choice(("SNAPPY", "ZSTD", "GZIP", "LZ4", "BROTLI", "UNCOMPRESSED")), "SNAPPY"
    ),
    "parquet.block.size": TableOption("Bytes of a row group.", Size(1024), 128 * 1024 * 1024),
    "parquet.utc-timezone": TableOption("Accepted; timestamps are stored as UTC.", Boolean()),
}
AVRO_OPTIONS: Final = {
    "avro.codec": TableOption(
        "How files are compressed.", Choice(("null", "deflate", "snappy", "bzip2", "xz")), "snappy"
    ),
    "avro.timestamp_mapping.legacy": TableOption("Accepted; timestamps have the types of Avro 1.11.", Boolean()),
}
FILE_OPTIONS: Final = {
    "partition.default-name": TableOption("The directory of NULL partition values.", default=DEFAULT_PARTITION),
    "source.monitor-interval": TableOption("Look for new files that often; without it the input ends.", DurationKind()),
    "sink.rolling-policy.file-size": TableOption("Bytes at which a file is completed.", Size(1), 128 * 1024 * 1024),
    "sink.rolling-policy.rollover-interval": TableOption(
        "How long a file is written to.", DurationKind(), timedelta(minutes=30)
    ),
    "sink.rolling-policy.inactivity-interval": TableOption(
        "How long a file may go without a row.", DurationKind(), timedelta(minutes=30)
    ),
    "sink.rolling-policy.check-interval": TableOption(
        "How often both are looked at.", DurationKind(), timedelta(minutes=1)
    ),
    "sink.partition-commit.policy.kind": TableOption(
        "success-file: an empty file in each directory that got files.", Choice(("success-file",))
    ),
    "sink.partition-commit.success-file.name": TableOption("The name of that file.", default="_SUCCESS"),
}
"""Options of the files themselves, whatever their format."""
FORMAT_OPTIONS: Final[dict[str, dict[str, TableOption]]] = {
    "json": JSON_OPTIONS,
    "csv": CSV_OPTIONS,
    "parquet": PARQUET_OPTIONS,
    "avro": AVRO_OPTIONS,
}


def format_options(file_format: str, options: Mapping[str, str]) -> TableOptions:
    """The checked options of the format. Raises ``ConfigError`` for a format or an option that does not exist."""
    if file_format not in FORMAT_OPTIONS:
        near = nearest(file_format, list(FORMAT_OPTIONS))
        hint = f"Did you mean {near!r}? " if near else ""
        raise ConfigError(f"unknown format {file_format!r}. {hint}Known: {', '.join(sorted(FORMAT_OPTIONS))}.")
    return TableOptions(f"format {file_format!r}", options, {}, FORMAT_OPTIONS[file_format] | FILE_OPTIONS)


def json_options(options: TableOptions) -> JsonOptions:
    """Raises ``ConfigError`` for options that exclude each other."""
    lenient, strict = options.get("json.ignore-parse-errors"), options.get("json.fail-on-missing-field")
    if lenient and strict:
        raise options.refuse("json.fail-on-missing-field", "not together with 'json.ignore-parse-errors'.")
    return JsonOptions(options.get("json.timestamp-format.standard"), strict, lenient)


def csv_options(options: TableOptions) -> CsvOptions:
    """Raises ``ConfigError`` for delimiters that are not one character."""
    return CsvOptions(
        delimiter=_character(options, "csv.field-delimiter") or ",",
        quote=None if options.get("csv.disable-quote-character") else _character(options, "csv.quote-character"),
        escape=_character(options, "csv.escape-character"),
        comments=options.get("csv.allow-comments"),
        null_literal=options.get("csv.null-literal"),
        array_delimiter=options.get("csv.array-element-delimiter"),
        lenient=options.get("csv.ignore-parse-errors"),
    )


def _character(options: TableOptions, name: str) -> str | None:
    text = options.get(name)
    if text is None:
        return None
    if "\\" in text and len(text) > 1:
        text = text.encode().decode("unicode_escape")
    if len(text) != 1 or not text.isascii():
        raise options.refuse(name, "it must be one ASCII character.")
    return str(text)
