"""Top-1 of partitions over input that only grows: one row a partition, replaced by a better one.

Of equal rows the one that came first stays.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.kernels.best_rows import find_best
from millstream.core.table.specs import RankSpec
from millstream.taskmanager.operators.table.changelog import BoolArray, Changes, Int64Array
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator
from millstream.taskmanager.operators.table.latest_rows import LatestRows
from millstream.taskmanager.operators.table.ordering import codes_of
from millstream.taskmanager.operators.table.row_kinds import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE
from millstream.taskmanager.operators.table.table_operator import arrow_batch


class TopOneOperator(KeyedTableOperator[RankSpec]):
    """State: the best row of each partition."""

    def __init__(self, chained: ChainedOperator, spec: RankSpec) -> None:
        super().__init__(chained, spec, spec.output, spec.ttl_ms)

    def declare(self) -> None:
        self._rows = LatestRows("rows", self.spec.input, self.spec.partition, self.spillable_table)

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if not batch.num_rows:
            return
        columns = batch.records.columns
        groups = self._rows.place(columns, batch.num_rows)
        slots, count = groups.slots, len(groups)
        had = self._rows.there(slots)
        codes = np.stack(
            [
                codes_of(pa.concat_arrays([self._rows.column(key.column, slots), columns[key.column]]), key)
                for key in self.spec.order
            ]
        )
        rows = find_best(groups.of_rows, count, np.ascontiguousarray(codes[:, count:]), False)
        moved = np.flatnonzero(~had | _less(codes[:, count:][:, rows], codes[:, :count]))
        every = np.ones(len(moved), np.bool_)
        if self.spec.final_only:
            self._rows.put(slots[moved], batch.take(rows[moved]).records.columns)
            return
        # Without a rank the rows have no key of their own: the old one is deleted, whoever listens.
        update_before = self.spec.update_before or not self.spec.with_rank
        changes = Changes(had[moved], every, ~every, update_before)
        taken = batch.take(rows[moved]).records.columns
        emitted = self._ranked(self._rows.replace(slots[moved], taken, changes, every), changes.rows)
        kinds = changes.kinds
        if not self.spec.with_rank:
            kinds[kinds == UPDATE_BEFORE], kinds[kinds == UPDATE_AFTER] = DELETE, INSERT
        self.emit_columns(emitted, kinds)

    def finish(self) -> None:
        if self.spec.final_only:
            for slots, columns in self._rows.all_rows():
                self.emit_columns(self._ranked(columns, len(slots)))
        super().finish()

    def _ranked(self, columns: list[pa.Array], rows: int) -> list[pa.Array]:
        """With the rank, if there is a column for it."""
        if not self.spec.with_rank:
            return columns
        return [*columns, pa.array(np.ones(rows, np.int64)).cast(self.schema.types[-1])]


def _less(left: Int64Array, right: Int64Array) -> BoolArray:
    """By column, whether ``left`` comes first; the first rows of both decide first."""
    less = np.zeros(left.shape[1], np.bool_)
    same = np.ones(left.shape[1], np.bool_)
    for mine, its in zip(left, right, strict=True):
        less |= same & (mine < its)
        same &= mine == its
    return less
