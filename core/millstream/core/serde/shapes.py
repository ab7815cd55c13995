"""Rows to columns and back: which fields the records of a batch have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

from millstream.core.api.row import Row
from millstream.core.errors import MalformedRecordError
from millstream.core.serde.classes import class_from_reference, class_reference
from millstream.core.serde.evolution import maker
from millstream.core.serde.values import is_plain_dataclass, make_row

SCALAR: Final = 0
TUPLE: Final = 1
DICT: Final = 2
RECORD: Final = 3
"""NamedTuple or dataclass: a class and its fields in order."""
ROW: Final = 4

_FIELDS_MAX: Final = 1000

Columns = list[Sequence[Any]]


def to_columns(values: list[Any]) -> tuple[int, Any, Columns]:
    """``(shape, what the shape needs, columns)``. Values that do not share a shape are one column of scalars."""
    kind = type(values[0])
    if kind in _ATOMS or len(set(map(type, values))) != 1:
        return SCALAR, None, [values]
    if kind is tuple:
        width = len(values[0])
        if 0 < width <= _FIELDS_MAX and len(set(map(len, values))) == 1:
            return TUPLE, width, list(zip(*values, strict=True))
    elif kind is dict:
        return _dict_columns(values)
    elif kind is Row:
        return _row_columns(values)
    elif issubclass(kind, tuple) and getattr(kind, "_fields", None):
        return RECORD, class_reference(kind), list(zip(*values, strict=True))
    elif is_plain_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        if names:
            return RECORD, class_reference(kind), _transpose(values, attrgetter(*names), len(names))
    return SCALAR, None, [values]


def from_columns(shape: int, detail: Any, columns: list[list[Any]]) -> list[Any]:
    """The inverse of ``to_columns``."""
    if shape == SCALAR:
        return columns[0]
    if shape == TUPLE:
        return list(zip(*columns, strict=True))
    if shape == DICT:
        names = detail
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    if shape == RECORD:
        return list(map(maker(class_from_reference(detail)), *columns))
    if shape == ROW:
        names, kind = detail
        return [make_row(names, row, kind) for row in zip(*columns, strict=True)]
    raise MalformedRecordError(f"a batch has the unknown shape {shape}")


def _dict_columns(values: list[Any]) -> tuple[int, Any, Columns]:
    names = list(values[0])
    if not 0 < len(names) <= _FIELDS_MAX or set(map(type, names)) != {str}:
        return SCALAR, None, [values]
    # Key order is part of a dict's look, so only dicts with the same keys in the same order share columns.
    order = tuple(names)
    if len(set(map(len, values))) != 1 or any(tuple(value) != order for value in values):
        return SCALAR, None, [values]
    return DICT, names, list(zip(*[value.values() for value in values], strict=True))


def _row_columns(values: list[Any]) -> tuple[int, Any, Columns]:
    first = values[0]
    names, kind, width = first.get_field_names(), first.get_row_kind(), len(first)
    alike = all(len(row) == width and row.get_field_names() == names and row.get_row_kind() == kind for row in values)
    if not alike or not 0 < width <= _FIELDS_MAX:
        return SCALAR, None, [values]
    return ROW, [names, int(kind)], list(zip(*values, strict=True))


def _transpose(values: list[Any], getter: Callable[[Any], Any], width: int) -> Columns:
    if width == 1:
        return [list(map(getter, values))]
    return list(zip(*map(getter, values), strict=True))


_ATOMS: Final = frozenset({int, float, str, bytes, bool, type(None), list})
