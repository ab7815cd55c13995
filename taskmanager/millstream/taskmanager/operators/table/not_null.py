"""What stands before a sink whose columns are NOT NULL (``table.exec.sink.not-null-enforcer``)."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from millstream.core.elements.batch import Batch
from millstream.core.errors import ErrorPlace, MalformedRecordError
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import NotNullSpec
from millstream.taskmanager.operators.table.table_operator import TableOperator, arrow_batch
from millstream.taskmanager.operators.user_code import preview_of


class NotNullOperator(TableOperator[NotNullSpec]):
    """Refuses or drops rows with NULL in a NOT NULL column."""

    def __init__(self, chained: ChainedOperator, spec: NotNullSpec) -> None:
        super().__init__(chained, spec, spec.output)

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        records = batch.records
        for index in self.spec.columns:
            column = records.column(index)
            if column.null_count == 0:
                continue
            valid = pc.is_valid(column).to_numpy(zero_copy_only=False)
            if not self.spec.drop:
                self._refuse(index, records.slice(int(np.argmin(valid)), 1).to_pylist()[0])
            batch = batch.take(np.flatnonzero(valid))
            records = batch.records
        self.emit_records(records, batch.row_kinds)

    def _refuse(self, index: int, row: object) -> None:
        preview, name = preview_of(row), self.spec.input[index].name
        raise MalformedRecordError(
            f"operator {self.chained.name!r}: column {name!r} of table {self.spec.table} is NOT NULL, but a row has "
            f"NULL there: {preview}. Filter such rows out, or SET 'table.exec.sink.not-null-enforcer' = 'DROP'.",
            place=ErrorPlace(operator=self.chained.name, record=preview),
        )
