"""Partitioned tables: directories named ``column=value``, one level a partition column, as Hive and Flink do it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa

from millstream.connectors.files.formats.line_format import LineDecoder, LineFormat
from millstream.connectors.files.malformed import DecodedChunk
from millstream.core.errors import ExternalError, MalformedRecordError
from millstream.core.table.connectors import Filter
from millstream.core.table.projection import zero_column_batch

DEFAULT_PARTITION: Final = "__DEFAULT_PARTITION__"
"""The directory of rows whose partition column is NULL or empty."""


class PartitionColumns:
    """Completes the columns that files hold with those that their paths name.

    ``names``: the wanted columns in order, dotted paths allowed; ``keys``: the partition columns of the table.
    """

    def __init__(
        self, schema: pa.Schema, names: Sequence[str], keys: Sequence[str], default_name: str = DEFAULT_PARTITION
    ) -> None:
        self._types = {key: schema.field(key).type for key in keys}
        self._names = tuple(names)
        self._default_name = default_name
        self.stored = tuple(name for name in names if name not in self._types)
        """The columns to read from the files."""

    def values(self, path: str) -> dict[str, Any]:
        """The partition values of a file, as Python values. Raises ``ExternalError`` when its path does not name them,
        and ``MalformedRecordError`` when a value does not fit its column."""
        return {key: scalar.as_py() for key, scalar in self._scalars(path).items()}

    def complete(self, records: pa.RecordBatch, path: str) -> pa.RecordBatch:
        """``records`` with the columns in their order; the same object for tables without partitions."""
        if not self._types:
            return records
        scalars, rows = self._scalars(path), records.num_rows
        if not self._names:
            return zero_column_batch(rows)
        columns = [
            pa.repeat(scalars[name], rows) if name in scalars else records.column(self.stored.index(name))
            for name in self._names
        ]
        return pa.RecordBatch.from_arrays(columns, names=list(self._names))

    def _scalars(self, path: str) -> dict[str, pa.Scalar]:
        steps = dict(part.split("=", 1) for part in Path(path).parts[:-1] if "=" in part)
        scalars = {}
        for key, kind in self._types.items():
            if key not in steps:
                raise ExternalError(f"{path} is not in a directory {key}=...; the table is partitioned by {key}")
            text = unquote(steps[key])
            if text == self._default_name:
                scalars[key] = pa.scalar(None, kind)
                continue
            try:
                scalars[key] = pa.scalar(text, pa.string()).cast(kind)
            except pa.ArrowInvalid as error:
                raise MalformedRecordError(
                    f"{path}: the partition {key}={text} is no {kind}. Rename the directory, or correct the DDL."
                ) from error
        return scalars


class PartitionFilter:
    """Which files may hold rows that pass ``filters``; those on other columns say nothing here."""

    def __init__(self, partitions: PartitionColumns, keys: Sequence[str], filters: Sequence[Filter]) -> None:
        self._partitions = partitions
        self._filters = [condition for condition in filters if condition.column in keys]

    def keeps(self, path: str) -> bool:
        if not self._filters:
            return True
        values = self._partitions.values(path)
        return all(_passes(condition, values[condition.column]) for condition in self._filters)


def _passes(condition: Filter, value: Any) -> bool:
    """Whether ``value`` passes; True also when it cannot be compared: leaving out is an optimisation."""
    literal = condition.literal
    if condition.op == "IS_NULL":
        return value is None
    if condition.op == "IS_NOT_NULL":
        return value is not None
    if value is None:
        return False
    try:
        match condition.op:
            case "=":
                return bool(value == literal)
            case "<>":
                return bool(value != literal)
            case "<":
                return bool(value < literal)
            case "<=":
                return bool(value <= literal)
            case ">":
                return bool(value > literal)
            case ">=":
                return bool(value >= literal)
            case "IN":
                return value in literal
    except TypeError:
        return True
    return True


class PartitionedLines(LineFormat):
    """A columnar line format whose batches get the partition columns of their file."""

    emits_columns = True

    def __init__(self, stored: LineFormat, partitions: PartitionColumns) -> None:
        self._stored = stored
        self._partitions = partitions

    @property
    def splittable(self) -> bool:  # type: ignore[override]
        return self._stored.splittable

    def create_decoder(self, path: str) -> LineDecoder:
        return _PartitionedDecoder(self._stored.create_decoder(path), self._partitions, path)


class _PartitionedDecoder(LineDecoder):
    def __init__(self, stored: LineDecoder, partitions: PartitionColumns, path: str) -> None:
        self._stored = stored
        self._partitions = partitions
        self._path = path

    def decode(self, chunk: bytes, at_file_start: bool) -> DecodedChunk:
        decoded = self._stored.decode(chunk, at_file_start)
        if decoded.records is not None:
            decoded.records = self._partitions.complete(decoded.records, self._path)
        return decoded
