"""Calls of aggregate functions in a SELECT list, HAVING or ORDER BY."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from millstream.core.errors import JobGraphError
from millstream.core.table.expressions import Expression, Literal
from millstream.core.table.functions.aggregates import aggregate_type
from millstream.sql.binder.placeholders import AggregateExpression
from millstream.sql.errors import query_error

if TYPE_CHECKING:
    from millstream.sql.binder.expressions import ExpressionBinder, UserFunctions

AGGREGATES: Final = frozenset(
    {
        *("COUNT", "SUM", "SUM0", "$SUM0", "AVG", "MIN", "MAX", "STDDEV_POP", "STDDEV_SAMP", "STDDEV", "VAR_POP"),
        *("VAR_SAMP", "VARIANCE", "COLLECT", "LISTAGG", "ARRAY_AGG", "FIRST_VALUE", "LAST_VALUE"),
        *("APPROX_COUNT_DISTINCT", "PERCENTILE", "JSON_OBJECTAGG", "JSON_ARRAYAGG"),
    }
)
OVER_ONLY: Final = frozenset(["ROW_NUMBER", "RANK", "DENSE_RANK", "LAG", "LEAD", "NTILE", "PERCENT_RANK", "CUME_DIST"])
_SYNONYMS: Final = {"STDDEV": "STDDEV_SAMP", "VARIANCE": "VAR_SAMP", "$SUM0": "SUM0"}
_CONSTANTS: Final = {"LISTAGG": 1, "PERCENTILE": 1, "LAG": 1, "LEAD": 1, "NTILE": 0, "JSON_OBJECTAGG": 2}
"""From which argument on a function takes constants."""


def is_aggregate(node: exp.Expr, functions: UserFunctions) -> bool:
    """Whether it is a call of an aggregate function, with or without FILTER."""
    if isinstance(node, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
        return True
    named = _call(node)
    if named is None:
        return False
    name = named[0]
    return name in AGGREGATES or name in OVER_ONLY or _user_aggregate(functions, name, node) is not None


def _user_aggregate(functions: UserFunctions, name: str, node: exp.Expr) -> Any | None:
    """Raises ``QueryError`` at the call for a function that cannot be imported, or whose types are not known."""
    try:
        return functions.aggregate_function(name)
    except JobGraphError as error:
        raise query_error(error.message, node) from error


def contains_aggregate(node: exp.Expr, functions: UserFunctions) -> bool:
    """Whether one stands in ``node``, outside of subqueries and OVER."""
    if isinstance(node, exp.Window):
        inner = node.this
        parts = [*inner.args.values(), *(node.args.get("partition_by") or []), node.args.get("order")]
        return any(
            contains_aggregate(item, functions)
            for part in parts
            for item in (part if isinstance(part, list) else [part])
            if isinstance(item, exp.Expr)
        )
    if isinstance(node, exp.Query | exp.Subquery):
        return False
    if is_aggregate(node, functions):
        return True
    return any(contains_aggregate(child, functions) for child in node.iter_expressions())


def is_grouped(select: exp.Select, functions: UserFunctions) -> bool:
    """Whether a SELECT has groups: by GROUP BY, or one of all rows by an aggregate."""
    if select.args.get("group") is not None:
        return True
    having = select.args.get("having")
    items = [*select.expressions, *([having.this] if having is not None else [])]
    return any(contains_aggregate(item, functions) for item in items)


def bind_aggregate(binder: ExpressionBinder, node: exp.Expr, *, over: bool = False) -> Expression:
    """The placeholder of a call. Raises ``QueryError`` where the clause allows none."""
    condition = None
    ignore_nulls = False
    while isinstance(node, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
        if isinstance(node, exp.Filter):
            condition = binder.bind_boolean(node.expression.this, "FILTER")
        ignore_nulls = ignore_nulls or isinstance(node, exp.IgnoreNulls)
        node = node.this
    named = _call(node)
    if named is None:
        raise query_error(f"{node.sql():.80} is not an aggregate function", node)
    name, arguments, distinct = named
    name = _SYNONYMS.get(name, name)
    if name in OVER_ONLY and not over:
        raise query_error(f"{name} needs OVER (...)", node)
    if not binder.aggregates and not over:
        raise query_error(f"the aggregate {name} cannot stand{binder._in_clause() or ' here'}", node)
    nested = binder.aggregates
    binder.aggregates = over and nested  # no aggregate in an aggregate
    try:
        bound = [binder.bind(argument) for argument in arguments if not isinstance(argument, exp.Star)]
    finally:
        binder.aggregates = nested
    first_constant = _CONSTANTS.get(name, len(bound))
    constants = tuple(_constant(item, name, node) for item in bound[first_constant:])
    operands = tuple(bound[:first_constant])
    function = binder.functions.aggregate_function(name)
    types = [item.type for item in operands]
    kind = function.result_type if function is not None else aggregate_type(name, types)
    return AggregateExpression(kind, name, operands, distinct, condition, constants, ignore_nulls, function)


def _constant(value: Expression, name: str, node: exp.Expr) -> Any:
    if not isinstance(value, Literal):
        raise query_error(f"this argument of {name} must be a constant", node)
    return value.value


def _call(node: exp.Expr) -> tuple[str, list[exp.Expr], bool] | None:
    from millstream.sql.binder.expressions import call_of

    named = call_of(node)
    if named is None:
        return None
    name, arguments = named
    if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
        return name, list(arguments[0].expressions), True
    if arguments and isinstance(arguments[0], exp.Distinct):
        return name, [*arguments[0].expressions, *arguments[1:]], True
    return name, arguments, False
