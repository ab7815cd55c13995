"""COUNT: of rows, or of rows without NULL arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.core.kernels.accumulating import ALL_ADDED, add_values, count_rows, running_counts
from millstream.core.kernels.arrow_views import NOTHING_NULL
from millstream.taskmanager.operators.table.aggregates.accumulator import (
    Accumulator,
    AggregateRows,
    BoolArray,
    Int64Array,
    Stores,
    non_null,
)
from millstream.taskmanager.operators.table.aggregates.results import fixed_array


class Count(Accumulator):
    """One number a group."""

    def fields(self) -> list[pa.Field]:
        return [pa.field(self.name("count"), pa.int64())]

    def bind(self, stores: Stores) -> None:
        self._counts = stores.group.fixed(self.name("count"))

    def start(self, slots: Int64Array) -> None:
        self._counts.values[slots] = 0
        self._counts.valid[slots] = True

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        count_rows(rows.slots, non_null(rows, self.call, valid), rows.signs, self._counts.values)

    def running(self, rows: AggregateRows, valid: BoolArray) -> pa.Array | None:
        counts = np.empty(len(rows.slots), np.int64)
        running_counts(rows.slots, non_null(rows, self.call, valid), self._counts.values, counts)
        return fixed_array(counts, None, self.kind)

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        amounts = other._counts.values[other_slots]
        unused = np.zeros(len(self._counts.values), np.int64)
        add_values(slots, amounts, NOTHING_NULL, ALL_ADDED, self._counts.values, unused)

    def result(self, slots: Int64Array) -> pa.Array:
        return fixed_array(self._counts.values[slots], None, self.kind)
