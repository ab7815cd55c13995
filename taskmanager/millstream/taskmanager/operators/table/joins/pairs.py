"""Pairs of rows that have equal keys, and the rest of the join condition over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.table.evaluation import compile_predicate
from millstream.core.table.expressions import Expression, input_refs, shifted
from millstream.core.table.functions.function import EvaluationContext
from millstream.core.table.row_type import RowType
from millstream.taskmanager.operators.table.failing_rows import placed

Int64Array = npt.NDArray[np.int64]
Columns = Callable[[Sequence[int]], list[pa.Array]]
"""Some columns of one side of the pairs, by their positions in that side."""


class PairCondition:
    """The condition over the columns of both sides, beside the equal keys. Only the columns it reads are fetched.

    An error is told with ``operator`` and with the values of the pair it is about.
    """

    def __init__(self, condition: Expression, left: RowType, right: RowType, operator: str) -> None:
        refs = sorted(input_refs(condition))
        width = len(left)
        self._left = [index for index in refs if index < width]
        self._right = [index - width for index in refs if index >= width]
        row = RowType((*left.columns, *right.columns)).select(refs)
        self._predicate = compile_predicate(shifted(condition, refs.index), row)
        self._operator = operator
        self._names = [
            *(f"left.{left[index].name}" for index in self._left),
            *(f"right.{right[index].name}" for index in self._right),
        ]

    def holds(self, left: Columns, right: Columns, context: EvaluationContext) -> npt.NDArray[np.bool_]:
        """For each of ``context.rows`` pairs."""
        columns = [*left(self._left), *right(self._right)]
        try:
            found: npt.NDArray[np.bool_] = self._predicate(columns, context).to_numpy(zero_copy_only=False)
        except Exception as error:
            pairs = pa.RecordBatch.from_arrays(columns, names=self._names)
            raise placed(error, pairs, lambda some: self._again(some, context), self._operator) from error
        return found

    def _again(self, pairs: pa.RecordBatch, context: EvaluationContext) -> object:
        return self._predicate(pairs.columns, replace(context, rows=pairs.num_rows))


def pair_condition(condition: Expression | None, left: RowType, right: RowType, operator: str) -> PairCondition | None:
    """None for a join of equal keys alone."""
    return None if condition is None else PairCondition(condition, left, right, operator)


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
