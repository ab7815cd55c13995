"""SUM, SUM0 and AVG: of integers with wrap-around, of floating-point numbers, of decimals in 128 bits.

Their state is a sum and the number of values in it, so that rows can be taken back. AVG of integers is cut towards
zero, that of decimals rounds half up, a decimal sum that needs more than 38 digits is NULL: all as in Flink.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.core.kernels.accumulating import ALL_ADDED, add_values, add_wide, running_sums
from millstream.core.kernels.arrow_views import NOTHING_NULL, fixed_dtype, fixed_of, words_of_decimals
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
from millstream.taskmanager.operators.table.aggregates.results import decimal_array, fixed_array


class Sum(Accumulator):
    """SUM, SUM0 and AVG of integers and floating-point numbers."""

    def __init__(self, call: AggregateCall, position: int) -> None:
        super().__init__(call, position)
        dtype = fixed_dtype(call.argument_types[0].arrow())
        assert dtype is not None
        self._dtype = dtype
        self._wide = np.dtype(np.float64 if dtype.kind == "f" else np.int64)

    def fields(self) -> list[pa.Field]:
        total = pa.float64() if self._wide.kind == "f" else pa.int64()
        return [pa.field(self.name("sum"), total), pa.field(self.name("count"), pa.int64())]

    def bind(self, stores: Stores) -> None:
        self._sums, self._counts = stores.group.fixed(self.name("sum")), stores.group.fixed(self.name("count"))

    def start(self, slots: Int64Array) -> None:
        for column in (self._sums, self._counts):
            column.values[slots] = 0
            column.valid[slots] = True

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        values = fixed_of(argument(rows, self.call), self._dtype).astype(self._wide, copy=False)
        valid = non_null(rows, self.call, valid)
        add_values(rows.slots, values, valid, rows.signs, self._sums.values, self._counts.values)

    def running(self, rows: AggregateRows, valid: BoolArray) -> pa.Array | None:
        values = fixed_of(argument(rows, self.call), self._dtype).astype(self._wide, copy=False)
        sums, counts = np.empty(len(values), self._wide), np.empty(len(values), np.int64)
        valid = non_null(rows, self.call, valid)
        running_sums(rows.slots, values, valid, self._sums.values, self._counts.values, sums, counts)
        return self._of(sums, counts)

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        unused = np.zeros(len(self._counts.values), np.int64)
        for own, its in ((self._sums, other._sums), (self._counts, other._counts)):
            add_values(slots, its.values[other_slots], NOTHING_NULL, ALL_ADDED, own.values, unused)

    def result(self, slots: Int64Array) -> pa.Array:
        return self._of(self._sums.values[slots], self._counts.values[slots])

    def _of(self, sums: Any, counts: Int64Array) -> pa.Array:
        some = counts > 0
        if self.call.name == "SUM0":
            return fixed_array(sums, None, self.kind)
        if self.call.name == "AVG":
            sums = _divided(sums, np.where(some, counts, 1), pa.types.is_floating(self.kind))
        return fixed_array(sums, None if some.all() else some, self.kind)


class DecimalSum(Accumulator):
    """The same of DECIMAL."""

    def fields(self) -> list[pa.Field]:
        return [pa.field(self.name(part), pa.int64()) for part in ("low", "high", "count")]

    def bind(self, stores: Stores) -> None:
        self._lows, self._highs, self._counts = (
            stores.group.fixed(self.name(part)) for part in ("low", "high", "count")
        )

    def start(self, slots: Int64Array) -> None:
        for column in (self._lows, self._highs, self._counts):
            column.values[slots] = 0
            column.valid[slots] = True

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        column = argument(rows, self.call)
        if not pa.types.is_decimal128(column.type):
            column = column.cast(pa.decimal128(38, column.type.scale))
        lows, highs = words_of_decimals(column)
        valid = non_null(rows, self.call, valid)
        add_wide(
            rows.slots,
            lows.view(np.uint64),
            highs,
            valid,
            rows.signs,
            self._lows.values,
            self._highs.values,
            self._counts.values,
        )

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        unused = np.zeros(len(self._counts.values), np.int64)
        lows, highs = other._lows.values[other_slots], other._highs.values[other_slots]
        add_wide(
            slots,
            lows.view(np.uint64),
            highs,
            NOTHING_NULL,
            ALL_ADDED,
            self._lows.values,
            self._highs.values,
            unused,
        )
        counts = other._counts.values[other_slots]
        add_values(slots, counts, NOTHING_NULL, ALL_ADDED, self._counts.values, unused)

    def result(self, slots: Int64Array) -> pa.Array:
        lows, highs, counts = (column.values[slots] for column in (self._lows, self._highs, self._counts))
        if self.call.name == "AVG":
            return self._averages(lows, highs, counts)
        some = np.ones(len(counts), np.bool_) if self.call.name == "SUM0" else counts > 0
        return decimal_array(lows, highs, some, self.kind)

    def _averages(self, lows: Int64Array, highs: Int64Array, counts: Int64Array) -> pa.Array:
        scale = self.call.argument_types[0].scale
        shift = 10 ** (self.kind.scale - scale) if self.kind.scale >= scale else 1
        exact = Context(prec=76)
        values: list[Decimal | None] = []
        for low, high, count in zip(lows.view(np.uint64).tolist(), highs.tolist(), counts.tolist(), strict=True):
            if count <= 0:
                values.append(None)
                continue
            total = ((high << 64) + low) * shift
            whole, rest = divmod(abs(total), count)
            whole += 2 * rest >= count
            values.append(Decimal(whole if total >= 0 else -whole).scaleb(-max(scale, self.kind.scale), exact))
        return pa.array(values, pa.decimal128(38, max(scale, self.kind.scale))).cast(self.kind)


def _divided(sums: Any, counts: Any, exactly: bool) -> Any:
    if exactly or sums.dtype.kind == "f":
        return sums / counts
    whole = np.abs(sums) // counts
    return np.where(sums < 0, -whole, whole)
