"""Bound expressions: every column is a position, every function is resolved, every type is known.

The binder of ``millstream.sql`` makes them, ``millstream.core.table.evaluation`` turns them into functions over Arrow
columns. They are frozen and compare by value, so equal parts of a query are found by comparing them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from millstream.core.table.logical_types import LogicalType


@dataclass(frozen=True)
class Expression:
    """Base of all expressions; ``type`` is that of the result."""

    type: LogicalType

    @property
    def children(self) -> tuple[Expression, ...]:
        return ()

    def with_children(self, children: tuple[Expression, ...]) -> Expression:
        return self


@dataclass(frozen=True)
class InputRef(Expression):
    """The column at ``index`` of the input (of a join: of the left columns followed by the right ones)."""

    index: int

    def __str__(self) -> str:
        return f"${self.index}"


@dataclass(frozen=True)
class Literal(Expression):
    """A constant: what ``pa.scalar(value, type.arrow())`` takes; None for NULL.

    Exact values are Python ints, ``decimal.Decimal``, str, bytes, bool, ``datetime`` values, an int of months or a
    ``timedelta`` for intervals.
    """

    value: Any

    def __str__(self) -> str:
        return "NULL" if self.value is None else repr(self.value)


@dataclass(frozen=True)
class Call(Expression):
    """A built-in function of ``functions.registry`` by its (upper-case) name.

    Operators are functions too: ``+ - * / %``, ``= <> < <= > >=``, ``AND OR NOT``, ``IS NULL``, ``CASE`` (when, then,
    ..., else), ``CAST`` and ``TRY_CAST`` (to ``type``), ``FIELD`` (of a ROW, the second argument an int literal),
    ``ITEM`` (of ARRAY or MAP), ``IN``, ``BETWEEN``, ``LIKE``, ``ROW``, ``ARRAY``, ``MAP``.
    """

    name: str
    arguments: tuple[Expression, ...] = ()

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.arguments

    def with_children(self, children: tuple[Expression, ...]) -> Expression:
        return replace(self, arguments=children)

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.arguments))
        return f"{self.name}({inner} AS {self.type})" if self.name in ("CAST", "TRY_CAST") else f"{self.name}({inner})"


@dataclass(frozen=True)
class PythonCall(Expression):
    """A function of the user's. ``function`` is a ``millstream.core.table.python_functions.PythonScalarFunction``."""

    name: str
    function: Any
    arguments: tuple[Expression, ...] = ()

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.arguments

    def with_children(self, children: tuple[Expression, ...]) -> Expression:
        return replace(self, arguments=children)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.arguments))})"


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and all below it, parents first."""
    yield expression
    for child in expression.children:
        yield from walk(child)


def rewrite(expression: Expression, change: Callable[[Expression], Expression | None]) -> Expression:
    """A copy in which ``change`` replaced what it returned something for; from the leaves upwards."""
    children = expression.children
    if children:
        changed = tuple(rewrite(child, change) for child in children)
        if changed != children:
            expression = expression.with_children(changed)
    replaced = change(expression)
    return expression if replaced is None else replaced


def input_refs(expression: Expression) -> set[int]:
    """The positions of the columns it reads."""
    return {part.index for part in walk(expression) if isinstance(part, InputRef)}


def shifted(expression: Expression, mapping: Callable[[int], int]) -> Expression:
    """The same over other positions."""
    return rewrite(
        expression,
        lambda part: replace(part, index=mapping(part.index)) if isinstance(part, InputRef) else None,
    )
