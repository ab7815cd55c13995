"""Short forms to declare functions of plain Arrow calls and of plain Python functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core.table.functions.binding import Kind, Result, takes
from millstream.core.table.functions.columns import per_row
from millstream.core.table.functions.function import CanFail, EvaluationContext, ScalarFunction, Value
from millstream.core.table.logical_types import LogicalType


def arrow_function(
    name: str,
    kinds: Sequence[Kind],
    result: Result,
    compute: Callable[..., Value],
    summary: str,
    *examples: tuple[str, str],
    optional: int = 0,
    rest: Kind | None = None,
    nullable: bool | None = None,
    can_fail: CanFail | None = None,
) -> ScalarFunction:
    """A function whose ``compute`` takes and returns columns, NULLs included."""

    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        return compute(*arguments)

    rule = takes(name, *kinds, result=result, optional=optional, rest=rest, nullable=nullable)
    return ScalarFunction(name, rule, evaluate, can_fail=can_fail, summary=summary, examples=examples)


def row_function(
    name: str,
    kinds: Sequence[Kind],
    result: Result,
    compute: Callable[..., Any],
    summary: str,
    *examples: tuple[str, str],
    optional: int = 0,
    rest: Kind | None = None,
    nullable: bool | None = True,
    strict: bool = True,
    can_fail: bool = False,
) -> ScalarFunction:
    """A function whose ``compute`` takes and returns Python values of one row; ``strict``: no call for a NULL.

    The result is nullable unless ``nullable`` is False, for ``compute`` may return None.
    """

    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        return per_row(compute, arguments, kind, context, strict=strict, name=name)

    rule = takes(name, *kinds, result=result, optional=optional, rest=rest, nullable=nullable)
    fails: CanFail | None = (lambda types, kind: True) if can_fail else None
    return ScalarFunction(name, rule, evaluate, can_fail=fails, summary=summary, examples=examples)
