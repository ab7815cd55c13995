"""Rules for arguments: what a function takes, in words for its errors and as the type to cast to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.function import Bind, Signature, TypeMismatch
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot


@dataclass(frozen=True)
class Kind:
    """A family of types that an argument may have."""

    label: str
    """For errors."""
    accept: Callable[[LogicalType], LogicalType | None]
    """The type that the argument is cast to; None when it is refused."""


def _one_of(label: str, roots: Sequence[TypeRoot], cast_to: LogicalType | None = None) -> Kind:
    """``cast_to`` also stands for an untyped NULL; without it the argument stays as it is."""

    def accept(kind: LogicalType) -> LogicalType | None:
        if kind.root is _R.NULL:
            return cast_to or LogicalType(roots[0])
        if kind.root not in roots:
            return None
        return kind if cast_to is None else cast_to.with_nullable(kind.nullable)

    return Kind(label, accept)


def exactly(kind: LogicalType) -> Kind:
    """``kind``, or what converts to it without loss."""
    return _one_of(kind.text(), (kind.root,), kind)


ANY: Final = Kind("any type", lambda kind: kind)
TEXT: Final = Kind(
    "a STRING",
    lambda kind: lt.STRING if kind.root is _R.NULL else kind if kind.root in lt.TEXT else None,
)
PRINTABLE: Final = Kind(
    "a STRING",
    lambda kind: None if kind.root in lt.COMPOSITE else kind if kind.root in lt.TEXT else lt.STRING,
)
"""Text, or a plain value that is cast to it."""
BINARY: Final = Kind(
    "BYTES",
    lambda kind: lt.BYTES if kind.root is _R.NULL else kind if kind.root in lt.BYTES_ROOTS else None,
)
WHOLE: Final = _one_of("a whole number", lt.INTEGERS, lt.BIGINT)
INT32: Final = _one_of("an INT", lt.INTEGERS, lt.INT)
REAL: Final = _one_of("a number", lt.NUMERIC, lt.DOUBLE)
NUMBER: Final = Kind(
    "a number", lambda kind: lt.DOUBLE if kind.root is _R.NULL else kind if kind.root in lt.NUMERIC else None
)
CONDITION: Final = _one_of("a BOOLEAN", (_R.BOOLEAN,), lt.BOOLEAN)
ARRAY: Final = Kind("an ARRAY", lambda kind: kind if kind.root is _R.ARRAY else None)
MAP: Final = Kind("a MAP", lambda kind: kind if kind.root is _R.MAP else None)

Result = LogicalType | Callable[[Sequence[LogicalType]], LogicalType]
"""A type, or a rule over the types that the arguments are cast to."""


def takes(
    name: str,
    *kinds: Kind,
    result: Result,
    optional: int = 0,
    rest: Kind | None = None,
    nullable: bool | None = None,
) -> Bind:
    """A rule for ``kinds``, of which the last ``optional`` may be left out, then any number of ``rest``.

    The result is nullable where an argument is, unless ``nullable`` says so in advance.
    """

    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        least = len(kinds) - optional
        if len(types) < least or (rest is None and len(types) > len(kinds)):
            raise TypeMismatch(f"{name} takes {_counted(least, len(kinds), rest)}, not {len(types)}")
        parameters = []
        for position, kind in enumerate(types):
            wanted = kinds[position] if position < len(kinds) else rest
            assert wanted is not None
            accepted = wanted.accept(kind)
            if accepted is None:
                raise refused(name, position, wanted.label, kind)
            parameters.append(accepted.with_nullable(kind.nullable or kind.root is _R.NULL))
        given = result if isinstance(result, LogicalType) else result(parameters)
        may_be_null = any(kind.nullable for kind in parameters) if nullable is None else nullable
        return Signature(tuple(parameters), given.with_nullable(may_be_null))

    return bind


def refused(name: str, position: int, wanted: str, kind: LogicalType) -> TypeMismatch:
    """The error for the argument at ``position`` (from 0) of type ``kind``."""
    return TypeMismatch(f"argument {position + 1} of {name} must be {wanted}, not {kind.text()}")


def mismatched(name: str, types: Sequence[LogicalType], advice: str = "CAST one of them") -> TypeMismatch:
    """The error for arguments whose types do not go together."""
    return TypeMismatch(f"{name} does not take {' and '.join(kind.text() for kind in types)}; {advice}")


def _counted(least: int, most: int, rest: Kind | None) -> str:
    if rest is not None:
        return f"at least {least} arguments"
    if least == most:
        return f"{least} argument" + ("" if least == 1 else "s")
    return f"{least} to {most} arguments"
