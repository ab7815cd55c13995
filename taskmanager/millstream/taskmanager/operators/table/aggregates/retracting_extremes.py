"""MIN and MAX over input that takes rows back: all values with their counts, and the extreme at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.core.kernels.groups import Grouping
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.specs import SortKey
from millstream.taskmanager.operators.table.aggregates.accumulator import (
    Accumulator,
    AggregateRows,
    BoolArray,
    Int64Array,
    Stores,
    argument,
    non_null,
)
from millstream.taskmanager.operators.table.aggregates.distinct import ValueCounts
from millstream.taskmanager.operators.table.ordering import codes_of


class RetractingExtreme(Accumulator):
    """The extreme is sought anew only among the values of groups that lost it."""

    columns_only = False

    def __init__(self, call: AggregateCall, position: int) -> None:
        super().__init__(call, position)
        self._grouping = Grouping()
        self._order = SortKey(0, ascending=call.name == "MIN")

    def fields(self) -> list[pa.Field]:
        return [pa.field(self.name("extreme"), self.kind)]

    def bind(self, stores: Stores) -> None:
        self._column = stores.group.column(self.name("extreme"))
        self._values = ValueCounts(stores, f"values-{self.position}", [self.kind], 1)

    def start(self, slots: Int64Array) -> None:
        self._column.clear(slots)

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        valid = non_null(rows, self.call, valid)
        if len(valid):
            rows = rows.select(np.flatnonzero(valid))
        amounts = rows.signs.astype(np.int64) if len(rows.signs) else np.ones(len(rows.slots), np.int64)
        self._count(rows.slots, rows.keys, argument(rows, self.call), amounts)

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        entries, positions, _ = other._values.of(other_slots)
        indices = pa.array(positions)
        amounts = other._values.counts(0, entries)
        self._count(slots[positions], [key.take(indices) for key in keys], other._values.values(entries)[0], amounts)

    def result(self, slots: Int64Array) -> pa.Array:
        return self._column.gather(slots)

    def remove(self, slots: Int64Array) -> None:
        self._values.remove(slots)

    def _count(self, slots: Int64Array, keys: Sequence[pa.Array], values: pa.Array, amounts: Int64Array) -> None:
        if not len(slots):
            return
        values = values.cast(self.kind)
        entries = self._values.place(slots, keys, [values])
        self._values.count(0, entries, amounts)
        groups = self._grouping.of(slots)
        current = self._column.gather(groups.slots)
        lost = self._lost(groups.of_rows, current, values, amounts)
        self._values.prune(entries)
        self._keep_best(groups.slots[~lost], current.filter(pa.array(~lost)), groups.of_rows, values, ~lost)
        self._seek(groups.slots[lost])

    def _lost(self, of_rows: Int64Array, current: pa.Array, values: pa.Array, amounts: Int64Array) -> BoolArray:
        """By group: a row at least as extreme as the extreme was taken back."""
        lost = np.zeros(len(current), np.bool_)
        taken = np.flatnonzero(amounts < 0)
        if len(taken):
            codes = codes_of(pa.concat_arrays([current, values.take(pa.array(taken))]), self._order)
            hit = codes[len(current) :] <= codes[: len(current)][of_rows[taken]]
            lost[of_rows[taken[hit]]] = True
            lost |= current.is_null().to_numpy(zero_copy_only=False) & np.isin(np.arange(len(current)), of_rows[taken])
        return lost

    def _keep_best(
        self, slots: Int64Array, current: pa.Array, of_rows: Int64Array, values: pa.Array, kept: BoolArray
    ) -> None:
        """Of groups that lost nothing: the best of what they have and what came."""
        rows = np.flatnonzero(kept[of_rows])
        number = np.cumsum(kept) - 1
        has_one = np.flatnonzero(current.is_valid().to_numpy(zero_copy_only=False))
        candidates = pa.concat_arrays([current.take(pa.array(has_one)), values.take(pa.array(rows))])
        self._set_best(slots, np.concatenate([has_one, number[of_rows[rows]]]), candidates)

    def _seek(self, slots: Int64Array) -> None:
        if not len(slots):
            return
        self._column.clear(slots)
        entries, owners, _ = self._values.of(slots)
        there = self._values.counts(0, entries) > 0
        self._set_best(slots, owners[there], self._values.values(entries[there])[0])

    def _set_best(self, slots: Int64Array, owners: Int64Array, candidates: pa.Array) -> None:
        """``owners`` says for each candidate which of ``slots`` it is of."""
        if not len(owners):
            return
        codes = codes_of(candidates, self._order)
        ordered = np.lexsort((codes, owners))
        of = owners[ordered]
        firsts = ordered[np.flatnonzero(np.concatenate([[True], of[1:] != of[:-1]]))]
        self._column.set(slots[owners[firsts]], candidates.take(pa.array(firsts)))
