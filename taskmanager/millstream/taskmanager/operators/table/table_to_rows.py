"""A table that became a stream of the DataStream API: columns to ``Row`` objects."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import NO_TIMESTAMP_MS, Batch, ObjectBatch, Timestamps
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.row_objects import rows_of, value_tuples
from millstream.core.table.row_type import TimeAttribute
from millstream.core.table.specs import TableToRowsSpec
from millstream.taskmanager.operators.table.table_operator import TableOperator, arrow_batch


class TableToRowsOperator(TableOperator[TableToRowsSpec]):
    """Each record has the event time of its row, where a column is event time."""

    def __init__(self, chained: ChainedOperator, spec: TableToRowsSpec) -> None:
        super().__init__(chained, spec, spec.input)
        times = [at for at, column in enumerate(spec.input.columns) if column.time is TimeAttribute.ROWTIME]
        self._rowtime = times[0] if times else None

    def process(self, batch: Batch, input_index: int) -> None:
        columns = arrow_batch(batch)
        if self.spec.convert is None:
            rows = list(rows_of(columns, self.spec.input))
        else:
            rows = [self.spec.convert(values) for values in value_tuples(columns.records, self.spec.input)]
        self.output.emit(ObjectBatch(rows, self._timestamps(columns.records)))

    def _timestamps(self, records: pa.RecordBatch) -> Timestamps | None:
        if self._rowtime is None:
            return None
        column = records.column(self._rowtime)
        times = column.cast(pa.timestamp("ms", column.type.tz), safe=False).cast(pa.int64())
        return np.asarray(times.fill_null(NO_TIMESTAMP_MS), np.int64)
