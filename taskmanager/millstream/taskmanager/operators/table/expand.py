"""GROUPING SETS: each row once for each set."""

from __future__ import annotations

import pyarrow as pa

from millstream.core.elements.batch import Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.evaluation import compile_projections
from millstream.core.table.specs import ExpandSpec
from millstream.taskmanager.operators.table.table_operator import TableOperator, arrow_batch


class ExpandOperator(TableOperator[ExpandSpec]):
    """One batch for each set: the rows of one group stay in their order."""

    def __init__(self, chained: ChainedOperator, spec: ExpandSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self._projections = [compile_projections(projection, spec.input) for projection in spec.projections]

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        with self.evaluating(batch.records, self._expand):
            parts = self._expand(batch.records)
        for columns in parts:
            self.emit_columns(columns, batch.row_kinds)

    def _expand(self, records: pa.RecordBatch) -> list[list[pa.Array]]:
        return [project(records, self.evaluation(records.num_rows)) for project in self._projections]
