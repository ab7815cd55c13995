"""Top-n of partitions over any changelog.

After each batch the partitions it touched are ranked as they were and as they are now, and the difference is emitted:
with a rank column by rank, without one by row. Of input that only grows, rows that fell behind ``last`` are forgotten;
otherwise all rows are kept, for each may move up. In batch mode the ranks are emitted once, at the end.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.kernels.arrow_views import NOTHING_NULL, fixed_dtype
from millstream.core.kernels.groups import Grouping, Groups
from millstream.core.table.specs import RankSpec
from millstream.taskmanager.operators.table.aggregates.accumulator import Int8Array
from millstream.taskmanager.operators.table.changelog import BoolArray, Int64Array
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator, columns_at, key_fields
from millstream.taskmanager.operators.table.ordering import codes_of
from millstream.taskmanager.operators.table.partitioned_rows import PartitionedRows, partition_logs
from millstream.taskmanager.operators.table.ranking import ranks_in_order
from millstream.taskmanager.operators.table.row_kinds import (
    DELETE,
    INSERT,
    UPDATE_AFTER,
    UPDATE_BEFORE,
    signs_of,
)
from millstream.taskmanager.operators.table.table_operator import arrow_batch
from millstream.taskmanager.state.columnar.key_index import key_index_for

_ANY: Final = np.iinfo(np.int64).max
"""Stands for the worst row of a partition that has room."""


class RankOperator(KeyedTableOperator[RankSpec]):
    """State: rows by partition."""

    def __init__(self, chained: ChainedOperator, spec: RankSpec) -> None:
        super().__init__(chained, spec, spec.output, spec.ttl_ms)
        self.logs = partition_logs(spec.input, (key.column for key in spec.order))
        self._grows = not spec.retracts and spec.input_key is None
        # Codes of these types mean the same in every batch: what cannot enter is seen at once.
        self._filters = (
            self._grows
            and spec.last is not None
            and spec.ttl_ms == 0
            and spec.function == "ROW_NUMBER"
            and fixed_dtype(spec.input[spec.order[0].column].type.arrow()) is not None
        )
        self._worst: Int64Array = np.full(1024, _ANY, np.int64)
        """By partition, the first code of the last row that it keeps, once it is full. Not saved: found anew."""
        self._grouping = Grouping()

    def declare(self) -> None:
        self._rows = PartitionedRows(
            self.spec.input,
            key_fields(self.spec.input, self.spec.partition),
            lambda name, keys, values: self.table(name, keys, values, len(self.spec.partition)),
            self.context.clock,
        )

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if not batch.num_rows:
            return
        groups = self._rows.place(columns_at(batch, self.spec.partition), batch.num_rows)
        if self._filters:
            batch, groups = self._promising(batch, groups)
            if not batch.num_rows:
                return
        log = self._rows.log
        first_new = log.next_number
        gone = self._apply(batch, groups)
        if self.spec.final_only and not (self._grows and self.spec.last is not None):
            log.forget(gone)
            return
        entries, positions, codes = self._rows.sorted(groups.slots, self.spec.order)
        numbers = log.numbers(entries)
        stays = ~np.isin(entries, gone) if len(gone) else np.ones(len(entries), np.bool_)
        before = self._ranks(positions, codes, numbers < first_new)
        after = self._ranks(positions, codes, stays)
        if not self.spec.final_only:
            self._emit_difference(entries, positions, self._in_range(before), self._in_range(after))
        if self._grows and self.spec.last is not None:
            stays = after <= self.spec.last
            self._remember_worst(groups.slots, positions, codes, after)
        log.forget(entries[~stays])
        left = np.bincount(positions[stays], minlength=len(groups))
        self._rows.forget_partitions(groups.slots[left == 0])

    def finish(self) -> None:
        if self.spec.final_only:
            entries, positions, codes = self._rows.sorted(self._rows.all_partitions(), self.spec.order)
            ranks = self._ranks(positions, codes, np.ones(len(entries), np.bool_))
            self._emit_difference(entries, positions, np.zeros(len(entries), np.int64), self._in_range(ranks))
        super().finish()

    # -- input --------------------------------------------------------------------------------------------------

    def _apply(self, batch: ArrowBatch, groups: Groups) -> Int64Array:
        """Append what is added; the entries that are taken back or replaced, to be forgotten afterwards."""
        if self.spec.input_key is not None:
            return self._upsert(batch, groups.slots[groups.of_rows], signs_of(batch))
        return self._rows.change(batch, groups, self.spec.partition)

    def _upsert(self, batch: ArrowBatch, owners: Int64Array, signs: Int8Array | None) -> Int64Array:
        """The last row of each key is what it has now."""
        assert self.spec.input_key is not None
        keys = columns_at(batch, self.spec.input_key)
        slots, _ = key_index_for([pa.int64(), *(key.type for key in keys)]).slots_of(
            [pa.array(owners), *keys], batch.num_rows
        )
        last = Grouping().of(slots).last(NOTHING_NULL)
        gone = self._rows.log.equal_entries(
            owners[last], [column.take(pa.array(last)) for column in keys], self.spec.input_key
        )
        kept = last if signs is None else last[signs[last] > 0]
        kept = np.sort(kept)
        chosen = batch.take(kept)
        self._rows.log.append(owners[kept], columns_at(chosen, self.spec.partition), chosen.records.columns)
        return gone

    def _promising(self, batch: ArrowBatch, groups: Groups) -> tuple[ArrowBatch, Groups]:
        """Without the rows that come after the last one that a full partition keeps."""
        owners = groups.slots[groups.of_rows]
        top = int(owners.max()) + 1
        if top > len(self._worst):
            more = np.full(max(top, 2 * len(self._worst)) - len(self._worst), _ANY, np.int64)
            self._worst = np.concatenate([self._worst, more])
        key = self.spec.order[0]
        codes, worst = codes_of(batch.records.column(key.column), key), self._worst[owners]
        # Of equal rows those that came first are kept.
        hopeless = codes >= worst if len(self.spec.order) == 1 else codes > worst
        hopeless &= worst != _ANY
        if not hopeless.any():
            return batch, groups
        kept = np.flatnonzero(~hopeless)
        return batch.take(kept), self._grouping.of(owners[kept])

    def _remember_worst(
        self, partitions: Int64Array, positions: Int64Array, codes: list[Int64Array], ranks: Int64Array
    ) -> None:
        if self._filters:
            last = ranks == self.spec.last
            self._worst[partitions[positions[last]]] = codes[0][last]

    # -- output -------------------------------------------------------------------------------------------------

    def _ranks(self, positions: Int64Array, codes: list[Int64Array], chosen: BoolArray) -> Int64Array:
        """By row, its rank among those that are ``chosen``; 0 for the others."""
        ranks: Int64Array = np.zeros(len(positions), np.int64)
        rows = np.flatnonzero(chosen)
        ranks[rows] = ranks_in_order(self.spec.function, positions[rows], [column[rows] for column in codes])
        return ranks

    def _in_range(self, ranks: Int64Array) -> Int64Array:
        """The ranks that are emitted, 0 for others."""
        inside = ranks >= self.spec.first
        if self.spec.last is not None:
            inside &= ranks <= self.spec.last
        return np.where(inside, ranks, 0)

    def _emit_difference(
        self, entries: Int64Array, partitions: Int64Array, before: Int64Array, after: Int64Array
    ) -> None:
        """What stands in both, with its rank if there is a column for it, is silent."""
        moved = before != after if self.spec.with_rank else (before > 0) != (after > 0)
        went, came = np.flatnonzero(moved & (before > 0)), np.flatnonzero(moved & (after > 0))
        old_kinds, new_kinds = np.full(len(went), DELETE, np.int8), np.full(len(came), INSERT, np.int8)
        if self.spec.with_rank and self.spec.function == "ROW_NUMBER":  # of peers, all is deletes and inserts
            width = int(max(before.max(initial=0), after.max(initial=0))) + 1
            old, new = partitions[went] * width + before[went], partitions[came] * width + after[came]
            old_kinds[np.isin(old, new)], new_kinds[np.isin(new, old)] = UPDATE_BEFORE, UPDATE_AFTER
            if not self.spec.update_before:
                kept = old_kinds != UPDATE_BEFORE
                went, old_kinds = went[kept], old_kinds[kept]
        rows = np.concatenate([went, came])
        if not len(rows):
            return
        ranks = np.concatenate([before[went], after[came]])
        is_new = np.arange(len(rows)) >= len(went)
        within = (is_new, ranks) if self.spec.with_rank else (ranks, is_new)
        order = np.lexsort((*within, partitions[rows]))
        columns = self._rows.log.values(entries[rows[order]])
        if self.spec.with_rank:
            columns.append(pa.array(ranks[order]).cast(self.schema.types[-1]))
        self.emit_columns(columns, np.concatenate([old_kinds, new_kinds])[order])
