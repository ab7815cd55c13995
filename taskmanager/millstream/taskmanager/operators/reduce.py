"""Rolling reduce and the built-in rolling aggregations of a keyed stream: a new value for every record."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import is_dataclass
from operator import attrgetter, itemgetter
from typing import Any, Final

from millstream.core.api.row import Row
from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.errors import RecordTypeError
from millstream.core.graph.specs import AggregationSpec, ChainedOperator, ReduceSpec
from millstream.taskmanager.operators.keyed import KeyedOperator
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.user_code import current, wrap_user_error

_MISSING: Final = object()
_STATE: Final = "reduced"


class ReduceOperator(KeyedOperator):
    """Keeps one value a key, combined by the user's function."""

    def __init__(self, chained: ChainedOperator, spec: ReduceSpec) -> None:
        super().__init__(chained, [spec.function])
        self._function: Callable[[Any, Any], Any] = (
            spec.function.reduce if hasattr(spec.function, "reduce") else spec.function
        )

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self._table = self.backend.table(_STATE)

    def process(self, batch: Batch, input_index: int) -> None:
        rows, keys = self.rows_and_keys(batch)
        table, function = self._table, self._function
        get = table.get
        results: list[Any] = []
        append = results.append
        pending = iter(rows.values)
        try:
            for key, value in zip(keys, pending, strict=True):
                before = get(key, _MISSING)
                if before is not _MISSING:
                    value = function(before, value)
                table[key] = value
                append(value)
        except Exception as error:
            record = current(rows.values, pending)
            raise wrap_user_error(error, chained=self.chained, function=function, record=record) from error
        self.output.emit(ObjectBatch(results, rows.timestamps, keys))


class AggregationOperator(KeyedOperator):
    """sum, min, max of one field (the others stay those of the first record); min_by and max_by of whole records."""

    def __init__(self, chained: ChainedOperator, spec: AggregationSpec) -> None:
        super().__init__(chained, [])
        self._spec = spec
        self._combine: Callable[[Any, Any], Any] | None = None

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self._table = self.backend.table(_STATE)

    def process(self, batch: Batch, input_index: int) -> None:
        rows, keys = self.rows_and_keys(batch)
        if not rows.values:
            return
        if self._combine is None:
            self._combine = combiner(self._spec, rows.values[0])
        table, combine = self._table, self._combine
        get = table.get
        results: list[Any] = []
        append = results.append
        pending = iter(rows.values)
        try:
            for key, value in zip(keys, pending, strict=True):
                before = get(key)
                if before is not None:
                    value = combine(before, value)
                table[key] = value
                append(value)
        except (TypeError, KeyError, IndexError, AttributeError) as error:
            record = current(rows.values, pending)
            raise RecordTypeError(
                f"operator {self.chained.name!r} (defined at {self.chained.defined_at or 'unknown'}) cannot take the "
                f"{self._spec.aggregation} of {_described(self._spec.field)} of the record {record!r:.300}: {error}"
            ) from error
        self.output.emit(ObjectBatch(results, rows.timestamps, keys))


def combiner(spec: AggregationSpec, first: Any) -> Callable[[Any, Any], Any]:
    """``(value so far, record) -> new value`` for records like ``first``."""
    field = spec.field
    if spec.aggregation in ("min_by", "max_by"):
        read = _reader(field, first)
        if spec.aggregation == "min_by":
            return lambda before, value: value if read(value) < read(before) else before
        return lambda before, value: value if read(value) > read(before) else before
    if field is None or (field == 0 and not hasattr(first, "__getitem__") and not is_dataclass(first)):
        return _SCALAR[spec.aggregation]
    if spec.aggregation == "sum" and type(first) is tuple and len(first) == 2 and field == 1:
        return lambda before, value: (before[0], before[1] + value[1])
    if spec.aggregation == "sum" and type(first) is dict:
        return lambda before, value: {**before, field: before[field] + value[field]}
    read, write, choose = _reader(field, first), _writer(field, first), _SCALAR[spec.aggregation]
    return lambda before, value: write(before, choose(read(before), read(value)))


def _add(before: Any, value: Any) -> Any:
    return before + value


_SCALAR: Final[dict[str, Callable[[Any, Any], Any]]] = {"sum": _add, "min": min, "max": max}


def _reader(field: Any, first: Any) -> Callable[[Any], Any]:
    if field is None:
        return lambda value: value
    if isinstance(field, str) and not isinstance(first, dict | Row):
        return attrgetter(field)
    if isinstance(field, int) and is_dataclass(first):
        return attrgetter(list(first.__dataclass_fields__)[field])
    if not hasattr(first, "__getitem__"):
        return lambda value: value
    return itemgetter(field)


def _writer(field: Any, first: Any) -> Callable[[Any, Any], Any]:
    """A copy of a record with one field replaced."""
    if isinstance(first, tuple):
        names = getattr(type(first), "_fields", None)
        position = names.index(field) if isinstance(field, str) and names else field
        make = type(first)._make if names else tuple  # type: ignore[attr-defined]
        return lambda before, value: make((*before[:position], value, *before[position + 1 :]))
    if isinstance(first, dict):
        return lambda before, value: {**before, field: value}
    if isinstance(first, Row | list):
        return lambda before, value: _replace_item(before, field, value)
    name = list(first.__dataclass_fields__)[field] if isinstance(field, int) else field
    return lambda before, value: _replace_attribute(before, name, value)


def _replace_item(before: Any, field: Any, value: Any) -> Any:
    changed = copy.copy(before)
    changed[field] = value
    return changed


def _replace_attribute(before: Any, name: str, value: Any) -> Any:
    changed = copy.copy(before)
    object.__setattr__(changed, name, value)
    return changed


def _described(field: int | str | None) -> str:
    return "the value" if field is None else f"field {field!r}"
