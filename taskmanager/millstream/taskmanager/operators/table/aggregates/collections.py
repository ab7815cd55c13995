"""LISTAGG, ARRAY_AGG, JSON_ARRAYAGG, JSON_OBJECTAGG, and FIRST_VALUE and LAST_VALUE where rows are taken back."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table.aggregate_calls import AggregateCall
from millstream.taskmanager.operators.table.aggregates.accumulator import (
    Accumulator,
    AggregateRows,
    BoolArray,
    Int64Array,
    Stores,
    argument,
    both,
    non_null,
)
from millstream.taskmanager.operators.table.aggregates.value_log import ValueLog, signed_parts


class LoggedValues(Accumulator):
    """Base: keeps all arguments of a group in their order."""

    columns_only = False
    skips_nulls = True

    def logs(self) -> list[str]:
        return [self._log_name]

    def bind(self, stores: Stores) -> None:
        kinds = [kind.arrow() for kind in self.call.argument_types]
        self._log = ValueLog(stores, self._log_name, kinds)

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        if self.skips_nulls:
            valid = non_null(rows, self.call, valid)
        if len(valid):
            rows = rows.select(np.flatnonzero(valid))
        columns = [
            argument(rows, self.call, index).cast(kind.arrow()) for index, kind in enumerate(self.call.argument_types)
        ]
        added, taken = signed_parts(rows.signs, len(rows.slots))
        indices = pa.array(added)
        self._log.append(
            rows.slots[added], [key.take(indices) for key in rows.keys], [column.take(indices) for column in columns]
        )
        if len(taken):
            self._log.take_back(rows.slots[taken], [column.take(pa.array(taken)) for column in columns])

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        entries, positions = other._log.of(other_slots)
        indices = pa.array(positions)
        self._log.append(slots[positions], [key.take(indices) for key in keys], other._log.values(entries))

    def remove(self, slots: Int64Array) -> None:
        self._log.remove(slots)

    @property
    def _log_name(self) -> str:
        return f"log-{self.position}"

    def lists(self, slots: Int64Array) -> tuple[list[pa.Array], Int64Array]:
        """``(columns, offsets)``: the values at ``slots[i]`` are those from ``offsets[i]`` to ``offsets[i + 1]``."""
        entries, positions = self._log.of(slots)
        offsets: Int64Array = np.zeros(len(slots) + 1, np.int64)
        np.cumsum(np.bincount(positions, minlength=len(slots)), out=offsets[1:])
        return self._log.values(entries), offsets


class ArrayAgg(LoggedValues):
    """ARRAY_AGG; NULL for a group without values."""

    def __init__(self, call: AggregateCall, position: int) -> None:
        super().__init__(call, position)
        self.skips_nulls = call.ignore_nulls

    def result(self, slots: Int64Array) -> pa.Array:
        (values,), offsets = self.lists(slots)
        return _array_of(values, offsets, True).cast(self.kind)


class ListAgg(LoggedValues):
    """LISTAGG with its separator, a comma by default; NULL for a group without values."""

    def __init__(self, call: AggregateCall, position: int) -> None:
        super().__init__(call, position)
        self._separator = str(call.constants[0]) if call.constants else ","

    def result(self, slots: Int64Array) -> pa.Array:
        columns, offsets = self.lists(slots)
        texts = columns[0] if pa.types.is_string(columns[0].type) else columns[0].cast(pa.string())
        return pc.binary_join(_array_of(texts, offsets, True), self._separator).cast(self.kind)


class LoggedFirstLast(LoggedValues):
    """FIRST_VALUE and LAST_VALUE of what is left."""

    def result(self, slots: Int64Array) -> pa.Array:
        (values,), offsets = self.lists(slots)
        some = offsets[1:] > offsets[:-1]
        positions = offsets[:-1] if self.call.name == "FIRST_VALUE" else offsets[1:] - 1
        return values.take(pa.array(positions, mask=~some)).cast(self.kind)


class JsonAgg(LoggedValues):
    """JSON_ARRAYAGG (ABSENT ON NULL by default) and JSON_OBJECTAGG (NULL ON NULL by default)."""

    def __init__(self, call: AggregateCall, position: int) -> None:
        super().__init__(call, position)
        self._object = call.name == "JSON_OBJECTAGG"
        self.skips_nulls = False

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        if self.call.ignore_nulls:
            column = argument(rows, self.call, len(self.call.arguments) - 1)
            if column.null_count:
                valid = both(valid, column.is_valid().to_numpy(zero_copy_only=False))
        super().add(rows, valid)

    def result(self, slots: Int64Array) -> pa.Array:
        columns, offsets = self.lists(slots)
        plain = [column.to_pylist() for column in columns]
        texts = []
        for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            values = [_json_value(value) for value in plain[-1][start:stop]]
            value = dict(zip(plain[0][start:stop], values, strict=True)) if self._object else values
            texts.append(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        return pa.array(texts, self.kind)


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _json_value(item) for key, item in value.items()}
    return str(value)


def _array_of(values: pa.Array, offsets: Int64Array, null_if_empty: bool) -> pa.Array:
    """Lists; ``null_if_empty`` makes those without values NULL."""
    ends = pa.array(offsets.astype(np.int32))
    if not null_if_empty:
        return pa.ListArray.from_arrays(ends, values)
    return pa.ListArray.from_arrays(ends, values, mask=pa.array(offsets[1:] == offsets[:-1]))
