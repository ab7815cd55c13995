"""Changes of a query's rows, folded to the rows that are left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.elements.batch import ArrowBatch, RowKind
from millstream.core.table.row_type import RowType

_ADDS: Final = (RowKind.INSERT, RowKind.UPDATE_AFTER)


def final_rows(batches: Sequence[ArrowBatch], row_type: RowType) -> pa.Table:
    """The rows after all changes, in the order in which they came last. A row taken back is one that equals it."""
    schema = row_type.arrow_schema()
    table = pa.Table.from_batches([batch.records.cast(schema) for batch in batches], schema)
    if all(batch.row_kinds is None for batch in batches):
        return table
    kinds = np.concatenate([_kinds(batch) for batch in batches])
    places: dict[str, list[int]] = {}
    for position, (kind, key) in enumerate(zip(kinds.tolist(), _keys(table), strict=True)):
        if kind in _ADDS:
            places.setdefault(key, []).append(position)
        elif places.get(key):
            places[key].pop()
    left = sorted(position for positions in places.values() for position in positions)
    return table.take(pa.array(left, pa.int64()))


def _kinds(batch: ArrowBatch) -> np.ndarray:
    if batch.row_kinds is None:
        return np.full(batch.num_rows, RowKind.INSERT, np.int8)
    return batch.row_kinds


def _keys(table: pa.Table) -> list[str]:
    """A text for each row, equal for equal rows. Times by their integers: Python has no nanoseconds."""
    columns = [
        pc.cast(column, pa.int64()) if pa.types.is_timestamp(column.type) else column for column in table.columns
    ]
    return [repr(row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]
