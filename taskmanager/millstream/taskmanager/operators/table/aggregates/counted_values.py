"""COLLECT and PERCENTILE: aggregates that want to know how often each value is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

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
from millstream.taskmanager.operators.table.aggregates.distinct import ValueCounts


class CountedValues(Accumulator):
    """Base: keeps the values of a group with their counts; NULLs are left out."""

    columns_only = False

    def bind(self, stores: Stores) -> None:
        self._values = ValueCounts(stores, f"values-{self.position}", [self.call.argument_types[0].arrow()], 1)

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        valid = non_null(rows, self.call, valid)
        if len(valid):
            rows = rows.select(np.flatnonzero(valid))
        amounts = self.amounts(rows)
        if len(rows.signs):
            amounts = amounts * rows.signs
        self._count(rows.slots, rows.keys, argument(rows, self.call), amounts)

    def amounts(self, rows: AggregateRows) -> Int64Array:
        """How often each row brings its value."""
        return np.ones(len(rows.slots), np.int64)

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        entries, positions, _ = other._values.of(other_slots)
        indices = pa.array(positions)
        amounts = other._values.counts(0, entries)
        values = other._values.values(entries)[0]
        self._count(slots[positions], [key.take(indices) for key in keys], values, amounts)

    def remove(self, slots: Int64Array) -> None:
        self._values.remove(slots)

    def counted(self, slots: Int64Array) -> tuple[pa.Array, Int64Array, Int64Array]:
        """``(values, counts, positions in slots)`` of what is there, by position."""
        entries, positions, _ = self._values.of(slots)
        counts = self._values.counts(0, entries)
        there = counts > 0
        return self._values.values(entries[there])[0], counts[there], positions[there]

    def _count(self, slots: Int64Array, keys: Sequence[pa.Array], values: pa.Array, amounts: Int64Array) -> None:
        if len(slots):
            entries = self._values.place(slots, keys, [values])
            self._values.count(0, entries, amounts)
            self._values.prune(entries)


class Collect(CountedValues):
    """A MULTISET: each value with its count; empty for a group without values."""

    def result(self, slots: Int64Array) -> pa.Array:
        values, counts, positions = self.counted(slots)
        offsets = np.zeros(len(slots) + 1, np.int32)
        np.cumsum(np.bincount(positions, minlength=len(slots)), out=offsets[1:])
        return pa.MapArray.from_arrays(pa.array(offsets), values, pa.array(counts.astype(np.int32))).cast(self.kind)


class Percentile(CountedValues):
    """PERCENTILE(value, percentages [, frequency]): exact, interpolated between neighbours, as in Flink.

    ``constants`` of the call are the percentages; the result is an ARRAY where its type is one.
    """

    def __init__(self, call: AggregateCall, position: int) -> None:
        super().__init__(call, position)
        given = call.constants[0] if call.constants and isinstance(call.constants[0], list | tuple) else call.constants
        self._shares = [float(share) for share in given]

    def amounts(self, rows: AggregateRows) -> Int64Array:
        if len(self.call.arguments) < 2:
            return super().amounts(rows)
        counts: Int64Array = argument(rows, self.call, 1).cast(pa.int64()).to_numpy()
        return np.maximum(counts, 0)

    def result(self, slots: Int64Array) -> pa.Array:
        values, counts, positions = self.counted(slots)
        numbers = values.cast(pa.float64(), safe=False).to_numpy()
        order = np.lexsort((numbers, positions))
        numbers, counts, positions = numbers[order], counts[order], positions[order]
        totals = np.bincount(positions, weights=counts, minlength=len(slots)).astype(np.int64)
        before: Int64Array = np.concatenate([[0], np.cumsum(totals)])[:-1]
        running = np.cumsum(counts)
        some = totals > 0
        found = []
        for share in self._shares:
            place = share * np.maximum(totals - 1, 0)
            low, high = np.floor(place).astype(np.int64), np.ceil(place).astype(np.int64)
            if len(numbers) == 0:
                found.append(np.zeros(len(slots)))
                continue
            last = len(numbers) - 1
            lower = numbers[np.minimum(np.searchsorted(running, before + low, side="right"), last)]
            upper = numbers[np.minimum(np.searchsorted(running, before + high, side="right"), last)]
            found.append(lower + (upper - lower) * (place - low))
        if not pa.types.is_list(self.kind):
            return pa.array(found[0], pa.float64(), mask=~some).cast(self.kind)
        flat = pa.array(np.stack(found, axis=1).reshape(-1), pa.float64())
        offsets = pa.array(np.arange(len(slots) + 1, dtype=np.int32) * len(found))
        return pa.ListArray.from_arrays(offsets, flat, mask=pa.array(~some)).cast(self.kind)
