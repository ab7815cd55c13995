"""The snapshot of an operator's columnar state: gathered between steps of the task, encoded and written beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from millstream.core.keys import table_key_groups
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.state.column_chunks import (
    GROUP,
    ROWS,
    ColumnChunk,
    divided_columns,
    encode_column_chunk,
)
from millstream.taskmanager.state.columnar.changes import LoggedRows
from millstream.taskmanager.state.columnar.slot_capture import SlotCapture
from millstream.taskmanager.state.runs import Extent, RunChains, RunWriter
from millstream.taskmanager.state.state_writer import StateWriter

if TYPE_CHECKING:
    from millstream.taskmanager.state.columnar.backend import AnyTable

_PARTS_OF_FULL_RUN: Final = 8


class ColumnarCapture:
    """Implements ``KeyedCapture``."""

    def __init__(
        self,
        chains: RunChains,
        checkpoint_id: int,
        full: bool,
        parts: Sequence[tuple[AnyTable, SlotCapture]],
        groups: range,
        max_parallelism: int,
        directory: Path | None = None,
    ) -> None:
        """``directory``: for files of this machine, where the state may be larger than memory."""
        self._writer = RunWriter(chains, checkpoint_id, Extent.FULL if full else Extent.CHANGES)
        self._full = full
        self._parts = parts
        self._groups = groups
        self._max_parallelism = max_parallelism
        self._directory = directory

    def advance(self) -> bool:
        return any(part.advance() for _, part in self._parts)

    def store(self, writer: StateWriter, state: checkpoint_pb2.OperatorState) -> None:
        self._writer.store(self._encoded(), writer, state, self._directory)

    def ended(self) -> None:
        for _, part in self._parts:
            part.end()
            part.cold = None
        self._writer.ended()

    def rows(self) -> Iterator[ColumnChunk]:
        """What is removed or has left memory first, for a key may be there again."""
        for table, part in self._parts:
            for gone in part.gone:
                if isinstance(gone, LoggedRows):
                    yield self._chunk(table, gone.read(), None)
                else:
                    yield self._chunk(table, _empty(table.saved_schema), gone)
            for batch in part.rows():
                yield self._chunk(table, batch, None)

    def _encoded(self) -> Iterator[tuple[range, bytes]]:
        for chunk in self.rows():
            if self._full and len(self._groups) > 1:  # so that a restart at another parallelism need not read it all
                for part, rows in divided_columns(chunk, self._groups, _PARTS_OF_FULL_RUN):
                    yield part, encode_column_chunk(rows)
            else:
                yield self._groups, encode_column_chunk(chunk)

    def _chunk(self, table: AnyTable, rows: pa.RecordBatch, gone: pa.RecordBatch | None) -> ColumnChunk:
        with_ttl, keys = table.expiry is not None, len(table.key_schema)
        chunk = ColumnChunk(table.name, table.kind, with_ttl, keys, table.partition_keys, rows)
        chunk.rows = self._grouped(rows, rows.columns[chunk.first_key - 1 :], table.partition_keys)
        if gone is not None:
            of_row = int(table.kind == ROWS)
            grouped = self._grouped(gone, gone.columns[of_row:], table.partition_keys)
            chunk.gone = grouped.select([0, 1]) if of_row else grouped
        return chunk

    def _grouped(self, batch: pa.RecordBatch, keys: list[pa.Array], partition_keys: int) -> pa.RecordBatch:
        groups = table_key_groups(keys[:partition_keys], self._max_parallelism, batch.num_rows)
        schema = pa.schema([pa.field(GROUP, pa.int32()), *batch.schema])
        return pa.RecordBatch.from_arrays([pa.array(groups, pa.int32()), *batch.columns], schema=schema)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
