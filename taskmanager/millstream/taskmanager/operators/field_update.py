"""How the built-in aggregations read one field of a record and make a record with another value in it.

Records may be tuples, NamedTuples, lists, dicts, Rows, dataclasses, other objects, or the value itself. The update
is chosen once for the type of the records, so that nothing is looked up for each of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from operator import attrgetter, itemgetter
from typing import Any, Final

from millstream.core.api.row import Row
from millstream.core.graph.specs import AggregationKind, AggregationSpec

Combine = Callable[[Any, Any], Any]
"""``(record so far, next record) -> record``"""

_VALUES: Final[dict[str, Combine]] = {
    "sum": lambda old, new: old + new,
    "min": lambda old, new: new if new < old else old,
    "max": lambda old, new: new if new > old else old,
}


def combine_like(spec: AggregationSpec, record: Any) -> Combine:
    """The update for records of the type (and, for tuples, the length) of ``record``.

    ``min_by`` and ``max_by`` keep the whole record that was first to have the extreme value. Raises ``LookupError`` or
    ``AttributeError`` when the record has no such field.
    """
    read = reader(spec.field, record)
    read(record)
    if spec.aggregation in ("min_by", "max_by"):
        if spec.aggregation == "min_by":
            return lambda old, new: new if read(new) < read(old) else old
        return lambda old, new: new if read(new) > read(old) else old
    value_of = _VALUES[spec.aggregation]
    if _is_scalar(spec.field, record):
        return value_of
    if type(record) is tuple and isinstance(spec.field, int):
        return _tuple_update(spec.aggregation, spec.field, len(record))
    field = spec.field
    if type(record) is dict and spec.aggregation == "sum":
        return lambda old, new: {**old, field: old[field] + new[field]}
    if type(record) is dict:
        return lambda old, new: {**old, field: value_of(old[field], new[field])}
    replace = replacer(field, record)
    return lambda old, new: replace(old, value_of(read(old), read(new)))


def reader(field: int | str | None, record: Any) -> Callable[[Any], Any]:
    """Reads ``field`` of records like ``record``."""
    if _is_scalar(field, record):
        return lambda value: value
    if isinstance(record, tuple) and isinstance(field, str):
        return attrgetter(field)
    if hasattr(record, "__getitem__"):
        return itemgetter(field)
    return attrgetter(_attribute(field, record))


def replacer(field: int | str | None, record: Any) -> Callable[[Any, Any], Any]:
    """``(record, value) -> copy of the record`` with the field replaced, for records like ``record``."""
    if isinstance(record, tuple):
        names: tuple[str, ...] = getattr(record, "_fields", ())
        if names:
            name = names[field] if isinstance(field, int) else str(field)
            return lambda old, value: old._replace(**{name: value})
        position = range(len(record))[field]  # type: ignore[index]
        return lambda old, value: (*old[:position], value, *old[position + 1 :])
    if isinstance(record, dict | list | Row):
        return lambda old, value: _with_item(old, field, value)
    name = _attribute(field, record)
    return lambda old, value: _with_attribute(old, name, value)


def _is_scalar(field: int | str | None, record: Any) -> bool:
    """The record is the value: no field given, or PyFlink's default position 0 of what has no positions."""
    if field is None:
        return True
    return field == 0 and not hasattr(record, "__getitem__") and not is_dataclass(record)


def _attribute(field: int | str | None, record: Any) -> str:
    if isinstance(field, int) and is_dataclass(record):
        return fields(record)[field].name
    if not isinstance(field, str):
        raise LookupError(f"a {type(record).__name__} has no positions")
    return field


def _with_item(old: Any, field: Any, value: Any) -> Any:
    changed = copy.copy(old)
    changed[field] = value
    return changed


def _with_attribute(old: Any, name: Any, value: Any) -> Any:
    changed = copy.copy(old)
    object.__setattr__(changed, name, value)  # frozen dataclasses too: nobody else has seen the copy yet
    return changed


def _tuple_update(aggregation: AggregationKind, field: int, length: int) -> Combine:
    """For plain tuples; the pair of a key and a number, by far the most frequent, without slicing."""
    value_of = _VALUES[aggregation]

    def general(old: Any, new: Any) -> Any:
        position = field if field >= 0 else len(old) + field
        return (*old[:position], value_of(old[position], new[field]), *old[position + 1 :])

    if length == 2 and field in (1, -1):
        # A tuple of another length in the same stream is left to the general way, which keeps all its fields.
        if aggregation == "sum":
            return lambda old, new: (old[0], old[1] + new[field]) if len(old) == 2 else general(old, new)
        return lambda old, new: (old[0], value_of(old[1], new[field])) if len(old) == 2 else general(old, new)
    return general
