"""Short ways to file sources and sinks; what ``env.read_csv`` and ``ds.write_csv`` call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from millstream.connectors.files.formats.arrow_rows import RecordRows, RowMaker, dict_rows, tuple_rows
from millstream.connectors.files.formats.csv import CsvFormat
from millstream.connectors.files.formats.encoders import (
    CsvFileFormat,
    FileFormat,
    NdjsonFileFormat,
    ParquetFileFormat,
    TextFileFormat,
)
from millstream.connectors.files.formats.ndjson import NdjsonFormat
from millstream.connectors.files.formats.text import TextLineFormat
from millstream.connectors.files.malformed import FAIL, SKIP, MalformedPolicy
from millstream.connectors.files.parquet import ParquetFormat
from millstream.connectors.files.sink import ROLL_BYTES, ROLL_INTERVAL_MS, FileSink, RollingPolicy
from millstream.connectors.files.source import FileSource
from millstream.core.api.time import parse_duration_ms

Paths = str | Sequence[str]


def text_source(path: Paths, encoding: str = "utf-8", on_malformed: Any = FAIL) -> FileSource:
    """Lines as ``str``."""
    return FileSource(_paths(path), TextLineFormat(encoding), _policy(on_malformed))


def json_source(path: Paths, schema: Any = None, on_malformed: Any = FAIL) -> FileSource:
    """NDJSON. ``schema``: None, ``{"field": type}``, or a dataclass, NamedTuple or TypedDict."""
    return FileSource(_paths(path), NdjsonFormat(schema), _policy(on_malformed))


def csv_source(
    path: Paths,
    columns: Sequence[str] | None = None,
    schema: Mapping[str, Any] | type | None = None,
    records: str | type = "dict",
    delimiter: str = ",",
    quote: str = '"',
    header: bool = True,
    column_names: Sequence[str] | None = None,
    null_values: Sequence[str] | None = None,
    multiline: bool = False,
    on_malformed: Any = FAIL,
) -> FileSource:
    """CSV rows as dicts (``records="dict"``), tuples (``"tuple"``), or instances of a dataclass or NamedTuple.

    ``schema``: types by column name; a dataclass or NamedTuple gives columns, types and the record class at once.
    """
    if isinstance(schema, type):
        records, schema = schema, _annotations(schema)
        columns = columns or list(schema)
    options = CsvFormat(
        delimiter=delimiter,
        quote=quote,
        header=header,
        column_names=None if column_names is None else tuple(column_names),
        columns=None if columns is None else tuple(columns),
        schema=dict(schema or {}),
        rows=_row_maker(records),
        multiline=multiline,
    )
    if null_values is not None:
        options = CsvFormat(**{**options.__dict__, "null_values": tuple(null_values)})
    return FileSource(_paths(path), options, _policy(on_malformed))


def parquet_source(
    path: Paths, columns: Sequence[str] | None = None, records: str | type | None = "dict"
) -> FileSource:
    """Parquet rows; ``records="arrow"`` keeps them columnar."""
    rows = None if records in (None, "arrow") else _row_maker(records)
    return FileSource(_paths(path), ParquetFormat(None if columns is None else tuple(columns), rows))


def text_sink(path: str, encode: Callable[[Any], str] = str, **rolling: Any) -> FileSink:
    return _sink(path, TextFileFormat(encode), rolling)


def json_sink(path: str, **rolling: Any) -> FileSink:
    return _sink(path, NdjsonFileFormat(), rolling)


def csv_sink(
    path: str, columns: Sequence[str] | None = None, delimiter: str = ",", header: bool = True, **rolling: Any
) -> FileSink:
    return _sink(path, CsvFileFormat(None if columns is None else tuple(columns), delimiter, header), rolling)


def parquet_sink(path: str, schema: Any = None, compression: str = "zstd", **rolling: Any) -> FileSink:
    return _sink(path, ParquetFileFormat(schema, compression), rolling)


def _sink(path: str, file_format: FileFormat, rolling: dict[str, Any]) -> FileSink:
    """``rolling`` may hold ``roll_bytes`` and ``roll_interval`` (a duration, or None for never by age)."""
    bytes_max = int(rolling.pop("roll_bytes", ROLL_BYTES))
    interval = rolling.pop("roll_interval", ROLL_INTERVAL_MS)
    if rolling:
        raise TypeError(f"unknown option {sorted(rolling)[0]!r}; known are roll_bytes and roll_interval")
    age_ms_max = None if interval is None else parse_duration_ms(interval)
    return FileSink(str(path), file_format, RollingPolicy(bytes_max, age_ms_max))


def _paths(path: Paths) -> list[str]:
    paths = [path] if isinstance(path, str) or hasattr(path, "__fspath__") else list(path)
    return [str(item) for item in paths]


def _policy(on_malformed: Any) -> MalformedPolicy:
    if on_malformed in (FAIL, SKIP):
        return MalformedPolicy(on_malformed)
    tag_id = getattr(on_malformed, "tag_id", None)
    if tag_id is None:
        raise ValueError(f'on_malformed must be "fail", "skip" or an OutputTag, not {on_malformed!r}')
    return MalformedPolicy(tag_id)


def _row_maker(records: str | type | None) -> RowMaker:
    if records == "dict":
        return dict_rows
    if records == "tuple":
        return tuple_rows
    if isinstance(records, type) and (hasattr(records, "_fields") or hasattr(records, "__dataclass_fields__")):
        return RecordRows(records)
    raise ValueError(f'records must be "dict", "tuple", a dataclass or a NamedTuple, not {records!r}')


def _annotations(record_class: type) -> dict[str, Any]:
    """Field types with ``X | None`` reduced to ``X``: every CSV column may be empty."""
    import types
    import typing

    fields: dict[str, Any] = {}
    for name, annotation in typing.get_type_hints(record_class).items():
        if typing.get_origin(annotation) in (typing.Union, types.UnionType):
            annotation = next(arg for arg in typing.get_args(annotation) if arg is not type(None))
        fields[name] = annotation
    return fields
