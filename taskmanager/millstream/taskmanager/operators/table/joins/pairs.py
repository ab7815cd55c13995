"""Pairs of rows that have equal keys, and the rest of the join condition over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.table.evaluation import compile_predicate
from millstream.core.table.expressions import Expression, input_refs, shifted
from millstream.core.table.functions.function import EvaluationContext
from millstream.core.table.row_type import RowType

Int64Array = npt.NDArray[np.int64]
Columns = Callable[[Sequence[int]], list[pa.Array]]
"""Some columns of one side of the pairs, by their positions in that side."""


class PairCondition:
    """The condition over the columns of both sides, beside the equal keys. Only the columns it reads are fetched."""

    def __init__(self, condition: Expression, left: RowType, right: RowType) -> None:
        refs = sorted(input_refs(condition))
        width = len(left)
        self._left = [index for index in refs if index < width]
        self._right = [index - width for index in refs if index >= width]
        row = RowType((*left.columns, *right.columns)).select(refs)
        self._predicate = compile_predicate(shifted(condition, refs.index), row)

    def holds(self, left: Columns, right: Columns, context: EvaluationContext) -> npt.NDArray[np.bool_]:
        """For each of ``context.rows`` pairs."""
        columns = [*left(self._left), *right(self._right)]
        found: npt.NDArray[np.bool_] = self._predicate(columns, context).to_numpy(zero_copy_only=False)
        return found


def taken(records: pa.RecordBatch, positions: Int64Array) -> list[pa.Array]:
    """All columns of the rows at ``positions``."""
    if len(positions) == records.num_rows and _in_order(positions):
        return list(records.columns)
    chosen = pa.array(positions)
    return [column.take(chosen) for column in records.columns]


def columns_of(records: pa.RecordBatch, positions: Int64Array) -> Columns:
    """Some columns of the rows at ``positions``."""
    chosen = pa.array(positions)
    return lambda indexes: [records.column(index).take(chosen) for index in indexes]


def nulls(row: RowType, rows: int) -> list[pa.Array]:
    """Columns of NULL, for the side that has no match."""
    return [pa.nulls(rows, column.type.arrow()) for column in row.columns]


def with_gaps(columns: Sequence[pa.Array], places: Int64Array) -> list[pa.Array]:
    """The values at ``places`` of ``columns``, NULL where a place is -1."""
    chosen = pa.array(places, mask=places < 0)
    return [column.take(chosen) for column in columns]


def _in_order(positions: Int64Array) -> bool:
    return bool(len(positions) == 0 or (positions[0] == 0 and (np.diff(positions) == 1).all()))
