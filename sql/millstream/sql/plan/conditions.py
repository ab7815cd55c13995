"""Conditions as lists: what AND joins, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Call, Expression, Literal

FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}
"""Comparisons that say where a value lies, and what they are with their sides exchanged."""


def conjuncts(condition: Expression | None) -> list[Expression]:
    """The parts that AND joins; none for TRUE."""
    if condition is None or (isinstance(condition, Literal) and condition.value is True):
        return []
    if isinstance(condition, Call) and condition.name == "AND":
        return [part for argument in condition.arguments for part in conjuncts(argument)]
    return [condition]


def conjunction(parts: Iterable[Expression]) -> Expression | None:
    """Their AND; None for none."""
    result: Expression | None = None
    for part in parts:
        if result is None:
            result = part
        else:
            nullable = result.type.nullable or part.type.nullable
            result = Call(lt.BOOLEAN.with_nullable(nullable), "AND", (result, part))
    return result
