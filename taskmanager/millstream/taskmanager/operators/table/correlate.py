"""Each row with the rows that a table function makes of it: UNNEST, and functions of users."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.elements.batch import Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.evaluation import compile_predicate, compile_projections
from millstream.core.table.logical_types import TypeRoot
from millstream.core.table.specs import CorrelateSpec
from millstream.taskmanager.operators.table.row_kinds import chosen
from millstream.taskmanager.operators.table.table_operator import TableOperator, arrow_batch
from millstream.taskmanager.operators.table.timestamps import Int64Array

UNNEST = "UNNEST"


class CorrelateOperator(TableOperator[CorrelateSpec]):
    """Row kinds are those of the row on the left. ``left_outer``: a row without any comes once, with NULLs."""

    def __init__(self, chained: ChainedOperator, spec: CorrelateSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self._unnests = spec.function == UNNEST
        self._arguments = compile_projections((spec.call,) if self._unnests else spec.arguments, spec.input)
        self._condition = None if spec.condition is None else compile_predicate(spec.condition, spec.output)
        self._width = len(spec.output) - len(spec.input) - spec.with_ordinality

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if not batch.num_rows:
            return
        with self.evaluating(batch.records, self._correlate):
            records, origins = self._correlate(batch.records)
        self.emit_records(records, chosen(batch.row_kinds, origins))

    def _correlate(self, records: pa.RecordBatch) -> tuple[pa.RecordBatch, Int64Array]:
        """The result, and for each row of it the row that it comes from."""
        rows = records.num_rows
        arguments = self._arguments(records, self.evaluation(rows))
        if self._unnests:
            origins, columns = _unnested(arguments[0], self.spec.call.type.root, self._width)
        else:
            origins, columns = self.spec.function.evaluate(arguments, rows)
        if self.spec.with_ordinality:
            firsts = np.searchsorted(origins, origins)
            columns = [*columns, pa.array(np.arange(len(origins)) - firsts + 1)]
        joined = self._joined(records, origins, columns)
        if self._condition is not None:
            mask = self._condition(joined.columns, self.evaluation(joined.num_rows))
            joined, origins = joined.filter(mask), origins[mask.to_numpy(zero_copy_only=False)]
        if not self.spec.left_outer:
            return joined, origins
        alone = np.setdiff1d(np.arange(rows), origins)
        if not len(alone):
            return joined, origins
        nulls = [pa.nulls(len(alone), field.type) for field in list(self.schema)[records.num_columns :]]
        both = pa.Table.from_batches([joined, self._joined(records, alone, nulls)]).combine_chunks()
        order = np.argsort(np.concatenate([origins, alone]), kind="stable")
        joined = both.take(pa.array(order)).combine_chunks().to_batches()[0]
        return joined, np.concatenate([origins, alone])[order]

    def _joined(self, records: pa.RecordBatch, origins: Int64Array, columns: list[pa.Array]) -> pa.RecordBatch:
        indices = pa.array(origins)
        left = [column.take(indices) for column in records.columns]
        right = [
            column if column.type == field.type else column.cast(field.type)
            for column, field in zip(columns, list(self.schema)[len(left) :], strict=True)
        ]
        return pa.RecordBatch.from_arrays([*left, *right], schema=self.schema)


def _unnested(values: pa.Array, root: TypeRoot, width: int) -> tuple[Int64Array, list[pa.Array]]:
    """``(origins, columns)`` of arrays, maps and multisets; NULL and empty ones have no rows."""
    if pa.types.is_map(values.type):
        return _unnested_map(values, root, width)
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
    return np.repeat(np.arange(len(values), dtype=np.int64), lengths), _columns(values.flatten(), width)


def _unnested_map(values: pa.MapArray, root: TypeRoot, width: int) -> tuple[Int64Array, list[pa.Array]]:
    offsets = values.offsets.to_numpy().astype(np.int64)
    lengths = np.diff(offsets)
    if values.null_count:
        lengths = np.where(values.is_valid().to_numpy(zero_copy_only=False), lengths, 0)
    origins = np.repeat(np.arange(len(values), dtype=np.int64), lengths)
    before = np.cumsum(lengths) - lengths
    places = pa.array(np.repeat(offsets[:-1] - before, lengths) + np.arange(len(origins)))
    keys, items = values.keys.take(places), values.items.take(places)
    if root is not TypeRoot.MULTISET:
        return origins, [keys, items]
    repeated = np.repeat(np.arange(len(keys)), items.fill_null(0).to_numpy())
    return origins[repeated], _columns(keys.take(pa.array(repeated)), width)


def _columns(elements: pa.Array, width: int) -> list[pa.Array]:
    """The fields of rows as columns; other elements are one column."""
    if pa.types.is_struct(elements.type) and elements.type.num_fields == width:
        return list(elements.flatten())
    return [elements]
