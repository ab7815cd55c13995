"""WHERE and SELECT of one batch: filter first, then compute only for what is left."""

from __future__ import annotations

import pyarrow as pa

from millstream.core.elements.batch import Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.evaluation import compile_predicate, compile_projections
from millstream.core.table.specs import CalcSpec
from millstream.taskmanager.operators.table.row_kinds import PARTED, Kinds, chosen, kinds_or_none
from millstream.taskmanager.operators.table.table_operator import TableOperator, arrow_batch


class CalcOperator(TableOperator[CalcSpec]):
    """Row kinds stay with their rows. Behind a condition the two rows of an update may part: there they are a row that
    goes and a row that comes."""

    def __init__(self, chained: ChainedOperator, spec: CalcSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self._condition = None if spec.condition is None else compile_predicate(spec.condition, spec.input)
        self._project = compile_projections(spec.projections, spec.input)

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        records, kinds = batch.records, batch.row_kinds
        with self.evaluating(records, self._calculate):
            out, kinds = self._calculate(records, kinds)
        self.emit_records(out, kinds)

    def _calculate(self, records: pa.RecordBatch, kinds: Kinds | None = None) -> tuple[pa.RecordBatch, Kinds | None]:
        if self._condition is not None:
            mask = self._condition(records.columns, self.evaluation(records.num_rows))
            if mask.true_count < len(mask):
                records = records.filter(mask)
                kinds = None if kinds is None else chosen(kinds, mask.to_numpy(zero_copy_only=False))
            kinds = None if kinds is None else kinds_or_none(PARTED[kinds])
        columns = self._project(records, self.evaluation(records.num_rows))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema), kinds
