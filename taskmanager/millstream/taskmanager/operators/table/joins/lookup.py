"""The lookup join: each row with what a table outside holds for its key at this moment."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.clock import Clock
from millstream.core.elements.batch import Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.evaluation import compile_expression, compile_predicate, compile_projections
from millstream.core.table.lookups import LookupFunction
from millstream.core.table.specs import CalcSpec, LookupJoinSpec
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.table.joins.pairs import columns_of, nulls, pair_condition, taken, with_gaps
from millstream.taskmanager.operators.table.row_kinds import Kinds
from millstream.taskmanager.operators.table.table_operator import TableOperator, arrow_batch
from millstream.taskmanager.state.columnar.rowlist import RowTable

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]


class LookupJoinOperator(TableOperator[LookupJoinSpec]):
    """Implements ``LookupJoinSpec``. Keeps nothing over a restart: the table is read again.

    A table that is kept whole is loaded when the operator opens, and again between two batches when its time has come;
    rows wait while it is read.
    """

    def __init__(self, chained: ChainedOperator, spec: LookupJoinSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self._function: LookupFunction = spec.lookup
        self._keys = [compile_expression(key, spec.input) for key in spec.keys]
        self._steps = [_Step(step) for step in spec.steps]
        self._condition = pair_condition(spec.condition, spec.input, spec.table, chained.name)
        self._whole: RowTable | None = None

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self._function.open(context.clock)
        self._load()
        self._schedule()

    def process(self, batch: Batch, input_index: int) -> None:
        arrow = arrow_batch(batch)
        records = arrow.records
        with self.evaluating(records, self._joined):
            columns, kinds = self._joined(records, arrow.row_kinds)
        if columns and len(columns[0]):
            self.emit_columns(columns, kinds)

    def on_processing_time(self, now_ms: int) -> None:
        super().on_processing_time(now_ms)
        self._load()
        self._schedule()

    def close(self) -> None:
        super().close()
        self._function.close()

    # -- inner ----------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if self._function.reload_ms is not None:
            self.context.schedule(self.context.clock.wall_ms() + self._function.reload_ms)

    def _load(self) -> None:
        batches = self._function.load()
        if batches is None:
            return
        schema = self._function.schema
        keys = pa.schema([pa.field(f"k{i}", schema.field(name).type) for i, name in enumerate(self.spec.table_keys)])
        table = _empty_table(keys, self.spec.table.arrow_schema(), self.context.clock)
        for records in batches:
            kept, columns = self._calculated(np.arange(records.num_rows), records.columns)
            stored = pa.RecordBatch.from_arrays(columns, schema=table.value_schema)
            chosen = pa.array(kept)
            table.append([records.column(name).take(chosen) for name in self.spec.table_keys], stored)
        self._whole = table

    def _calculated(self, positions: Int64Array, columns: list[pa.Array]) -> tuple[Int64Array, list[pa.Array]]:
        """Rows of the table as the query names and filters them; which ``positions`` are left."""
        for step in self._steps:
            evaluation = self.evaluation(len(positions))
            if step.condition is not None:
                mask = step.condition(columns, evaluation)
                columns = [column.filter(mask) for column in columns]
                positions = positions[mask.to_numpy(zero_copy_only=False)]
            records = pa.RecordBatch.from_arrays(columns, schema=step.schema)
            columns = list(step.project(records, self.evaluation(len(positions))))
        return positions, columns

    def _found(self, records: pa.RecordBatch) -> tuple[Int64Array, list[pa.Array]]:
        """``(position in records, table columns)`` of all pairs with equal keys."""
        evaluation = self.evaluation(records.num_rows)
        keys = [_array(key(records.columns, evaluation), records.num_rows) for key in self._keys]
        mask: BoolArray = np.ones(records.num_rows, np.bool_)
        for key in keys:
            if key.null_count:
                mask &= key.is_valid().to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(mask)
        if len(rows) < records.num_rows:
            keys = [key.take(pa.array(rows)) for key in keys]
        if self._whole is not None:
            positions, slots = self._whole.rows_of(self._whole.find(keys, len(rows)))
            return rows[positions], list(self._whole.gather(slots).columns)
        positions, found = self._function.lookup(keys)
        kept, columns = self._calculated(np.arange(len(positions)), found.columns)
        return rows[positions[kept]], columns

    def _joined(self, records: pa.RecordBatch, kinds: Kinds | None = None) -> tuple[list[pa.Array], Kinds | None]:
        positions, theirs = self._found(records)
        if self._condition is not None and len(positions):
            holds = self._condition.holds(
                columns_of(records, positions),
                lambda indexes: [theirs[index] for index in indexes],
                self.evaluation(len(positions)),
            )
            chosen = pa.array(holds)
            positions, theirs = positions[holds], [column.filter(chosen) for column in theirs]
        if self.spec.join.keeps_left:
            alone = np.flatnonzero(np.bincount(positions, minlength=records.num_rows) == 0)
            if len(alone) == records.num_rows:
                positions, theirs = alone, nulls(self.spec.table, len(alone))
            elif len(alone):
                order = np.argsort(np.concatenate([positions, alone]), kind="stable")
                places = np.concatenate([np.arange(len(positions)), np.full(len(alone), -1, np.int64)])[order]
                positions = np.concatenate([positions, alone])[order]
                theirs = with_gaps(theirs, places)
        return [*taken(records, positions), *theirs], None if kinds is None else kinds[positions]


class _Step:
    """A calculation over the table's rows."""

    def __init__(self, spec: CalcSpec) -> None:
        self.schema = spec.input.arrow_schema()
        self.condition = None if spec.condition is None else compile_predicate(spec.condition, spec.input)
        self.project = compile_projections(spec.projections, spec.input)


def _empty_table(keys: pa.Schema, rows: pa.Schema, clock: Clock) -> RowTable:
    return RowTable("lookup", keys, rows, clock=clock, tracks_changes=False)


def _array(value: pa.Array | pa.Scalar, rows: int) -> pa.Array:
    """A constant key as a column."""
    return pa.repeat(value, rows) if isinstance(value, pa.Scalar) else value
