"""The first or the last row of each key, by event time or by arrival.

A batch counts as one step: of its rows of one key the first or last stands for all. Between equal event times the last
row wins where the last is kept, the first where the first is, as in Flink. In batch mode rows that later ones may
replace are emitted once, at the end.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.kernels.arrow_views import NOTHING_NULL
from millstream.core.kernels.best_rows import find_best
from millstream.core.table.specs import ChangelogNormalizeSpec, DeduplicateSpec, SortKey
from millstream.taskmanager.operators.table.changelog import BoolArray, Changes, equal_rows
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator
from millstream.taskmanager.operators.table.latest_rows import LatestRows
from millstream.taskmanager.operators.table.ordering import codes_of
from millstream.taskmanager.operators.table.row_kinds import signs_of
from millstream.taskmanager.operators.table.table_operator import arrow_batch


class DeduplicateOperator(KeyedTableOperator[DeduplicateSpec]):
    """State: the row of each key; of first rows by arrival the keys alone."""

    def __init__(self, chained: ChainedOperator, spec: DeduplicateSpec) -> None:
        super().__init__(chained, spec, spec.output, spec.ttl_ms)
        self._first_by_arrival = not spec.keep_last and spec.order is None

    def declare(self) -> None:
        row_type = self.spec.input
        if self._first_by_arrival:
            row_type = row_type.select(self.spec.keys)
            self._rows = LatestRows("rows", row_type, range(len(row_type)), self.spillable_table)
        else:
            self._rows = LatestRows("rows", row_type, self.spec.keys, self.spillable_table)

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if batch.num_rows == 0:
            return
        if self._first_by_arrival:
            self._emit_first(batch)
        elif self.spec.order is None and self.spec.final_only:
            groups = self._rows.place(batch.records.columns, batch.num_rows)
            self._rows.put(groups.slots, batch.take(groups.last(NOTHING_NULL)).records.columns)
        elif self.spec.order is None:
            replace_by_arrival(self, self._rows, batch, self.spec.update_before, False)
        else:
            self._replace_by_time(batch, self.spec.order)

    def finish(self) -> None:
        if self.spec.final_only and not self._first_by_arrival:
            for _, columns in self._rows.all_rows():
                self.emit_columns(columns)
        super().finish()

    def _emit_first(self, batch: ArrowBatch) -> None:
        keys = [batch.records.column(key) for key in self.spec.keys]
        groups = self._rows.place(keys, batch.num_rows)
        new = np.flatnonzero(~self._rows.there(groups.slots))
        self._rows.put(groups.slots[new], keys)
        self.emit_records(batch.take(np.sort(groups.first(NOTHING_NULL)[new])).records)

    def _replace_by_time(self, batch: ArrowBatch, order: int) -> None:
        columns = batch.records.columns
        groups = self._rows.place(columns, batch.num_rows)
        slots = groups.slots
        had = self._rows.there(slots)
        known = self._rows.column(order, slots)
        keep_last = self.spec.keep_last
        key = SortKey(order, ascending=not keep_last, nulls_first=not keep_last)
        codes = codes_of(pa.concat_arrays([known, columns[order]]), key)
        before, codes = codes[: len(slots)], codes[len(slots) :]
        rows = find_best(groups.of_rows, len(slots), codes[None, :], keep_last)
        best = codes[rows]
        put = ~had | (best <= before if keep_last else best < before)
        moved = np.flatnonzero(put)
        taken = batch.take(rows[moved]).records.columns
        if self.spec.final_only:
            self._rows.put(slots[moved], taken)
            return
        every = np.ones(len(moved), np.bool_)
        changes = Changes(had[moved], every, ~every, self.spec.update_before)
        self.emit_columns(self._rows.replace(slots[moved], taken, changes, every), changes.kinds)


class ChangelogNormalizeOperator(KeyedTableOperator[ChangelogNormalizeSpec]):
    """Upserts and deletes by key become a full changelog; what repeats the row that is there is silent."""

    def __init__(self, chained: ChainedOperator, spec: ChangelogNormalizeSpec) -> None:
        super().__init__(chained, spec, spec.output, spec.ttl_ms)

    def declare(self) -> None:
        self._rows = LatestRows("rows", self.spec.input, self.spec.keys, self.spillable_table)

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if batch.num_rows:
            replace_by_arrival(self, self._rows, batch, self.spec.update_before, self.ttl_ms == 0)


def replace_by_arrival(
    operator: DeduplicateOperator | ChangelogNormalizeOperator,
    rows: LatestRows,
    batch: ArrowBatch,
    update_before: bool,
    skip_equal: bool,
) -> None:
    """The last row of each key is what it has now; -D and -U leave it without one."""
    columns = batch.records.columns
    groups = rows.place(columns, batch.num_rows)
    last = groups.last(NOTHING_NULL)
    signs = signs_of(batch)
    has: BoolArray = np.ones(len(last), np.bool_) if signs is None else signs[last] > 0
    had = rows.there(groups.slots)
    taken = batch.take(last).records.columns
    same = np.zeros(len(last), np.bool_)
    both = np.flatnonzero(had & has)
    if skip_equal and len(both):
        before = [rows.column(index, groups.slots[both]) for index in range(len(columns))]
        same[both] = equal_rows(before, [column.take(pa.array(both)) for column in taken])
    changes = Changes(had, has, same, update_before)
    operator.emit_columns(rows.replace(groups.slots, taken, changes, has), changes.kinds)
