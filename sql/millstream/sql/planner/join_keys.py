"""The equalities of a join condition as key columns of both sides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from millstream.core.table.expressions import Call, Expression, input_refs, shifted
from millstream.sql.plan.conditions import conjunction, conjuncts

_EQUALITIES: Final = ("=", "IS NOT DISTINCT FROM")


@dataclass
class JoinKeys:
    """Keys may be computed: then a side gets columns for them, behind its own."""

    left: list[Expression] = field(default_factory=list)
    right: list[Expression] = field(default_factory=list)
    """Over the right side's columns."""
    null_safe: list[bool] = field(default_factory=list)
    rest: Expression | None = None
    """What else must hold, over left and right columns."""


def split_condition(condition: Expression | None, width: int) -> JoinKeys:
    """Divide a condition over the ``width`` left columns followed by the right ones."""
    keys = JoinKeys()
    rest: list[Expression] = []
    for part in conjuncts(condition):
        sides = _sides(part, width)
        if sides is None:
            rest.append(part)
            continue
        left, right = sides
        if (left, right) in zip(keys.left, keys.right, strict=True):
            continue
        keys.left.append(left)
        keys.right.append(right)
        assert isinstance(part, Call)
        keys.null_safe.append(part.name != "=")
    keys.rest = conjunction(rest)
    return keys


def _sides(part: Expression, width: int) -> tuple[Expression, Expression] | None:
    if not isinstance(part, Call) or part.name not in _EQUALITIES:
        return None
    one, other = part.arguments
    if not one.type.same_kind(other.type):
        return None
    for left, right in ((one, other), (other, one)):
        mine, theirs = input_refs(left), input_refs(right)
        if mine and theirs and all(i < width for i in mine) and all(i >= width for i in theirs):
            return left, shifted(right, lambda index: index - width)
    return None
