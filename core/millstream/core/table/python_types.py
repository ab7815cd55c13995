"""SQL types of Python annotations, and Python values of columns for functions that users write."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import types
import typing
from collections import abc
from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.api.row import Row
from millstream.core.errors import JobGraphError
from millstream.core.table import logical_types as lt
from millstream.core.table.logical_types import LogicalType, TypeRoot

_PLAIN: Final[dict[Any, LogicalType]] = {
    bool: lt.BOOLEAN,
    int: lt.BIGINT,
    float: lt.DOUBLE,
    str: lt.STRING,
    bytes: lt.BYTES,
    decimal.Decimal: lt.decimal(38, 18),
    datetime.datetime: lt.timestamp(6),
    datetime.date: lt.DATE,
    datetime.time: lt.TIME,
    datetime.timedelta: lt.INTERVAL_DAY_TIME,
    type(None): lt.NULL,
}


_SEQUENCES: Final = (list, abc.Iterator, abc.Iterable, abc.Generator)
"""What a table function says that it returns rows in; what a generator yields stands first."""


def type_of_annotation(annotation: Any) -> LogicalType | None:
    """The SQL type of an annotation, ``X | None`` as nullable, others not; None for one that has no SQL type."""
    if isinstance(annotation, LogicalType):
        return annotation
    known = _PLAIN.get(annotation) if isinstance(annotation, type) else None
    if known is not None:
        return known.with_nullable(known.root is TypeRoot.NULL)
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return next((item for item in inner[1:] if isinstance(item, LogicalType)), None) or type_of_annotation(inner[0])
    if origin in (typing.Union, types.UnionType):
        others = [item for item in inner if item is not type(None)]
        kind = type_of_annotation(others[0]) if len(others) == 1 else None
        return None if kind is None else kind.with_nullable(len(others) < len(inner))
    if origin in _SEQUENCES and inner:
        element = type_of_annotation(inner[0])
        return None if element is None else lt.array(element).with_nullable(False)
    if origin is dict and len(inner) == 2:
        key, value = type_of_annotation(inner[0]), type_of_annotation(inner[1])
        return None if key is None or value is None else lt.map_of(key, value).with_nullable(False)
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return _row([(f"f{place}", item) for place, item in enumerate(inner)])
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        hints = typing.get_type_hints(annotation, include_extras=True)
        return _row([(field.name, hints[field.name]) for field in dataclasses.fields(annotation)])
    return None


def _row(annotations: list[tuple[str, Any]]) -> LogicalType | None:
    fields = []
    for name, annotation in annotations:
        kind = type_of_annotation(annotation)
        if kind is None:
            return None
        fields.append((name, kind))
    return lt.row(*fields).with_nullable(False)


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function; empty where they name what cannot be found."""
    target = function if hasattr(function, "__code__") else getattr(function, "__call__", function)  # noqa: B004
    try:
        return typing.get_type_hints(target, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {}


def python_values(values: pa.Array) -> list[Any]:
    """A column as Python values: maps as dicts, times cut to microseconds, TIMESTAMP_LTZ as aware UTC datetimes."""
    if pa.types.is_timestamp(values.type) and values.type.unit == "ns":
        values = pc.cast(values, pa.timestamp("us", tz=values.type.tz), safe=False)
    return list(values.to_pylist(maps_as_pydicts="lossy"))


def column_of(values: list[Any], kind: LogicalType) -> pa.Array:
    """Python values as a column. Raises ``WrongValue`` for the first that does not fit."""
    arrow = kind.arrow()
    prepared = [_prepared(value, kind) for value in values] if _needs_care(kind) else values
    try:
        return pa.array(prepared, arrow)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        for place, value in enumerate(prepared):
            try:
                pa.scalar(value, arrow)
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                raise WrongValue(place, values[place], kind) from error
        raise


class WrongValue(JobGraphError):
    """A user's function returned a value that its declared type does not hold."""

    def __init__(self, place: int, value: Any, kind: LogicalType) -> None:
        super().__init__(f"returned {value!r:.300} of type {type(value).__name__}; its type is {kind.text()}")
        self.row = place
        """Position in the list of values."""


_CAREFUL: Final = (TypeRoot.DECIMAL, TypeRoot.ARRAY, TypeRoot.ROW, TypeRoot.MAP)


def _needs_care(kind: LogicalType) -> bool:
    return kind.root in _CAREFUL


def _prepared(value: Any, kind: LogicalType) -> Any:
    """A value as Arrow takes it: decimals rounded HALF_UP to their scale, dataclasses and tuples as dicts."""
    if value is None:
        return None
    if kind.root is TypeRoot.DECIMAL and isinstance(value, decimal.Decimal | int):
        with decimal.localcontext(decimal.Context(prec=76, rounding=decimal.ROUND_HALF_UP)):
            return decimal.Decimal(value).quantize(decimal.Decimal(1).scaleb(-kind.scale))
    if kind.root is TypeRoot.ARRAY and isinstance(value, list | tuple):
        assert kind.element is not None
        return [_prepared(item, kind.element) for item in value]
    if kind.root is TypeRoot.MAP and isinstance(value, dict):
        assert kind.key is not None and kind.element is not None
        return [(_prepared(key, kind.key), _prepared(item, kind.element)) for key, item in value.items()]
    if kind.root is TypeRoot.ROW:
        return dict(zip([name for name, _ in kind.fields], row_values(value, kind), strict=True))
    return value


def row_values(value: Any, kind: LogicalType) -> list[Any]:
    """The fields of a row that a user's function gave: by position of a tuple, list or Row, by name of all else."""
    if isinstance(value, Row):
        value = tuple(value)
    if isinstance(value, tuple | list):
        if len(value) != len(kind.fields):
            return [value] * len(kind.fields) if len(kind.fields) == 1 else _refuse(value, kind)
        return [_prepared(item, field) for item, (_, field) in zip(value, kind.fields, strict=True)]
    if isinstance(value, dict):
        return [_prepared(value.get(name), field) for name, field in kind.fields]
    if len(kind.fields) == 1 and not dataclasses.is_dataclass(value):
        return [_prepared(value, kind.fields[0][1])]
    return [_prepared(getattr(value, name), field) for name, field in kind.fields]


def _refuse(value: Any, kind: LogicalType) -> list[Any]:
    raise TypeError(f"{len(value)} values for the {len(kind.fields)} fields of {kind.text()}")
