"""Top-n of partitions over any changelog.

After each batch the partitions it touched are ranked as they were and as they are now, and the difference is emitted:
with a rank column by rank, without one by row. Of input that only grows, rows that fell behind ``last`` are forgotten;
otherwise all rows are kept, for each may move up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.kernels.arrow_views import NOTHING_NULL
from millstream.core.kernels.groups import Grouping, Groups
from millstream.core.table.specs import RankSpec
from millstream.taskmanager.operators.table.aggregates.accumulator import Int8Array
from millstream.taskmanager.operators.table.changelog import BoolArray, Int64Array
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator, columns_at, key_fields
from millstream.taskmanager.operators.table.ordering import codes_of
from millstream.taskmanager.operators.table.partitioned_rows import PartitionedRows
from millstream.taskmanager.operators.table.ranking import ranks_in_order
from millstream.taskmanager.operators.table.row_kinds import (
    DELETE,
    INSERT,
    UPDATE_AFTER,
    UPDATE_BEFORE,
    Kinds,
    signs_of,
)
from millstream.taskmanager.operators.table.table_operator import arrow_batch
from millstream.taskmanager.state.columnar.key_index import key_index_for


@dataclass
class _Ranked:
    """Rows of state in the order of their partitions and ranks."""

    entries: Int64Array
    partitions: Int64Array
    ranks: Int64Array


class RankOperator(KeyedTableOperator[RankSpec]):
    """State: rows by partition."""

    def __init__(self, chained: ChainedOperator, spec: RankSpec) -> None:
        super().__init__(chained, spec, spec.output, spec.ttl_ms)
        self._grows = not spec.retracts and spec.input_key is None

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
        first_new = self._rows.log.next_number
        gone = self._apply(batch, groups)
        entries, partitions = self._rows.log.of(groups.slots)
        order = [codes_of(self._rows.log.column(key.column, entries), key) for key in self.spec.order]
        numbers = self._rows.log.numbers(entries)
        ordered = np.lexsort((numbers, *order[::-1], partitions))
        removed = np.isin(entries, gone) if len(gone) else np.zeros(len(entries), np.bool_)
        before = self._ranked(ordered[(numbers < first_new)[ordered]], entries, partitions, order)
        after = self._ranked(ordered[~removed[ordered]], entries, partitions, order)
        self._emit_difference(self._in_range(before), self._in_range(after))
        if self._grows and self.spec.last is not None:
            gone = after.entries[after.ranks > self.spec.last]
        self._rows.log.forget(gone)
        left = np.isin(np.arange(len(groups)), after.partitions[~np.isin(after.entries, gone)])
        self._rows.forget_partitions(groups.slots[~left])

    # -- input --------------------------------------------------------------------------------------------------

    def _apply(self, batch: ArrowBatch, groups: Groups) -> Int64Array:
        """Append what is added; the entries that are taken back or replaced, to be forgotten afterwards."""
        signs = signs_of(batch)
        owners = groups.slots[groups.of_rows]
        if self._grows or (signs is None and self.spec.input_key is None):
            self._append(batch, owners)
            return np.empty(0, np.int64)
        if self.spec.input_key is not None:
            return self._upsert(batch, owners, signs)
        assert signs is not None
        self._append(batch.take(np.flatnonzero(signs > 0)), owners[signs > 0])
        taken = np.flatnonzero(signs < 0)
        columns = batch.take(taken).records.columns
        return self._rows.log.equal_entries(owners[taken], columns, range(len(columns)))

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
        self._append(batch.take(kept), owners[kept])
        return gone

    def _append(self, batch: ArrowBatch, owners: Int64Array) -> None:
        self._rows.log.append(owners, columns_at(batch, self.spec.partition), batch.records.columns)

    # -- output -------------------------------------------------------------------------------------------------

    def _ranked(
        self, rows: Int64Array, entries: Int64Array, partitions: Int64Array, order: list[Int64Array]
    ) -> _Ranked:
        its_partitions = partitions[rows]
        ranks = ranks_in_order(self.spec.function, its_partitions, [codes[rows] for codes in order])
        return _Ranked(entries[rows], its_partitions, ranks)

    def _in_range(self, ranked: _Ranked) -> _Ranked:
        inside = ranked.ranks >= self.spec.first
        if self.spec.last is not None:
            inside &= ranked.ranks <= self.spec.last
        return _Ranked(ranked.entries[inside], ranked.partitions[inside], ranked.ranks[inside])

    def _emit_difference(self, before: _Ranked, after: _Ranked) -> None:
        """What stands in both, with its rank if there is a column for it, is silent."""
        if self.spec.with_rank:
            came, went = self._changed(before, after)
            updated_from, updated_to = self._paired(before, went, after, came)
            if not self.spec.update_before:
                stays = ~updated_from
                went, updated_from = went[stays], updated_from[stays]
            old_kinds = np.where(updated_from, UPDATE_BEFORE, DELETE).astype(np.int8)
            new_kinds = np.where(updated_to, UPDATE_AFTER, INSERT).astype(np.int8)
        else:
            went = np.flatnonzero(~np.isin(before.entries, after.entries))
            came = np.flatnonzero(~np.isin(after.entries, before.entries))
            old_kinds, new_kinds = np.full(len(went), DELETE, np.int8), np.full(len(came), INSERT, np.int8)
        self._emit(before, went, old_kinds, after, came, new_kinds)

    def _changed(self, before: _Ranked, after: _Ranked) -> tuple[Int64Array, Int64Array]:
        """Positions of rows that are new at their rank, and of those that left it."""
        width = int(max(before.ranks.max(initial=0), after.ranks.max(initial=0))) + 1
        old = before.entries * width + before.ranks
        new = after.entries * width + after.ranks
        return np.flatnonzero(~np.isin(new, old)), np.flatnonzero(~np.isin(old, new))

    def _paired(
        self, before: _Ranked, went: Int64Array, after: _Ranked, came: Int64Array
    ) -> tuple[BoolArray, BoolArray]:
        """Which rows that went are replaced at their rank, and which that came replace one. Peers share ranks: there
        all is deletes and inserts."""
        if self.spec.function != "ROW_NUMBER":
            return np.zeros(len(went), np.bool_), np.zeros(len(came), np.bool_)
        width = int(max(before.ranks.max(initial=0), after.ranks.max(initial=0))) + 1
        old = before.partitions[went] * width + before.ranks[went]
        new = after.partitions[came] * width + after.ranks[came]
        return np.isin(old, new), np.isin(new, old)

    def _emit(
        self,
        before: _Ranked,
        went: Int64Array,
        old_kinds: Kinds,
        after: _Ranked,
        came: Int64Array,
        new_kinds: Kinds,
    ) -> None:
        entries = np.concatenate([before.entries[went], after.entries[came]])
        if not len(entries):
            return
        ranks = np.concatenate([before.ranks[went], after.ranks[came]])
        partitions = np.concatenate([before.partitions[went], after.partitions[came]])
        is_new = np.arange(len(entries)) >= len(went)
        within = (is_new, ranks) if self.spec.with_rank else (ranks, is_new)
        order = np.lexsort((*within, partitions))
        columns = self._rows.log.values(entries[order])
        if self.spec.with_rank:
            columns.append(pa.array(ranks[order]).cast(self.schema.types[-1]))
        self.emit_columns(columns, np.concatenate([old_kinds, new_kinds])[order])
