"""Reading Parquet: the pieces are its row groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from millstream.connectors.files.formats.arrow_rows import RowMaker, column_values
from millstream.connectors.files.pieces import PIECE_COLUMN_ROWS, PIECE_ROWS, OpenFile, PieceFormat
from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.errors import ExternalError, MalformedRecordError, UserError

if TYPE_CHECKING:
    import pyarrow as pa


class ParquetFormat(PieceFormat):
    """``columns``: which to read; None for all. ``rows`` makes Python rows, or None for Arrow batches."""

    def __init__(self, columns: tuple[str, ...] | None, rows: RowMaker | None) -> None:
        self.columns = columns
        self.rows = rows
        self.emits_columns = rows is None

    def pieces(self, path: str) -> int:
        return int(open_parquet(path).metadata.num_row_groups)

    def open(self, path: str) -> OpenFile:
        file = open_parquet(path)
        missing = [name for name in self.columns or () if name not in file.schema_arrow.names]
        if missing:
            raise UserError(
                f"{path} has no column {missing[0]!r}; its columns are {', '.join(file.schema_arrow.names)}"
            )
        return _OpenParquet(file, self.columns, PIECE_COLUMN_ROWS if self.emits_columns else PIECE_ROWS)

    def batch(self, records: pa.RecordBatch, path: str) -> Batch:
        if self.rows is None:
            return ArrowBatch(records)
        columns = [column_values(column) for column in records.columns]
        return ObjectBatch(self.rows(records.schema.names)(columns))


class _OpenParquet(OpenFile):
    def __init__(self, file: Any, columns: tuple[str, ...] | None, rows: int) -> None:
        self._file = file
        self._columns = None if columns is None else list(columns)
        self._rows = rows

    def read(self, piece: int) -> Iterator[pa.RecordBatch]:
        return self._file.iter_batches(self._rows, [piece], self._columns, use_threads=False)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._file.close()


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
