"""All aggregates of an operator: one table with a row a group, and what the calls keep beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.kernels.accumulating import ALL_ADDED, add_values, count_rows
from millstream.core.kernels.arrow_views import NOTHING_NULL
from millstream.core.kernels.groups import Grouping, Groups
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.taskmanager.operators.table.aggregates.accumulator import (
    Accumulator,
    AggregateRows,
    Int8Array,
    Int64Array,
    Stores,
    both,
    filter_of,
    non_null,
)
from millstream.taskmanager.operators.table.aggregates.accumulators import accumulator_for
from millstream.taskmanager.operators.table.aggregates.distinct import ValueCounts
from millstream.taskmanager.state.columnar.table import ColumnTable

MakeTable = Callable[[str, pa.Schema, pa.Schema], ColumnTable]
"""``(name, keys, values)``."""

_ROWS: Final = "rows"


@dataclass
class _DistinctCalls:
    """Calls with DISTINCT over the same columns."""

    columns: tuple[int, ...]
    positions: list[int]
    values: ValueCounts


def columns_only(calls: Sequence[AggregateCall], retracts: bool) -> bool:
    """Whether all that an ``AggregateSet`` knows of a group is its row, so that the row may leave memory."""
    return all(
        not call.distinct and accumulator_for(call, position, retracts).columns_only
        for position, call in enumerate(calls)
    )


def aggregate_logs(name: str, calls: Sequence[AggregateCall], retracts: bool) -> dict[str, list[str]]:
    """For ``logs`` of an operator with an ``AggregateSet`` of this name."""
    made = [accumulator_for(call, position, retracts) for position, call in enumerate(calls)]
    return {f"{name}-{log}": [] for accumulator in made for log in accumulator.logs()}


class AggregateSet:
    """``keys`` are the fields of a group, ``more`` fields that the operator keeps beside the aggregates.

    ``make_table`` makes a table, or finds the restored one.
    """

    def __init__(
        self,
        name: str,
        keys: pa.Schema,
        calls: Sequence[AggregateCall],
        retracts: bool,
        make_table: MakeTable,
        more: Sequence[pa.Field] = (),
    ) -> None:
        self.calls: Final = tuple(calls)
        self.retracts = retracts
        self._name = name
        self._keys = keys
        self._make_table = make_table
        self._accumulators: list[Accumulator] = [
            accumulator_for(call, position, retracts) for position, call in enumerate(calls)
        ]
        fields = [field for accumulator in self._accumulators for field in accumulator.fields()]
        self.table: Final = make_table(name, keys, pa.schema([pa.field(_ROWS, pa.int64()), *more, *fields]))
        self._rows = self.table.fixed(_ROWS)
        self._grouping = Grouping()
        stores = Stores(self.table, self._table)
        for accumulator in self._accumulators:
            accumulator.bind(stores)
        self._distinct = self._distinct_calls(stores)

    def place(self, keys: Sequence[pa.Array], rows: int) -> tuple[Int64Array, Groups]:
        """``(slot of each row, groups of the batch)``. New groups are empty; all are about to change."""
        slots = self.slots_of(keys, rows)
        return slots, self.grouped(slots)

    def slots_of(self, keys: Sequence[pa.Array], rows: int) -> Int64Array:
        """The slot of each row; new groups are empty."""
        slots, new = self.table.lookup(keys, rows)
        if len(new):
            self.table.touch(slots[new])
            self._start(slots[new])
        return slots

    def grouped(self, slots: Int64Array) -> Groups:
        """The groups of rows whose slots are known; all are about to change."""
        groups = self._grouping.of(slots)
        self.table.touch(groups.slots)
        return groups

    def add(self, rows: AggregateRows) -> None:
        """Add the rows to their groups, or take them back."""
        if self.retracts:
            count_rows(rows.slots, NOTHING_NULL, rows.signs, self._rows.values)
        else:
            self._rows.values[rows.groups.slots] = 1  # it is there, and stays
        for call, accumulator in zip(self.calls, self._accumulators, strict=True):
            if not call.distinct:
                accumulator.add(rows, filter_of(rows, call))
        for distinct in self._distinct:
            self._add_distinct(rows, distinct)

    def running(self, rows: AggregateRows) -> list[pa.Array] | None:
        """Add rows one by one: after each of them the results of its group. None, and nothing added, if some cannot."""
        if self._distinct or not all(accumulator.runs for accumulator in self._accumulators):
            return None
        self._rows.values[rows.groups.slots] = 1
        return [
            accumulator.running(rows, filter_of(rows, call))
            for call, accumulator in zip(self.calls, self._accumulators, strict=True)
        ]

    def merge(self, keys: Sequence[pa.Array], other: AggregateSet, other_slots: Int64Array) -> Int64Array:
        """Add to the groups ``keys`` (one a slot, perhaps repeated) what ``other`` has at ``other_slots``; their slots.

        ``other`` has the same calls. Slots of one group come in the order in which their rows came.
        """
        slots, _ = self.place(keys, len(other_slots))
        amounts = other._rows.values[other_slots]
        add_values(
            slots, amounts, NOTHING_NULL, ALL_ADDED, self._rows.values, np.zeros(len(self._rows.values), np.int64)
        )
        for call, own, its in zip(self.calls, self._accumulators, other._accumulators, strict=True):
            if not call.distinct:
                own.merge(slots, keys, its, other_slots)
        for own_values, its_values in zip(self._distinct, other._distinct, strict=True):
            self._merge_distinct(slots, keys, own_values, its_values, other_slots)
        return slots

    def row_counts(self, slots: Int64Array) -> Int64Array:
        """How many rows the groups have; of input that takes none back, 1 for those with any."""
        counts: Int64Array = self._rows.values[slots]
        return counts

    def results(self, slots: Int64Array) -> list[pa.Array]:
        """One column for each call."""
        return [accumulator.result(slots) for accumulator in self._accumulators]

    def keys(self, slots: Int64Array) -> list[pa.Array]:
        """The key columns of groups."""
        return [self.table.column(name).gather(slots) for name in self._keys.names]

    def remove(self, slots: Int64Array) -> None:
        """Groups that are no more."""
        if len(slots):
            for accumulator in self._accumulators:
                accumulator.remove(slots)
            for distinct in self._distinct:
                distinct.values.remove(slots)
            self.table.remove(slots)

    def _start(self, slots: Int64Array) -> None:
        self._rows.values[slots] = 0
        self._rows.valid[slots] = True
        self.remove_beside(slots)
        for accumulator in self._accumulators:
            accumulator.start(slots)

    def remove_beside(self, slots: Int64Array) -> None:
        """What the slots had before they were given to other groups, where rows expired."""
        if self.table.expiry is not None:
            for accumulator in self._accumulators:
                accumulator.remove(slots)
            for distinct in self._distinct:
                distinct.values.remove(slots)

    def _table(self, name: str, keys: list[pa.Field], values: list[pa.Field]) -> ColumnTable:
        return self._make_table(f"{self._name}-{name}", pa.schema([*self._keys, *keys]), pa.schema(values))

    def _distinct_calls(self, stores: Stores) -> list[_DistinctCalls]:
        by_columns: dict[tuple[int, ...], list[int]] = {}
        for position, call in enumerate(self.calls):
            if call.distinct:
                by_columns.setdefault(call.arguments, []).append(position)
        found = []
        for columns, positions in by_columns.items():
            kinds = [kind.arrow() for kind in self.calls[positions[0]].argument_types]
            name = "distinct-" + "-".join(map(str, columns))
            found.append(_DistinctCalls(columns, positions, ValueCounts(stores, name, kinds, len(positions))))
        return found

    def _add_distinct(self, rows: AggregateRows, distinct: _DistinctCalls) -> None:
        masks = [filter_of(rows, self.calls[position]) for position in distinct.positions]
        valid = non_null(rows, self.calls[distinct.positions[0]], NOTHING_NULL)
        if all(len(mask) for mask in masks):
            valid = both(valid, np.logical_or.reduce(masks))
        if len(valid) and not valid.all():
            kept = np.flatnonzero(valid)
            rows = rows.select(kept)
            masks = [mask[kept] if len(mask) else mask for mask in masks]
        if not len(rows.slots):
            return
        values = [rows.columns[index] for index in distinct.columns]
        entries = distinct.values.place(rows.slots, rows.keys, values)
        amounts = rows.signs.astype(np.int64) if len(rows.signs) else np.ones(len(entries), np.int64)
        for number, (position, mask) in enumerate(zip(distinct.positions, masks, strict=True)):
            counted = np.where(mask, amounts, 0) if len(mask) else amounts
            self._pass_effects(rows, position, distinct.values.count(number, entries, counted))
        if len(rows.signs):
            distinct.values.prune(entries)

    def _pass_effects(self, rows: AggregateRows, position: int, effects: Int8Array) -> None:
        """To the accumulator: the first of equal values came, or the last one went."""
        moved = np.flatnonzero(effects)
        if len(moved):
            signs = effects[moved]
            part = rows.select(moved, signs if (signs < 0).any() else ALL_ADDED)
            self._accumulators[position].add(part, NOTHING_NULL)

    def _merge_distinct(
        self,
        slots: Int64Array,
        keys: Sequence[pa.Array],
        own: _DistinctCalls,
        its: _DistinctCalls,
        other_slots: Int64Array,
    ) -> None:
        entries, positions, _ = its.values.of(other_slots)
        if not len(entries):
            return
        indices = pa.array(positions)
        values = its.values.values(entries)
        columns: list[pa.Array] = [pa.nulls(0)] * (max(own.columns) + 1)
        for index, column in zip(own.columns, values, strict=True):
            columns[index] = column
        targets = slots[positions]
        rows = AggregateRows(targets, self._grouping.of(targets), [key.take(indices) for key in keys], columns)
        placed = own.values.place(targets, rows.keys, values)
        for number, position in enumerate(own.positions):
            effects = own.values.count(number, placed, its.values.counts(number, entries))
            self._pass_effects(rows, position, effects)
