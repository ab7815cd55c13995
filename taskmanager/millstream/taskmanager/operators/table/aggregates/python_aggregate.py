"""Aggregate functions that users write in Python.

Accumulators are Python objects. Each group keeps its own in encoded form, so that snapshots have them, and the object
itself beside it, so that a batch need not decode what the one before encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.core.serde import decode_value, encode_value
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.python_functions import PythonAggregateFunction
from millstream.taskmanager.operators.table.aggregates.accumulator import (
    Accumulator,
    AggregateRows,
    BoolArray,
    Int64Array,
    Stores,
    argument,
)


class PythonAggregate(Accumulator):
    """Calls the user's function row by row, group by group."""

    columns_only = False

    def __init__(self, call: AggregateCall, position: int) -> None:
        super().__init__(call, position)
        self._function: PythonAggregateFunction = call.function
        self._objects: dict[int, Any] = {}

    def fields(self) -> list[pa.Field]:
        return [pa.field(self.name("accumulator"), pa.large_binary())]

    def bind(self, stores: Stores) -> None:
        self._column = stores.group.column(self.name("accumulator"))

    def start(self, slots: Int64Array) -> None:
        self.remove(slots)
        self._column.clear(slots)

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        if len(valid):
            rows = rows.select(np.flatnonzero(valid))
        columns = [argument(rows, self.call, index).to_pylist() for index in range(len(self.call.arguments))]
        values = list(zip(*columns, strict=True)) if columns else [()] * len(rows.slots)
        signs = rows.signs.tolist() if len(rows.signs) else [1] * len(rows.slots)
        changed: dict[int, Any] = {}
        function = self._function
        for slot, sign, row in zip(rows.slots.tolist(), signs, values, strict=True):
            known = changed[slot] if slot in changed else self._object(slot)
            changed[slot] = function.accumulate(known, row, retract=sign < 0)
        self._keep(changed)

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        its: dict[int, list[Any]] = {}
        for slot, other_slot in zip(slots.tolist(), other_slots.tolist(), strict=True):
            its.setdefault(slot, []).append(other._object(other_slot))
        # What is merged may be changed by the user: it gets a copy.
        copies = {slot: [decode_value(encode_value(each)) for each in each_of] for slot, each_of in its.items()}
        self._keep({slot: self._function.merge(self._object(slot), merged) for slot, merged in copies.items()})

    def result(self, slots: Int64Array) -> pa.Array:
        values = [self._function.value(self._object(slot)) for slot in slots.tolist()]
        column = self._function.column(values)
        return column if column.type == self.kind else column.cast(self.kind)

    def remove(self, slots: Int64Array) -> None:
        for slot in slots.tolist():
            self._objects.pop(slot, None)

    def _object(self, slot: int) -> Any:
        if slot not in self._objects:
            stored = self._column.gather(np.array([slot], np.int64))[0].as_py()
            self._objects[slot] = self._function.create() if stored is None else decode_value(stored)
        return self._objects[slot]

    def _keep(self, changed: dict[int, Any]) -> None:
        if changed:
            self._objects.update(changed)
            encoded = pa.array([encode_value(value) for value in changed.values()], pa.large_binary())
            self._column.set(np.fromiter(changed, np.int64, len(changed)), encoded)
