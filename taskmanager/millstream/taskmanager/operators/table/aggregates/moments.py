"""STDDEV_POP, STDDEV_SAMP, VAR_POP, VAR_SAMP by Welford's method; partial results are merged by Chan's.

A row is taken back by the inverse step, so that no two large numbers are subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from millstream.core.kernels.accumulating import add_moments, merge_moments
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

_PARTS: Final = {"count": pa.int64(), "mean": pa.float64(), "squares": pa.float64()}


class Moments(Accumulator):
    """Count, mean, and the sum of squared distances from it."""

    def fields(self) -> list[pa.Field]:
        return [pa.field(self.name(part), kind) for part, kind in _PARTS.items()]

    def bind(self, stores: Stores) -> None:
        self._counts, self._means, self._squares = (stores.group.fixed(self.name(part)) for part in _PARTS)

    def start(self, slots: Int64Array) -> None:
        for column in (self._counts, self._means, self._squares):
            column.values[slots] = 0
            column.valid[slots] = True

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        column = argument(rows, self.call)
        valid = non_null(rows, self.call, valid)
        values = column.cast(pa.float64()).fill_null(0.0).to_numpy()
        add_moments(
            rows.slots, values, valid, rows.signs, self._counts.values, self._means.values, self._squares.values
        )

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        counts, means, squares = (
            column.values[other_slots] for column in (other._counts, other._means, other._squares)
        )
        merge_moments(slots, counts, means, squares, self._counts.values, self._means.values, self._squares.values)

    def result(self, slots: Int64Array) -> pa.Array:
        counts = self._counts.values[slots]
        sample = self.call.name.endswith("_SAMP")
        divisors = counts - sample
        some = divisors > 0
        values = np.maximum(self._squares.values[slots], 0.0) / np.where(some, divisors, 1)
        if self.call.name.startswith("STDDEV"):
            values = np.sqrt(values)
        column = fixed_array(values, None if some.all() else some, pa.float64())
        return column if self.kind == pa.float64() else column.cast(self.kind, safe=False)
