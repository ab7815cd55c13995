"""Leaves out -U rows where nobody downstream needs them."""

from __future__ import annotations

from millstream.core.elements.batch import Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import DropUpdateBeforeSpec
from millstream.taskmanager.operators.table.row_kinds import UPDATE_BEFORE
from millstream.taskmanager.operators.table.table_operator import TableOperator, arrow_batch


class DropUpdateBeforeOperator(TableOperator[DropUpdateBeforeSpec]):
    """Everything else goes through."""

    def __init__(self, chained: ChainedOperator, spec: DropUpdateBeforeSpec) -> None:
        super().__init__(chained, spec, spec.output)

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if batch.row_kinds is not None:
            kept = batch.row_kinds != UPDATE_BEFORE
            if not kept.all():
                batch = batch.take(kept.nonzero()[0])
        self.emit_records(batch.records, batch.row_kinds)
