"""GROUP BY without windows, and SELECT DISTINCT: what changed is told once a batch.

A key that was not there before comes as +I, one whose aggregates changed as -U and +U (the -U only where somebody needs
it), one whose last row was taken back as -D. A key whose aggregates came out the same is silent, unless state expires:
then what follows must hear that the key is alive.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.kernels.accumulating import ALL_ADDED
from millstream.core.table.specs import GroupAggregateSpec
from millstream.taskmanager.operators.table.aggregates.accumulator import AggregateRows
from millstream.taskmanager.operators.table.aggregates.aggregate_set import (
    AggregateSet,
    aggregate_logs,
    columns_only,
)
from millstream.taskmanager.operators.table.aggregates.trial import trial
from millstream.taskmanager.operators.table.changelog import BoolArray, Changes, Int64Array, equal_rows
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator, columns_at, key_fields
from millstream.taskmanager.operators.table.row_kinds import INSERT, UPDATE_AFTER, signs_of
from millstream.taskmanager.operators.table.table_operator import ROWS_MAX, arrow_batch

_GROUPS: Final = "groups"
_CAME: Final = np.array([INSERT, UPDATE_AFTER], np.int8)
"""By whether a key had a row: what its new one is."""


class GroupAggregateOperator(KeyedTableOperator[GroupAggregateSpec]):
    """State: a row a key, and the tables of its aggregates."""

    def __init__(self, chained: ChainedOperator, spec: GroupAggregateSpec) -> None:
        super().__init__(chained, spec, spec.output, spec.ttl_ms)
        self.logs = aggregate_logs(_GROUPS, spec.aggregates, spec.retracts)
        # Every row changes a plain count, so that the results need not be compared.
        self._always_changes = not spec.retracts and any(
            call.name == "COUNT" and not call.arguments and call.filter is None for call in spec.aggregates
        )

    def declare(self) -> None:
        spec = self.spec
        keys = key_fields(spec.input, spec.keys)
        spillable = not spec.final_only and columns_only(spec.aggregates, spec.retracts)
        self._set = AggregateSet(
            _GROUPS,
            keys,
            spec.aggregates,
            spec.retracts,
            lambda name, fields, values: self.table(name, fields, values, len(keys), spillable),
        )
        self._trial = trial(spec.input, spec.keys, spec.aggregates, self.context.clock)

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if batch.num_rows == 0:
            return
        with self.evaluating(batch.records, self._trial):
            if self.spec.final_only:
                self._add(batch)
            else:
                self._add_and_emit(batch)

    def finish(self) -> None:
        if self.spec.final_only:
            self._emit_all()
        super().finish()

    def _add(self, batch: ArrowBatch) -> None:
        keys = columns_at(batch, self.spec.keys)
        slots, groups = self._set.place(keys, batch.num_rows)
        signs = signs_of(batch)
        rows = AggregateRows(slots, groups, keys, batch.records.columns, ALL_ADDED if signs is None else signs)
        self._set.add(rows)

    def _add_and_emit(self, batch: ArrowBatch) -> None:
        groups_of = self._set
        keys = columns_at(batch, self.spec.keys)
        slots, groups = groups_of.place(keys, batch.num_rows)
        changed = groups.slots
        had = groups_of.row_counts(changed) > 0
        signs = signs_of(batch)
        rows = AggregateRows(slots, groups, keys, batch.records.columns, ALL_ADDED if signs is None else signs)
        if not (self.spec.update_before or self.spec.retracts) and (self._always_changes or self.ttl_ms > 0):
            groups_of.add(rows)
            columns = [*groups_of.keys(changed), *groups_of.results(changed)]
            self.emit_columns(self._typed(columns), _CAME[had.view(np.int8)])
            return
        old = groups_of.results(changed) if had.any() else None
        groups_of.add(rows)
        has = groups_of.row_counts(changed) > 0 if self.spec.retracts else np.ones(len(changed), np.bool_)
        new = groups_of.results(changed)
        same = self._same(had & has, old, new)
        self._emit(Changes(had, has, same, self.spec.update_before), changed, old, new)
        groups_of.remove(changed[~has])

    def _same(self, both: BoolArray, old: list[pa.Array] | None, new: list[pa.Array]) -> BoolArray:
        """By changed key that was and is there: its results are what they were."""
        if old is None or self._always_changes or self.ttl_ms > 0:
            return np.zeros(len(both), np.bool_)
        return equal_rows(old, new) if new else both

    def _emit(self, changes: Changes, slots: Int64Array, old: list[pa.Array] | None, new: list[pa.Array]) -> None:
        if not changes.rows:
            return
        old_slots, new_slots = slots[changes.old], slots[changes.new]
        columns = [
            changes.combined(before, after)
            for before, after in zip(self._set.keys(old_slots), self._set.keys(new_slots), strict=True)
        ]
        for index, after in enumerate(new):
            chosen = after if len(changes.new) == len(after) else after.take(pa.array(changes.new))
            if old is None or not len(changes.old):
                columns.append(chosen)
            else:
                columns.append(changes.combined(old[index].take(pa.array(changes.old)), chosen))
        self.emit_columns(self._typed(columns), changes.kinds)

    def _emit_all(self) -> None:
        live = self._set.table.live_slots()
        live = live[self._set.row_counts(live) > 0]
        if not len(live) and self.spec.global_row and not self.spec.keys:
            live, _ = self._set.place([], 1)
        for start in range(0, len(live), ROWS_MAX):
            slots = live[start : start + ROWS_MAX]
            self.emit_columns(self._typed([*self._set.keys(slots), *self._set.results(slots)]))

    def _typed(self, columns: list[pa.Array]) -> list[pa.Array]:
        """The output may declare another precision than the aggregate has."""
        return [
            column if column.type == field.type else column.cast(field.type)
            for column, field in zip(columns, self.schema, strict=True)
        ]
