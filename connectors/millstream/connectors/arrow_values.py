"""A source over Arrow rows that the program holds in memory: VALUES, ``from_arrow``, inline tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.connectors.collection import CollectionSplit
from millstream.connectors.split_queue import SplitQueueEnumerator
from millstream.core.api.source import (
    EnumeratorContext,
    PollStatus,
    ReaderContext,
    Source,
    SourceReader,
    SplitBatch,
    SplitEnumerator,
)
from millstream.core.elements.batch import ArrowBatch


class ArrowValuesSource(Source[CollectionSplit]):
    """Emits the rows of ``records`` in order, from one subtask, with ``row_kinds`` (one a row) if given.

    The rows travel with the job's code: keep them small.
    """

    def __init__(self, records: pa.RecordBatch | pa.Table, row_kinds: npt.NDArray[np.int8] | None = None) -> None:
        if row_kinds is not None and len(row_kinds) != records.num_rows:
            raise ValueError(f"{len(row_kinds)} row kinds for {records.num_rows} rows")
        self.records = _one_batch(records)
        self.row_kinds = row_kinds

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[CollectionSplit]:
        return SplitQueueEnumerator(context, lambda _: [CollectionSplit(0)])

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[CollectionSplit]:
        return SplitQueueEnumerator.restored(context, state)

    def create_reader(self, context: ReaderContext) -> SourceReader[CollectionSplit]:
        return _ArrowValuesReader(ArrowBatch(self.records, None, self.row_kinds), context)

    @property
    def parallelism_max(self) -> int | None:
        return 1


def _one_batch(records: pa.RecordBatch | pa.Table) -> pa.RecordBatch:
    if isinstance(records, pa.RecordBatch):
        return records
    batches = records.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=records.schema)


class _ArrowValuesReader(SourceReader[CollectionSplit]):
    def __init__(self, rows: ArrowBatch, context: ReaderContext) -> None:
        self._rows = rows
        self._context = context
        self._next: int | None = None
        self._no_more = False

    def poll(self) -> SplitBatch | PollStatus:
        if self._next is None:
            return PollStatus.END_OF_INPUT if self._no_more else PollStatus.SPLIT_WANTED
        stop = min(self._next + self._context.column_rows_max, self._rows.num_rows)
        batch = self._rows.slice(self._next, stop)
        finished = stop == self._rows.num_rows
        self._next = None if finished else stop
        return SplitBatch(batch, "values", finished)

    def add_splits(self, splits: list[CollectionSplit]) -> None:
        for split in splits:
            self._next = split.next

    def notify_no_more_splits(self) -> None:
        self._no_more = True

    def snapshot_state(self) -> list[CollectionSplit]:
        return [] if self._next is None else [CollectionSplit(self._next)]
