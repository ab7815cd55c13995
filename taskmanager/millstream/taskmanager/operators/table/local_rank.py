"""The local part of a top-n or of a deduplication, before the exchange: of each batch what may be in the result.

What is not among the first rows of its partition within a batch is not among them in the whole input either. It keeps
no state, and passes batches on unseen for a while when they hold little that could be left out.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.kernels.best_rows import mark_best
from millstream.core.kernels.groups import Grouping
from millstream.core.table.specs import LocalRankSpec
from millstream.taskmanager.operators.table.keyed_table_operator import columns_at
from millstream.taskmanager.operators.table.ordering import codes_of
from millstream.taskmanager.operators.table.table_operator import TableOperator, arrow_batch
from millstream.taskmanager.operators.table.timestamps import Int64Array
from millstream.taskmanager.state.columnar.key_index import key_index_for

_KEYS_MAX: Final = 1 << 15
"""Keys are numbered anew when there have been more: an index that fits the cache is worth more than one that knows."""
_USEFUL_SHARE: Final = 0.15
"""Of a batch, to be left out; less is not worth finding it."""
_BATCHES_UNSEEN: Final = 31


class LocalRankOperator(TableOperator[LocalRankSpec]):
    """Implements ``LocalRankSpec``."""

    def __init__(self, chained: ChainedOperator, spec: LocalRankSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self._keys = key_index_for([spec.input[index].type.arrow() for index in spec.partition])
        self._grouping = Grouping()
        self._unseen = 0

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if self._unseen or batch.row_kinds is not None:
            self._unseen = max(0, self._unseen - 1)
        elif batch.num_rows > 1:
            rows = batch.num_rows
            batch = self._best(batch)
            if rows - batch.num_rows < rows * _USEFUL_SHARE:
                self._unseen = _BATCHES_UNSEEN
        self.emit_records(batch.records, batch.row_kinds)

    def _best(self, batch: ArrowBatch) -> ArrowBatch:
        spec, rows = self.spec, batch.num_rows
        if len(self._keys) > _KEYS_MAX:
            self._keys.clear()
        slots, _ = self._keys.slots_of(columns_at(batch, spec.partition), rows)
        groups = self._grouping.of(slots)
        counts: Int64Array = np.bincount(groups.of_rows, minlength=len(groups))
        codes = [codes_of(batch.records.column(key.column), key) for key in spec.order]
        levels = np.stack(codes) if codes else np.empty((0, rows), np.int64)
        kept = np.flatnonzero(mark_best(groups.of_rows, counts, levels, spec.last, spec.last_wins))
        return batch if len(kept) == rows else batch.take(kept)
