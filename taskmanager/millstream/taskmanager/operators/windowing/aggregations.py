"""The built-in aggregations of a window: ``sum``, ``min``, ``max``, ``min_by``, ``max_by`` over one field.

``sum``/``min``/``max`` emit the first record of the window with the field replaced; ``min_by``/``max_by`` emit the
first whole record that has the smallest or largest field. The field is a tuple position, a dict key, an attribute
name, or None for records that are the value itself.
"""

from __future__ import annotations

import copy
import dataclasses
import operator
from collections.abc import Callable
from typing import Any

from millstream.core.errors import RecordTypeError
from millstream.core.graph.specs import AggregationSpec

_COMBINE: dict[str, Callable[[Any, Any], Any]] = {
    "sum": operator.add,
    "min": lambda left, right: right if right < left else left,
    "max": lambda left, right: right if right > left else left,
}


class FieldAggregation:
    """``sum``, ``min`` or ``max`` of one field."""

    def __init__(self, spec: AggregationSpec) -> None:
        self.get = field_getter(spec)
        self.combine = _COMBINE[spec.aggregation]
        self._field = spec.field

    def replace(self, record: Any, value: Any) -> Any:
        """A copy of ``record`` whose field is ``value``."""
        return replace_field(record, self._field, value)


class RecordSelection:
    """``min_by`` or ``max_by``: the record seen first wins a tie."""

    def __init__(self, spec: AggregationSpec) -> None:
        self._get = field_getter(spec)
        self._smallest = spec.aggregation == "min_by"

    def choose(self, left: Any, right: Any) -> Any:
        """The one of the two to keep."""
        a, b = self._get(left), self._get(right)
        return right if (b < a if self._smallest else b > a) else left


def field_getter(spec: AggregationSpec) -> Callable[[Any], Any]:
    """Reads the field of a record; raises ``RecordTypeError`` naming field and record when it is not there."""
    field = spec.field
    if field is None:
        return lambda record: record

    def get(record: Any) -> Any:
        try:
            if isinstance(field, int) or isinstance(record, dict):
                return record[field]
            return getattr(record, field)
        except (KeyError, IndexError, AttributeError, TypeError):
            raise RecordTypeError(
                f"{spec.aggregation}({field!r}) finds no such field in the record {record!r:.200}. Give the position "
                "in a tuple, the key of a dict, or the attribute of an object."
            ) from None

    return get


def replace_field(record: Any, field: int | str | None, value: Any) -> Any:
    """A copy of ``record`` (tuple, NamedTuple, list, dict, dataclass, Row or plain object) with one field changed."""
    if field is None:
        return value
    if isinstance(record, dict):
        return {**record, field: value}
    if isinstance(record, tuple):
        names: tuple[str, ...] | None = getattr(record, "_fields", None)
        if names is not None:
            return record._replace(**{names[field] if isinstance(field, int) else field: value})  # type: ignore[attr-defined]
        position = field if isinstance(field, int) else 0
        return (*record[:position], value, *record[position:][1:])
    if dataclasses.is_dataclass(record) and not isinstance(record, type) and isinstance(field, str):
        return dataclasses.replace(record, **{field: value})
    changed = copy.copy(record)
    if isinstance(field, int):
        changed[field] = value
    else:
        setattr(changed, field, value)
    return changed
