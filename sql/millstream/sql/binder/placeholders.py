"""Parts of a SELECT that are not expressions over one row: calls of aggregates, with or without OVER.

The binder makes them while it reads the SELECT list; ``aggregation`` and ``over`` turn them into columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Expression
from millstream.core.table.specs import FrameBound, FrameKind


@dataclass(frozen=True)
class AggregateExpression(Expression):
    """A call over the rows of a group, with everything bound over one of them."""

    name: str
    arguments: tuple[Expression, ...]
    distinct: bool = False
    filter: Expression | None = None
    constants: tuple[Any, ...] = ()
    ignore_nulls: bool = False
    function: Any = None

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.arguments if self.filter is None else (*self.arguments, self.filter)

    def with_children(self, children: tuple[Expression, ...]) -> Expression:
        count = len(self.arguments)
        return replace(self, arguments=children[:count], filter=children[count] if self.filter is not None else None)

    def over_columns(self, positions: Iterator[int]) -> AggregateCall:
        """The call over columns: ``positions`` gives those of the children, in order."""
        return AggregateCall(
            self.name,
            tuple(next(positions) for _ in self.arguments),
            tuple(argument.type for argument in self.arguments),
            self.type,
            self.distinct,
            next(positions) if self.filter is not None else None,
            self.constants,
            self.ignore_nulls,
            self.function,
        )

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True)
class OrderExpression:
    """One item of an ORDER BY."""

    expression: Expression
    ascending: bool
    nulls_first: bool


@dataclass(frozen=True)
class OverExpression(Expression):
    """``call OVER (PARTITION BY ... ORDER BY ... frame)``."""

    call: AggregateExpression
    partition: tuple[Expression, ...]
    order: tuple[OrderExpression, ...]
    frame: FrameKind
    preceding: FrameBound
    following: FrameBound = 0

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.call, *self.partition, *(item.expression for item in self.order))

    def with_children(self, children: tuple[Expression, ...]) -> Expression:
        call, rest = children[0], children[1:]
        assert isinstance(call, AggregateExpression)
        count = len(self.partition)
        order = tuple(replace(item, expression=child) for item, child in zip(self.order, rest[count:], strict=True))
        return replace(self, call=call, partition=rest[:count], order=order)

    def __str__(self) -> str:
        return f"{self.call} OVER (...)"
