"""INTERSECT ALL and EXCEPT ALL: each row as often as its last column says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import ReplicateSpec
from millstream.taskmanager.operators.table.row_kinds import DELETE, INSERT, signs_of
from millstream.taskmanager.operators.table.table_operator import TableOperator, arrow_batch


class ReplicateOperator(TableOperator[ReplicateSpec]):
    """A row that was there twice and is there three times now is taken back twice and comes three times, so updates
    are deletes and inserts here."""

    def __init__(self, chained: ChainedOperator, spec: ReplicateSpec) -> None:
        super().__init__(chained, spec, spec.output)

    def process(self, batch: Batch, input_index: int) -> None:
        arrow = arrow_batch(batch)
        *columns, times = arrow.records.columns
        counts = np.maximum(times.to_numpy(), 0)
        rows = np.repeat(np.arange(arrow.num_rows), counts)
        signs = signs_of(arrow)
        kinds = None if signs is None else np.where(signs < 0, DELETE, INSERT).astype(np.int8)[rows]
        chosen = pa.array(rows)
        self.emit_columns([column.take(chosen) for column in columns], kinds)
