"""Subqueries that may mean columns of the query around them: in EXISTS and IN, and in place of a value.

What correlates them stands in their WHERE, joined by AND, and becomes the condition of the join with the query around.
A subquery that turns out to correlate nothing is a query like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from millstream.core.table.expressions import Expression, InputRef, Literal, rewrite, walk
from millstream.sql.binder import subqueries
from millstream.sql.binder.aggregate_calls import is_grouped
from millstream.sql.binder.columns import identity, project, with_expressions
from millstream.sql.binder.grouping import Grouping, aggregated
from millstream.sql.binder.literals import null_literal, row_limit
from millstream.sql.binder.over_columns import attach_overs
from millstream.sql.binder.placeholders import OverExpression
from millstream.sql.binder.scope import Relation, Scope
from millstream.sql.binder.subqueries import ScalarSubquery
from millstream.sql.errors import query_error, unsupported
from millstream.sql.plan.nodes import Aggregate, Node

if TYPE_CHECKING:
    from millstream.sql.binder.query import QueryBinder

_COUNTS: Final = ("COUNT", "SUM0", "APPROX_COUNT_DISTINCT")
"""Aggregates that are 0 over no rows; all others are NULL."""


def bind_correlated(
    binder: QueryBinder, query: exp.Expr, scope: Scope, *, select: bool
) -> tuple[Node, list[Expression]]:
    """A subquery of the relation of ``scope``, and the conditions that correlate the two.

    ``select``: its SELECT list is wanted, as the last columns. Conditions are over left, then right columns.
    """
    relation, conditions, _ = _rows(binder, query, scope, select)
    return relation.node, subqueries.outer_to_left(conditions, len(scope.relation.row))


def correlated_rows(
    binder: QueryBinder, query: exp.Expr, scope: Scope, *, select: bool
) -> tuple[Node, tuple[Expression, ...]]:
    """What a subquery has for each of the values of the query around that correlate it, and these values.

    Its columns are what equals them, then, with ``select``, its SELECT list.
    """
    relation, conditions, values = _rows(binder, query, scope, select)
    if not conditions:
        return relation.node, ()
    pairs = subqueries.equal_keys(conditions, query)
    shown = [InputRef(relation.row[position].type, position) for position in values]
    names = [f"$k{index}" for index in range(len(pairs))] + [relation.row[position].name for position in values]
    return project(relation.node, [*(mine for _, mine in pairs), *shown], names), tuple(outer for outer, _ in pairs)


def _rows(binder: QueryBinder, query: exp.Expr, scope: Scope, select: bool) -> tuple[Relation, list[Expression], range]:
    """The rows of a subquery, the conditions that correlate it, and where its SELECT list stands."""
    if not isinstance(query, exp.Select):
        whole = binder.bind(query)
        return whole, [], range(len(whole.row))
    inner_binder = binder.within(query)
    inner, conditions = inner_binder.from_where(query, scope)
    inner.parent = None
    if not conditions:
        whole = inner_binder.after_where(query, inner)
        return whole, [], range(len(whole.row))
    if is_grouped(query, binder.services):
        raise unsupported(
            "GROUP BY or an aggregate in a correlated subquery of IN or EXISTS",
            query,
            "A single aggregate may be compared: x = (SELECT MAX(...) ...).",
        )
    limits = select or row_limit(query.args.get("limit")) == 0
    refuse_clauses(query, "of IN or EXISTS", ("limit", "offset", "qualify") if limits else ("offset", "qualify"))
    relation, width = inner.relation, len(inner.relation.row)
    if select:
        parts = inner_binder.select_list(query, inner, aggregates=False)
        relation, expressions = subqueries.attach_scalars(relation, parts.expressions)
        relation, expressions = attach_overs(relation, expressions)
        node, width = relation.node, len(relation.row)
        relation = relation.over(project(node, [*identity(node.row), *expressions], [*node.row.names, *parts.names]))
    return relation, conditions, range(width, len(relation.row))


def scalar_subquery(binder: QueryBinder, query: exp.Expr, scope: Scope) -> ScalarSubquery:
    """The placeholder of a subquery that stands for one value. Raises ``QueryError`` unless it has one column."""
    if not isinstance(query, exp.Select) or query.args.get("group") is not None:
        return _uncorrelated(binder.bind(query).node, query)
    inner_binder = binder.within(query)
    inner, conditions = inner_binder.from_where(query, scope)
    inner.parent = None
    if not conditions:
        return _uncorrelated(inner_binder.after_where(query, inner).node, query)
    refuse_clauses(query, "that stands for a value", ("having", "qualify", "limit", "offset", "distinct"))
    pairs = subqueries.equal_keys(conditions, query)
    node, positions = with_expressions(inner.relation.node, [mine for _, mine in pairs])
    inner.relation = inner.relation.over(node)
    keys: list[Expression] = [InputRef(node.row[position].type, position) for position in positions]
    result, empty = _keyed(inner_binder, query, inner, keys)
    kind = result.row[len(keys)].type.with_nullable(True)
    return ScalarSubquery(kind, result, tuple(outer for outer, _ in pairs), empty)


def _uncorrelated(node: Node, query: exp.Expr) -> ScalarSubquery:
    _check_single(len(node.row), query)
    if not subqueries.is_single_row(node):
        node = subqueries.single_value(node, ())
    return ScalarSubquery(node.row[0].type.with_nullable(True), node)


def _check_single(width: int, query: exp.Expr) -> None:
    if width != 1:
        raise query_error(f"a subquery that stands for a value must have one column, not {width}", query)


def refuse_clauses(query: exp.Select, what: str, clauses: tuple[str, ...]) -> None:
    for clause in clauses:
        if query.args.get(clause) is not None:
            words = "GROUP BY" if clause == "group" else clause.upper()
            raise unsupported(f"{words} in a correlated subquery {what}", query)


def _keyed(
    binder: QueryBinder, query: exp.Select, inner: Scope, keys: list[Expression]
) -> tuple[Node, Expression | None]:
    """``keys`` and the value for each of them, and the value of no rows where that is not NULL."""
    names = [f"$k{index}" for index in range(len(keys))]
    if not is_grouped(query, binder.services):
        parts = binder.select_list(query, inner, aggregates=False)
        _check_single(len(parts.expressions), query)
        relation, expressions = subqueries.attach_scalars(inner.relation, parts.expressions)
        relation, expressions = attach_overs(relation, expressions)
        values = project(relation.node, [*keys, *expressions], [*names, *parts.names])
        return subqueries.single_value(values, tuple(range(len(keys)))), None
    result, empties, _ = keyed_aggregates(binder, query, inner, keys)
    _check_single(len(empties), query)
    return result, empties[0]


def keyed_aggregates(
    binder: QueryBinder, query: exp.Select, inner: Scope, keys: list[Expression]
) -> tuple[Node, list[Expression | None], list[str]]:
    """``keys`` and a SELECT list of aggregates for each; what the list is of no rows, None for NULL; its names."""
    grouping = Grouping(keys, [tuple(range(len(keys)))])
    parts = binder.select_list(query, inner, aggregates=True)
    aggregate, expressions = aggregated(inner, grouping, parts.expressions, parts.texts)
    if any(isinstance(part, ScalarSubquery | OverExpression) for value in expressions for part in walk(value)):
        raise unsupported("a subquery or OVER beside an aggregate in a correlated subquery", query)
    names = [*(f"$k{index}" for index in range(len(keys))), *parts.names]
    result = project(aggregate, [*identity(aggregate.row)[: len(keys)], *expressions], names)
    return result, [_of_no_rows(value, aggregate) for value in expressions], parts.names


def _of_no_rows(value: Expression, aggregate: Aggregate) -> Expression | None:
    """``value``, over the columns of ``aggregate``, where no row was aggregated; None for NULL."""

    def change(part: Expression) -> Expression | None:
        if not isinstance(part, InputRef):
            return None
        number = part.index - len(aggregate.keys)
        counts = number >= 0 and aggregate.calls[number].name in _COUNTS
        return Literal(part.type, 0) if counts else null_literal(part.type)

    empty = rewrite(value, change)
    return None if isinstance(empty, Literal) and empty.value is None else empty


def query_of(node: exp.Expr) -> exp.Expr:
    """A query without the parentheses around it."""
    while isinstance(node, exp.Subquery | exp.Paren) and node.this is not None:
        node = node.this
    return node
