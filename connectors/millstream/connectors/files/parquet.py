"""Reading Parquet: a split is a run of row groups; a batch a slice of one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from millstream.connectors.files.formats.arrow_rows import RowMaker, column_values
from millstream.connectors.files.split import FileSplit
from millstream.core.api.source import PollStatus, ReaderContext, SourceReader, SplitBatch
from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.errors import ExternalError, MalformedRecordError, UserError

if TYPE_CHECKING:
    import pyarrow as pa


BATCH_ROWS: Final = 4096
"""Rows decoded at once."""


class ParquetFormat:
    """``columns``: which to read; None for all. ``rows`` makes Python rows, or None for Arrow batches."""

    def __init__(self, columns: tuple[str, ...] | None, rows: RowMaker | None) -> None:
        self.columns = columns
        self.rows = rows

    def row_groups(self, path: str) -> int:
        """How many row groups ``path`` has."""
        return int(open_parquet(path).metadata.num_row_groups)


class ParquetReader(SourceReader[FileSplit]):
    """Reads the row groups of its splits in order. ``position`` of a split is the row group, ``skip_rows`` the row."""

    def __init__(self, parquet_format: ParquetFormat, context: ReaderContext) -> None:
        self._format = parquet_format
        self._context = context
        self._splits: deque[FileSplit] = deque()
        self._batches: Iterator[pa.RecordBatch] | None = None
        self._rest: pa.RecordBatch | None = None
        self._no_more = False

    def add_splits(self, splits: list[FileSplit]) -> None:
        self._splits.extend(splits)

    def notify_no_more_splits(self) -> None:
        self._no_more = True

    def poll(self) -> SplitBatch | PollStatus:
        if not self._splits:
            return PollStatus.END_OF_INPUT if self._no_more else PollStatus.SPLIT_WANTED
        split = self._splits[0]
        if self._batches is None:
            if split.stop is not None and split.position >= split.stop:
                self._splits.popleft()
                return SplitBatch(ObjectBatch([]), split.split_id, split_finished=True)
            self._batches = self._open(split)
        records = self._rest if self._rest is not None else next(self._batches, None)
        if records is None:
            self._batches = None
            self._splits[0] = replace(split, position=split.position + 1, skip_rows=0)
            return SplitBatch(ObjectBatch([]), split.split_id)
        rows_max = self._context.batch_rows_max
        self._rest = records.slice(rows_max) if records.num_rows > rows_max else None
        records = records.slice(0, rows_max)
        self._splits[0] = replace(split, skip_rows=split.skip_rows + records.num_rows)
        return SplitBatch(self._batch(records), split.split_id)

    def snapshot_state(self) -> list[FileSplit]:
        return list(self._splits)

    def _open(self, split: FileSplit) -> Iterator[pa.RecordBatch]:
        """The rest of the current row group."""
        file = open_parquet(split.path)
        columns = self._format.columns
        missing = [name for name in columns or () if name not in file.schema_arrow.names]
        if missing:
            raise UserError(
                f"{split.path} has no column {missing[0]!r}; its columns are {', '.join(file.schema_arrow.names)}"
            )
        skip = split.skip_rows
        batches = file.iter_batches(
            BATCH_ROWS, [split.position], None if columns is None else list(columns), use_threads=False
        )
        for records in batches:
            if skip >= records.num_rows:
                skip -= records.num_rows
                continue
            yield records.slice(skip)
            skip = 0

    def _batch(self, records: pa.RecordBatch) -> Batch:
        if self._format.rows is None:
            return ArrowBatch(records)
        columns = [column_values(column) for column in records.columns]
        return ObjectBatch(self._format.rows(records.schema.names)(columns))


def open_parquet(path: str) -> Any:
    """Open the file, with errors that name it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except OSError as error:
        raise ExternalError(f"cannot read {path}: {error}") from error
    except pa.ArrowInvalid as error:
        raise MalformedRecordError(f"{path} is not a Parquet file, or it is damaged: {error}") from error
