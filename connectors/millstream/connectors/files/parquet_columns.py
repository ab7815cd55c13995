"""Parquet as a SQL table: only the wanted leaves are read, and only row groups that may hold rows of interest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from millstream.connectors.files.formats.column_paths import WantedColumns
from millstream.connectors.files.parquet import open_parquet
from millstream.connectors.files.partitions import PartitionColumns
from millstream.connectors.files.pieces import PIECE_COLUMN_ROWS, OpenFile, PieceFormat
from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.table.connectors import Filter


class ParquetColumnFormat(PieceFormat):
    """``schema``: all columns of the table; ``filters`` on stored columns leave row groups out by their statistics."""

    def __init__(self, schema: pa.Schema, partitions: PartitionColumns, filters: Sequence[Filter] = ()) -> None:
        self._wanted = WantedColumns(schema, partitions.stored)
        self._partitions = partitions
        self._filters = tuple(filters)

    def pieces(self, path: str) -> int:
        return int(open_parquet(path).metadata.num_row_groups)

    def open(self, path: str) -> OpenFile:
        return _OpenParquet(open_parquet(path), self._wanted, self._filters)

    def batch(self, records: pa.RecordBatch, path: str) -> Batch:
        return ArrowBatch(self._partitions.complete(self._wanted.take(records, path), path))


class _OpenParquet(OpenFile):
    def __init__(self, file: Any, wanted: WantedColumns, filters: Sequence[Filter]) -> None:
        self._file = file
        self._columns = _leaves(file.schema_arrow, wanted)
        self._leaf_numbers = {file.schema.column(i).path: i for i in range(len(file.schema))}
        self._filters = filters

    def read(self, piece: int) -> Iterator[pa.RecordBatch]:
        group = self._file.metadata.row_group(piece)
        if not all(self._may_pass(condition, group) for condition in self._filters):
            return iter(())
        return self._file.iter_batches(  # type: ignore[no-any-return]
            PIECE_COLUMN_ROWS, [piece], self._columns, use_threads=False
        )

    def close(self) -> None:
        self._file.close()

    def _may_pass(self, condition: Filter, group: Any) -> bool:
        number = self._leaf_numbers.get(condition.column)
        statistics = None if number is None else group.column(number).statistics
        return statistics is None or _may_pass(condition, statistics, group.num_rows)


def _leaves(stored: pa.Schema, wanted: WantedColumns) -> list[str]:
    """What to ask the Parquet reader for: dotted paths; one column where none is wanted, to count its rows."""
    paths = [".".join(path) for path in wanted.paths if path[0] in stored.names]
    return paths or stored.names[:1]


def _may_pass(condition: Filter, statistics: Any, rows: int) -> bool:
    """Whether some row of a group can pass; True when the statistics do not say."""
    if condition.op == "IS_NULL":
        return not statistics.has_null_count or statistics.null_count > 0
    if statistics.has_null_count and statistics.null_count == rows:
        return False
    if condition.op == "IS_NOT_NULL" or not statistics.has_min_max:
        return True
    low, high, literal = statistics.min, statistics.max, condition.literal
    try:
        match condition.op:
            case "=":
                return bool(low <= literal <= high)
            case "<":
                return bool(low < literal)
            case "<=":
                return bool(low <= literal)
            case ">":
                return bool(high > literal)
            case ">=":
                return bool(high >= literal)
            case "IN":
                return any(low <= value <= high for value in literal)
    except TypeError:
        return True
    return True
