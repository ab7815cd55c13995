"""LATERAL (SELECT ...): for each row of the left side the rows of a query that means its columns.

It becomes a join with what correlates the two as condition. With LIMIT the right side is a top-n for each value that
correlates, with aggregates a group for each: both need equalities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from millstream.core.table.expressions import Expression, InputRef
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.specs import JoinKind, SortKey
from millstream.sql.binder.aggregate_calls import is_grouped
from millstream.sql.binder.columns import identity, joined_row, project, with_expressions
from millstream.sql.binder.correlated import keyed_aggregates, refuse_clauses
from millstream.sql.binder.literals import boolean_literal, integer_of, row_limit
from millstream.sql.binder.over_columns import attach_overs
from millstream.sql.binder.scope import Relation, Scope
from millstream.sql.binder.subqueries import attach_scalars, equal_keys, outer_to_left
from millstream.sql.plan.conditions import conjunction
from millstream.sql.plan.nodes import Join, Node, Rank

if TYPE_CHECKING:
    from millstream.sql.binder.query import QueryBinder


def bind_lateral_query(binder: QueryBinder, scope: Scope, query: exp.Expr, *, left_outer: bool) -> Relation:
    """The relation of ``scope`` with the rows of ``query``, whose SELECT list is the visible columns behind.

    ``left_outer``: rows without any stay, with NULLs.
    """
    left = scope.relation
    kind = JoinKind.LEFT if left_outer else JoinKind.INNER
    if not isinstance(query, exp.Select):
        return _beside(left, binder.bind(query), [], kind)
    inner_binder = binder.within(query)
    inner, conditions = inner_binder.from_where(query, scope)
    inner.parent = None
    if not conditions:
        return _beside(left, inner_binder.after_where(query, inner), [], kind)
    refuse_clauses(query, "behind LATERAL", ("group", "having", "qualify", "distinct"))
    if is_grouped(query, binder.services):
        return _aggregated(inner_binder, left, query, inner, conditions)
    right = _selected(inner_binder, query, inner, conditions)
    return _beside(left, right, outer_to_left(conditions, len(left.row)), kind)


def _beside(left: Relation, right: Relation, conditions: list[Expression], kind: JoinKind) -> Relation:
    row = joined_row(left.row, right.row, kind)
    join = Join(row, left.node, right.node, kind, conjunction(conditions) or boolean_literal(True))
    return left.beside(right, join)


def _selected(binder: QueryBinder, query: exp.Select, inner: Scope, conditions: list[Expression]) -> Relation:
    """Columns that the conditions mean, hidden, then the SELECT list."""
    parts = binder.select_list(query, inner, aggregates=False)
    visible = len(parts.expressions)
    order = binder.order_items(query, inner, parts, visible, False)
    relation, expressions = attach_scalars(inner.relation, parts.expressions)
    relation, expressions = attach_overs(relation, expressions)
    width = len(relation.row)
    node: Node = project(relation.node, [*identity(relation.row), *expressions], [*relation.row.names, *parts.names])
    limit, offset = row_limit(query.args.get("limit")), query.args.get("offset")
    if limit is not None or offset is not None:
        keys = [SortKey(width + position, item.ascending, item.nulls_first) for position, item in order]
        skipped = 0 if offset is None else integer_of(offset.expression, "OFFSET")
        last = None if limit is None else skipped + limit
        mine = [mine for _, mine in equal_keys(conditions, query)]
        node, partition = with_expressions(node, mine)
        node = Rank(node.row, node, "ROW_NUMBER", tuple(partition), tuple(keys), skipped + 1, last, False)
    shown = range(width, width + visible)
    names = tuple(parts.names[at - width] if at in shown else "" for at in range(len(node.row)))
    hidden = frozenset(at for at in range(len(node.row)) if at not in shown)
    return Relation(node, ("",) * len(node.row), names, hidden)


def _aggregated(
    binder: QueryBinder, left: Relation, query: exp.Select, inner: Scope, conditions: list[Expression]
) -> Relation:
    """One row for each of the left side: aggregates have a value where there are no rows, too."""
    pairs = equal_keys(conditions, query)
    node, positions = with_expressions(inner.relation.node, [mine for _, mine in pairs])
    inner.relation = inner.relation.over(node)
    keys: list[Expression] = [InputRef(node.row[position].type, position) for position in positions]
    right, empties, names = keyed_aggregates(binder, query, inner, keys)
    extended, mine = with_expressions(left.node, [outer for outer, _ in pairs])
    width = len(extended.row)
    equalities = [
        bind_call("=", [InputRef(extended.row[at].type, at), InputRef(right.row[key].type, width + key)])
        for key, at in enumerate(mine)
    ]
    row = joined_row(extended.row, right.row, JoinKind.LEFT)
    joined = Join(row, extended, right, JoinKind.LEFT, conjunction(equalities))
    missing = bind_call("IS NULL", [InputRef(row[width].type, width)])
    values: list[Expression] = []
    for number, empty in enumerate(empties):
        at = width + len(keys) + number
        value = InputRef(row[at].type, at)
        values.append(value if empty is None else bind_call("CASE", [missing, empty, value]))
    own = identity(row)[: len(left.row)]
    result = project(joined, [*own, *values], [*left.row.names, *names])
    return Relation(result, left.qualifiers + ("",) * len(names), left.names + tuple(names), left.hidden)
