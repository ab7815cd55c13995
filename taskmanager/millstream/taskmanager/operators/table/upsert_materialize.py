"""Before an upsert sink whose key is not that of the changelog: what a key shows is the last of its rows that is left.

Rows that differ in the changelog's key may share the sink's. So all rows of a key are kept in their order; when the one
that is shown is taken back, the one before it is shown again.
"""

from __future__ import annotations

import numpy as np

from millstream.core.elements.batch import Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import UpsertMaterializeSpec
from millstream.taskmanager.operators.table.changelog import Changes, Int64Array
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator, columns_at, key_fields
from millstream.taskmanager.operators.table.partitioned_rows import PartitionedRows, partition_logs
from millstream.taskmanager.operators.table.table_operator import arrow_batch


class UpsertMaterializeOperator(KeyedTableOperator[UpsertMaterializeSpec]):
    """Emits +I, +U and -D, never -U: sinks that need this operator write by key."""

    def __init__(self, chained: ChainedOperator, spec: UpsertMaterializeSpec) -> None:
        super().__init__(chained, spec, spec.output, spec.ttl_ms)
        self.logs = partition_logs(spec.input, [])

    def declare(self) -> None:
        self._rows = PartitionedRows(
            self.spec.input,
            key_fields(self.spec.input, self.spec.keys),
            lambda name, keys, values: self.table(name, keys, values, len(self.spec.keys)),
            self.context.clock,
        )

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if not batch.num_rows:
            return
        groups = self._rows.place(columns_at(batch, self.spec.keys), batch.num_rows)
        log = self._rows.log
        old = self._shown(groups.slots)
        gone = self._rows.change(batch, groups, self.spec.keys)
        new = self._shown(groups.slots, gone)
        changes = Changes(old >= 0, new >= 0, old == new, update_before=False)
        before, after = log.values(old[changes.old]), log.values(new[changes.new])
        self.emit_columns([changes.combined(mine, its) for mine, its in zip(before, after, strict=True)], changes.kinds)
        log.forget(gone)
        self._rows.forget_partitions(groups.slots[new < 0])

    def _shown(self, partitions: Int64Array, gone: Int64Array | None = None) -> Int64Array:
        """By partition, its last entry without those that are ``gone``; -1 where it has none."""
        entries, positions = self._rows.log.of(partitions)
        if gone is not None and len(gone):
            kept = ~np.isin(entries, gone)
            entries, positions = entries[kept], positions[kept]
        shown: Int64Array = np.full(len(partitions), -1, np.int64)
        shown[positions] = entries
        return shown
