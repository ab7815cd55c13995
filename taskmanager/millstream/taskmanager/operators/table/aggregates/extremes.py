"""MIN and MAX over input that only grows.

Numbers and times are compared by a kernel. Texts, decimals and other types are ranked batch by batch, together with
what their groups have so far, and the kernel compares the ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.core.kernels.accumulating import keep_greatest, keep_least, running_extremes
from millstream.core.kernels.arrow_views import NOTHING_NULL, fixed_dtype, fixed_of
from millstream.core.kernels.groups import Grouping
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.taskmanager.operators.table.aggregates.accumulator import (
    Accumulator,
    AggregateRows,
    BoolArray,
    Int64Array,
    Stores,
    argument,
    non_null,
)
from millstream.taskmanager.operators.table.aggregates.results import fixed_array
from millstream.taskmanager.operators.table.ordering import ranks_of


class Extreme(Accumulator):
    """Of numbers, booleans and times."""

    def __init__(self, call: AggregateCall, position: int) -> None:
        super().__init__(call, position)
        dtype = fixed_dtype(self.kind)
        assert dtype is not None
        self._dtype = dtype
        self._keep = keep_least if call.name == "MIN" else keep_greatest

    def fields(self) -> list[pa.Field]:
        return [pa.field(self.name("extreme"), self.kind)]

    def bind(self, stores: Stores) -> None:
        self._column = stores.group.fixed(self.name("extreme"))

    def start(self, slots: Int64Array) -> None:
        self._column.valid[slots] = False

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        values = fixed_of(argument(rows, self.call), self._dtype)
        self._keep(rows.slots, values, non_null(rows, self.call, valid), self._column.values, self._column.valid)

    def running(self, rows: AggregateRows, valid: BoolArray) -> pa.Array | None:
        values = fixed_of(argument(rows, self.call), self._dtype)
        out, known = np.empty(len(values), self._dtype), np.empty(len(values), np.bool_)
        valid = non_null(rows, self.call, valid)
        greatest = self.call.name == "MAX"
        running_extremes(rows.slots, values, valid, greatest, self._column.values, self._column.valid, out, known)
        return fixed_array(out, known, self.kind)

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        values, valid = other._column.values[other_slots], other._column.valid[other_slots]
        self._keep(slots, values, valid, self._column.values, self._column.valid)

    def result(self, slots: Int64Array) -> pa.Array:
        return self._column.gather(slots)


class RankedExtreme(Accumulator):
    """Of all other types."""

    def __init__(self, call: AggregateCall, position: int) -> None:
        super().__init__(call, position)
        self._grouping = Grouping()

    def fields(self) -> list[pa.Field]:
        return [pa.field(self.name("extreme"), self.kind)]

    def bind(self, stores: Stores) -> None:
        self._column = stores.group.column(self.name("extreme"))

    def start(self, slots: Int64Array) -> None:
        self._column.clear(slots)

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        valid = non_null(rows, self.call, valid)
        values, slots = argument(rows, self.call), rows.slots
        if len(valid):
            positions = np.flatnonzero(valid)
            values, slots = values.take(pa.array(positions)), slots[positions]
        self._keep(slots, values)

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        values = other._column.gather(other_slots)
        positions = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        self._keep(slots[positions], values.take(pa.array(positions)))

    def result(self, slots: Int64Array) -> pa.Array:
        return self._column.gather(slots)

    def _keep(self, slots: Int64Array, values: pa.Array) -> None:
        if not len(slots):
            return
        groups = self._grouping.of(slots)
        known = self._column.gather(groups.slots)
        has_one = np.flatnonzero(known.is_valid().to_numpy(zero_copy_only=False))
        candidates = pa.concat_arrays([known.take(pa.array(has_one)), values.cast(self.kind)])
        owners = np.concatenate([has_one, groups.of_rows])
        ranks = ranks_of(candidates)
        if self.call.name == "MAX":
            ranks = -ranks
        best: Int64Array = np.empty(len(groups), np.int64)
        keep_least(owners, ranks, NOTHING_NULL, best, np.zeros(len(groups), np.bool_))
        by_rank: Int64Array = np.empty(len(candidates) + 1, np.int64)
        by_rank[np.abs(ranks)] = np.arange(len(candidates))
        self._column.set(groups.slots, candidates.take(pa.array(by_rank[np.abs(best)])))
