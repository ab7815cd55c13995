"""Reading formats that hold batches themselves (Parquet, Avro): a split is a run of pieces, a batch a slice of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from millstream.connectors.files.split import FileSplit
from millstream.core.api.source import PollStatus, ReaderContext, SourceReader, SplitBatch
from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch

if TYPE_CHECKING:
    import pyarrow as pa

PIECE_ROWS: Final = 4096
"""Rows decoded at once for Python rows."""
PIECE_COLUMN_ROWS: Final = 32 * 1024


class OpenFile(ABC):
    """One file while it is read."""

    @abstractmethod
    def read(self, piece: int) -> Iterator[pa.RecordBatch]:
        """The rows of a piece, always cut in the same way."""

    def close(self) -> None:
        """Release the file."""


class PieceFormat(ABC):
    """Describes a format. Picklable."""

    emits_columns: bool = True

    @abstractmethod
    def pieces(self, path: str) -> int:
        """Into how many pieces a file can be cut."""

    @abstractmethod
    def open(self, path: str) -> OpenFile: ...

    def batch(self, records: pa.RecordBatch, path: str) -> Batch:
        """What goes downstream."""
        return ArrowBatch(records)


class PieceReader(SourceReader[FileSplit]):
    """Reads the pieces of its splits in order. ``position`` of a split is the piece, ``skip_rows`` the row in it."""

    def __init__(self, file_format: PieceFormat, context: ReaderContext) -> None:
        self._format = file_format
        self._context = context
        self._splits: deque[FileSplit] = deque()
        self._file: OpenFile | None = None
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
                self.close()
                self._splits.popleft()
                return SplitBatch(ObjectBatch([]), split.split_id, split_finished=True)
            self._batches = self._rest_of_piece(split)
        records = self._rest if self._rest is not None else next(self._batches, None)
        if records is None:
            self._batches = None
            self._splits[0] = replace(split, position=split.position + 1, skip_rows=0)
            return SplitBatch(ObjectBatch([]), split.split_id)
        columns = self._format.emits_columns
        rows_max = self._context.column_rows_max if columns else self._context.batch_rows_max
        self._rest = records.slice(rows_max) if records.num_rows > rows_max else None
        records = records.slice(0, rows_max)
        self._splits[0] = replace(split, skip_rows=split.skip_rows + records.num_rows)
        return SplitBatch(self._format.batch(records, split.path), split.split_id)

    def snapshot_state(self) -> list[FileSplit]:
        return list(self._splits)

    def close(self) -> None:
        self._batches = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rest_of_piece(self, split: FileSplit) -> Iterator[pa.RecordBatch]:
        if self._file is None:
            self._file = self._format.open(split.path)
        skip = split.skip_rows
        for records in self._file.read(split.position):
            if skip >= records.num_rows:
                skip -= records.num_rows
                continue
            yield records.slice(skip)
            skip = 0
