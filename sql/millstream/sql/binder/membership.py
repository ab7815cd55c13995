"""IN, EXISTS and comparisons with ANY or ALL rows of a query, as values: they may stand in any expression.

As conditions joined by AND in WHERE they are joins instead (``subquery_conditions``). Here they are made of scalar
subqueries: whether a row matches, how many rows there are, the least and the greatest. What is unknown is NULL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Expression, InputRef, Literal
from millstream.core.table.functions.aggregates import aggregate_type
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.row_type import Column, RowType
from millstream.sql.binder.columns import identity, project
from millstream.sql.binder.correlated import correlated_rows, query_of
from millstream.sql.binder.literals import boolean_literal, null_literal
from millstream.sql.binder.scope import Scope
from millstream.sql.binder.subqueries import ScalarSubquery
from millstream.sql.errors import query_error, unsupported
from millstream.sql.plan.nodes import Aggregate, Filter, Node

if TYPE_CHECKING:
    from millstream.sql.binder.query import QueryBinder

_COUNT: Final = lt.BIGINT.with_nullable(False)
_ZERO: Final = Literal(_COUNT, 0)
_TRUE, _FALSE, _UNKNOWN = boolean_literal(True), boolean_literal(False), null_literal(lt.BOOLEAN)


def exists(binder: QueryBinder, query: exp.Expr, scope: Scope) -> Expression:
    """Whether the subquery has rows."""
    node, outer = correlated_rows(binder, query_of(query), scope, select=False)
    return bind_call("IS NOT NULL", [_matched(node, outer)]) if outer else bind_call(">", [_count(node), _ZERO])


def contained(binder: QueryBinder, values: Sequence[Expression], node: exp.In, scope: Scope) -> Expression:
    """Whether the subquery of IN has a row of ``values``; NULL where only a NULL speaks against it."""
    rows, outer = correlated_rows(binder, query_of(node.args["query"]), scope, select=True)
    columns = rows.row.columns[len(outer) :]
    if len(columns) != len(values):
        raise query_error(f"IN compares {len(values)} values with a query of {len(columns)} columns", node)
    found = bind_call("IS NOT NULL", [_matched(rows, (*outer, *values))])
    if not any(kind.nullable for kind in (*(value.type for value in values), *(column.type for column in columns))):
        return found
    if outer or len(values) > 1:
        raise unsupported(
            "IN (SELECT ...) of several values, or correlated, that may be NULL and stands outside of WHERE",
            node,
        )
    return bind_call("CASE", [found, _TRUE, _speaks_null(values[0], rows), _UNKNOWN, _FALSE])


def compared(binder: QueryBinder, symbol: str, value: Expression, node: exp.Any | exp.All, scope: Scope) -> Expression:
    """``value <symbol> ANY (SELECT ...)`` and ``ALL``. Raises ``QueryError`` for a correlated subquery."""
    rows, outer = correlated_rows(binder, query_of(node.this), scope, select=True)
    if outer:
        raise unsupported(f"{symbol} {type(node).__name__.upper()} of a correlated subquery", node)
    if len(rows.row) != 1:
        raise query_error(f"{symbol} compares one value with a query of {len(rows.row)} columns", node)
    every = isinstance(node, exp.All)
    least, greatest = (_extreme(name, rows) for name in ("MIN", "MAX"))
    if symbol in ("=", "<>"):
        decided = bind_call(
            "AND" if symbol == "=" else "OR", [bind_call(symbol, [value, it]) for it in (least, greatest)]
        )
    else:
        bound = greatest if (symbol in (">", ">=")) is every else least
        decided = bind_call(symbol, [value, bound])
    if every:
        decided = bind_call("NOT", [decided])
    empty = bind_call("=", [_count(rows), _ZERO])
    certain, otherwise = (_FALSE, _TRUE) if every else (_TRUE, _FALSE)
    branches = [empty, otherwise, bind_call("IS TRUE", [decided]), certain]
    return bind_call("CASE", [*branches, _speaks_null(value, rows), _UNKNOWN, otherwise])


def _matched(node: Node, values: Sequence[Expression]) -> ScalarSubquery:
    """TRUE where the columns of ``node`` equal ``values``, NULL elsewhere."""
    distinct = Aggregate(node.row, node, tuple(range(len(node.row))), ())
    marked = project(distinct, [*identity(node.row), _TRUE], [*node.row.names, "$matched"])
    return ScalarSubquery(lt.BOOLEAN, marked, tuple(values))


def _speaks_null(value: Expression, rows: Node) -> Expression:
    """Whether a NULL among ``rows`` (of one column), or ``value`` being NULL, leaves a comparison with them unknown."""
    parts = []
    column = InputRef(rows.row[0].type, 0)
    if column.type.nullable:
        nulls = Filter(rows.row, rows, bind_call("IS NULL", [column]))
        parts.append(bind_call(">", [_count(nulls), _ZERO]))
    if value.type.nullable:
        parts.append(bind_call("AND", [bind_call("IS NULL", [value]), bind_call(">", [_count(rows), _ZERO])]))
    return bind_call("OR", parts) if len(parts) == 2 else parts[0] if parts else _FALSE


def _count(rows: Node) -> Expression:
    aggregate = Aggregate(RowType((Column("$n", _COUNT),)), rows, (), (AggregateCall("COUNT", (), (), _COUNT),))
    return bind_call("COALESCE", [ScalarSubquery(lt.BIGINT, aggregate), _ZERO])


def _extreme(name: str, rows: Node) -> Expression:
    """MIN or MAX of the only column."""
    kind = aggregate_type(name, [rows.row[0].type]).with_nullable(True)
    call = AggregateCall(name, (0,), (rows.row[0].type,), kind)
    return ScalarSubquery(kind, Aggregate(RowType((Column("$extreme", kind),)), rows, (), (call,)))
