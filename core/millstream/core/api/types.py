"""Types of records: declared (``Types.TUPLE([Types.STRING(), Types.INT()])``), from annotations, or from values.

Millstream does not need them to run: batches describe themselves. A type serves to check what a function returns when
the user declared it, to describe plans, and to say early where records would be pickled. Names are PyFlink's.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from millstream.core.api.row import Row, RowKind

__all__ = ["Row", "RowKind", "TypeInformation", "Types", "infer_type", "type_of_value"]


@dataclass(frozen=True)
class TypeInformation:
    """A type of values. ``parameters`` are element, field, or key and value types; ``names`` those of fields."""

    name: str
    classes: tuple[type, ...]
    """Classes a value may have; empty for any."""
    parameters: tuple[TypeInformation, ...] = ()
    names: tuple[str, ...] = ()
    is_generic: bool = False
    """Values may have to be pickled."""
    bounds: tuple[int, int] | None = None
    """Least and greatest value of a sized integer."""
    nullable: bool = True

    def check(self, value: Any) -> str | None:
        """Why ``value`` does not fit, or None when it does. None fits every type that is nullable."""
        if value is None:
            return None if self.nullable else f"None is not {self}"
        if self.classes and not isinstance(value, self.classes):
            return f"{value!r:.100} of type {type(value).__name__} is not {self}"
        if isinstance(value, bool) and bool not in self.classes and int in self.classes:
            return f"{value!r} of type bool is not {self}"
        if self.bounds is not None and not self.bounds[0] <= value <= self.bounds[1]:
            return f"{value} is out of the range of {self}"
        return self._check_inside(value)

    def _check_inside(self, value: Any) -> str | None:
        if not self.parameters:
            return None
        if self.name in ("LIST", "SET", "OPTIONAL_LIST"):
            return _first(self.parameters[0].check(item) for item in value)
        if self.name == "MAP":
            key_type, value_type = self.parameters
            return _first(key_type.check(k) or value_type.check(v) for k, v in value.items())
        fields = _fields_of(value, self.names)
        if fields is None or len(fields) != len(self.parameters):
            count = "no" if fields is None else str(len(fields))
            return f"{value!r:.100} has {count} fields where {self} has {len(self.parameters)}"
        for index, (parameter, field) in enumerate(zip(self.parameters, fields, strict=True)):
            reason = parameter.check(field)
            if reason is not None:
                return f"field {self.names[index] if self.names else index}: {reason}"
        return None

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        if self.names:
            inside = ", ".join(f"{n}: {p}" for n, p in zip(self.names, self.parameters, strict=True))
        else:
            inside = ", ".join(map(str, self.parameters))
        return f"{self.name}<{inside}>"


class Types:
    """The types by PyFlink's names."""

    @staticmethod
    def STRING() -> TypeInformation:
        return TypeInformation("STRING", (str,))

    @staticmethod
    def BYTE() -> TypeInformation:
        return TypeInformation("BYTE", (int,), bounds=(-(2**7), 2**7 - 1))

    @staticmethod
    def SHORT() -> TypeInformation:
        return TypeInformation("SHORT", (int,), bounds=(-(2**15), 2**15 - 1))

    @staticmethod
    def INT() -> TypeInformation:
        return TypeInformation("INT", (int,), bounds=(-(2**31), 2**31 - 1))

    @staticmethod
    def LONG() -> TypeInformation:
        return TypeInformation("LONG", (int,), bounds=(-(2**63), 2**63 - 1))

    @staticmethod
    def BIG_INT() -> TypeInformation:
        return TypeInformation("BIG_INT", (int,))

    @staticmethod
    def BIG_DEC() -> TypeInformation:
        return TypeInformation("BIG_DEC", (decimal.Decimal,))

    @staticmethod
    def FLOAT() -> TypeInformation:
        return TypeInformation("FLOAT", (float, int))

    @staticmethod
    def DOUBLE() -> TypeInformation:
        return TypeInformation("DOUBLE", (float, int))

    @staticmethod
    def BOOLEAN() -> TypeInformation:
        return TypeInformation("BOOLEAN", (bool,))

    @staticmethod
    def CHAR() -> TypeInformation:
        return TypeInformation("CHAR", (str,))

    @staticmethod
    def BYTES() -> TypeInformation:
        return TypeInformation("BYTES", (bytes,))

    @staticmethod
    def SQL_DATE() -> TypeInformation:
        return TypeInformation("SQL_DATE", (datetime.date,))

    @staticmethod
    def SQL_TIME() -> TypeInformation:
        return TypeInformation("SQL_TIME", (datetime.time,))

    @staticmethod
    def SQL_TIMESTAMP() -> TypeInformation:
        return TypeInformation("SQL_TIMESTAMP", (datetime.datetime,))

    @staticmethod
    def INSTANT() -> TypeInformation:
        return TypeInformation("INSTANT", (datetime.datetime,))

    @staticmethod
    def DURATION() -> TypeInformation:
        return TypeInformation("DURATION", (datetime.timedelta,))

    @staticmethod
    def UUID() -> TypeInformation:
        return TypeInformation("UUID", (uuid.UUID,))

    @staticmethod
    def PICKLED_BYTE_ARRAY() -> TypeInformation:
        return TypeInformation("PICKLED_BYTE_ARRAY", (), is_generic=True)

    @staticmethod
    def LIST(element_type_info: TypeInformation) -> TypeInformation:
        return TypeInformation("LIST", (list,), (element_type_info,), is_generic=element_type_info.is_generic)

    @staticmethod
    def PRIMITIVE_ARRAY(element_type: TypeInformation) -> TypeInformation:
        return Types.LIST(element_type)

    @staticmethod
    def BASIC_ARRAY(element_type: TypeInformation) -> TypeInformation:
        return Types.LIST(element_type)

    @staticmethod
    def OBJECT_ARRAY(element_type: TypeInformation) -> TypeInformation:
        return Types.LIST(element_type)

    @staticmethod
    def SET(element_type_info: TypeInformation) -> TypeInformation:
        return TypeInformation("SET", (set, frozenset), (element_type_info,), is_generic=element_type_info.is_generic)

    @staticmethod
    def MAP(key_type_info: TypeInformation, value_type_info: TypeInformation) -> TypeInformation:
        return _composite("MAP", (dict,), (key_type_info, value_type_info))

    @staticmethod
    def TUPLE(field_types: Sequence[TypeInformation]) -> TypeInformation:
        return _composite("TUPLE", (tuple,), tuple(field_types))

    @staticmethod
    def ROW(field_types: Sequence[TypeInformation]) -> TypeInformation:
        return _composite("ROW", (Row, tuple, list), tuple(field_types))

    @staticmethod
    def ROW_NAMED(field_names: Sequence[str], field_types: Sequence[TypeInformation]) -> TypeInformation:
        if len(field_names) != len(field_types):
            raise ValueError(f"{len(field_names)} names for {len(field_types)} field types")
        return _composite("ROW", (Row, dict, tuple, list), tuple(field_types), tuple(field_names))

    @staticmethod
    def ENUM(enum_class: type[enum.Enum]) -> TypeInformation:
        return TypeInformation(f"ENUM[{enum_class.__qualname__}]", (enum_class,))

    @staticmethod
    def RECORD(record_class: type) -> TypeInformation:
        """A dataclass or NamedTuple, with the types of its annotations."""
        found = infer_type(record_class)
        if found is None or not found.names:
            raise ValueError(f"{record_class!r} is neither a dataclass nor a NamedTuple")
        return found


def infer_type(annotation: Any) -> TypeInformation | None:
    """The type an annotation stands for; None for ``Any`` and for what says nothing.

    A class without a typed encoding gives a generic type.
    """
    if annotation in (None, Any, object) or isinstance(annotation, str | typing.TypeVar):
        return None
    simple = _BY_CLASS.get(annotation) if isinstance(annotation, type) else None
    if simple is not None:
        found: TypeInformation = simple()
        return found
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        inner = [infer_type(argument) for argument in arguments if argument is not type(None)]
        return inner[0] if len(inner) == 1 else None
    if origin is typing.Annotated:
        return infer_type(arguments[0])
    if origin in (list, set, frozenset) or annotation in (list, set, frozenset):
        element = _or_any(infer_type(arguments[0]) if arguments else None)
        return Types.LIST(element) if (origin or annotation) is list else Types.SET(element)
    if origin is dict and len(arguments) == 2:
        return Types.MAP(_or_any(infer_type(arguments[0])), _or_any(infer_type(arguments[1])))
    if origin is tuple and Ellipsis not in arguments:
        return Types.TUPLE([_or_any(infer_type(argument)) for argument in arguments])
    if isinstance(annotation, type):
        return _class_type(annotation)
    return None


def type_of_value(value: Any) -> TypeInformation:
    """The type of one value, its parts included."""
    kind = type(value)
    if kind is tuple:
        return Types.TUPLE([type_of_value(field) for field in value])
    if kind is list:
        return Types.LIST(type_of_value(value[0]) if value else _or_any(None))
    if kind is dict:
        if not value:
            return Types.MAP(_or_any(None), _or_any(None))
        key, item = next(iter(value.items()))
        return Types.MAP(type_of_value(key), type_of_value(item))
    if kind is Row:
        parts = [type_of_value(field) for field in value]
        names = value.get_field_names()
        return Types.ROW_NAMED(names, parts) if names else Types.ROW(parts)
    if kind is int:
        return Types.LONG() if -(2**63) <= value < 2**63 else Types.BIG_INT()
    return infer_type(kind) or _or_any(None)


_BY_CLASS: dict[Any, Any] = {
    str: Types.STRING,
    int: Types.LONG,
    float: Types.DOUBLE,
    bool: Types.BOOLEAN,
    bytes: Types.BYTES,
    decimal.Decimal: Types.BIG_DEC,
    datetime.datetime: Types.SQL_TIMESTAMP,
    datetime.date: Types.SQL_DATE,
    datetime.time: Types.SQL_TIME,
    datetime.timedelta: Types.DURATION,
    uuid.UUID: Types.UUID,
}


def _class_type(annotation: type) -> TypeInformation | None:
    if annotation in (dict, tuple, Row, type(None)):
        return None
    if issubclass(annotation, enum.Enum):
        return Types.ENUM(annotation)
    if dataclasses.is_dataclass(annotation) or hasattr(annotation, "_fields"):
        fields = getattr(annotation, "_fields", None) or list(annotation.__dataclass_fields__)  # type: ignore[attr-defined]
        hints = _hints(annotation)
        inner = tuple(_or_any(infer_type(hints.get(field))) for field in fields)
        return _composite(annotation.__qualname__, (annotation,), inner, tuple(fields))
    if typing.is_typeddict(annotation):
        hints = _hints(annotation)
        return _composite("ROW", (dict,), tuple(_or_any(infer_type(h)) for h in hints.values()), tuple(hints))
    return TypeInformation(f"{annotation.__module__}.{annotation.__qualname__}", (annotation,), is_generic=True)


def _hints(annotation: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(annotation)
    except (NameError, TypeError):
        return {}


def _composite(
    name: str, classes: tuple[type, ...], parameters: tuple[TypeInformation, ...], names: tuple[str, ...] = ()
) -> TypeInformation:
    return TypeInformation(name, classes, parameters, names, any(parameter.is_generic for parameter in parameters))


def _or_any(found: TypeInformation | None) -> TypeInformation:
    return found or TypeInformation("ANY", ())


def _fields_of(value: Any, names: tuple[str, ...]) -> list[Any] | None:
    if isinstance(value, tuple | list | Row):
        return list(value)
    if isinstance(value, dict):
        return [value.get(name) for name in names] if set(value) == set(names) else None
    if names and all(hasattr(value, name) for name in names):
        return [getattr(value, name) for name in names]
    return None


def _first(reasons: Any) -> str | None:
    return next((reason for reason in reasons if reason is not None), None)
