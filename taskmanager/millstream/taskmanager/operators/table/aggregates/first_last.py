"""FIRST_VALUE and LAST_VALUE over input that only grows: the first or last value that is not NULL, as in Flink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.core.kernels.groups import NO_GROUP, Grouping, Groups
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


class FirstLast(Accumulator):
    """One value a group."""

    def __init__(self, call: AggregateCall, position: int) -> None:
        super().__init__(call, position)
        self._grouping = Grouping()

    def fields(self) -> list[pa.Field]:
        return [pa.field(self.name("value"), self.kind)]

    def bind(self, stores: Stores) -> None:
        self._column = stores.group.column(self.name("value"))

    def start(self, slots: Int64Array) -> None:
        self._column.clear(slots)

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        self._keep(rows.groups, argument(rows, self.call), non_null(rows, self.call, valid))

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        values = other._column.gather(other_slots)
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        self._keep(self._grouping.of(slots), values, valid)

    def result(self, slots: Int64Array) -> pa.Array:
        return self._column.gather(slots)

    def _keep(self, groups: Groups, values: pa.Array, valid: BoolArray) -> None:
        first = self.call.name == "FIRST_VALUE"
        rows = groups.first(valid) if first else groups.last(valid)
        changed = rows != NO_GROUP
        if first:
            changed &= self._column.gather(groups.slots).is_null().to_numpy(zero_copy_only=False)
        positions = np.flatnonzero(changed)
        if len(positions):
            self._column.set(groups.slots[positions], values.take(pa.array(rows[positions])).cast(self.kind))
