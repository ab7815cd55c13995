"""Subqueries in conditions: IN, EXISTS and their negations become semi and anti joins, scalar ones a column.

A subquery may mean columns of the query around it, as far as that stands in conditions joined by AND in its WHERE:
these become part of the join condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Call, Expression, InputRef, rewrite, shifted, walk
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.logical_types import BIGINT
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import JoinKind
from millstream.sql.binder.columns import identity, joined_row, project, with_expressions
from millstream.sql.binder.literals import boolean_literal
from millstream.sql.binder.scope import OuterRef, Relation, Scope
from millstream.sql.errors import query_error, unsupported
from millstream.sql.plan.conditions import conjunction
from millstream.sql.plan.nodes import Aggregate, Join, Node, Project, Sort

if TYPE_CHECKING:
    from millstream.sql.binder.query import QueryBinder

_SYMBOLS: Final = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}


@dataclass(frozen=True)
class ScalarSubquery(Expression):
    """A placeholder for the only value of ``node``; ``attach_scalars`` joins it. ``condition`` correlates it."""

    node: Node
    condition: Expression | None = None

    def __str__(self) -> str:
        return "(SELECT ...)"


def conjuncts_of(node: exp.Expr | None) -> list[exp.Expr]:
    """The conditions joined by AND."""
    if node is None:
        return []
    if isinstance(node, exp.And):
        return conjuncts_of(node.this) + conjuncts_of(node.expression)
    if isinstance(node, exp.Paren):
        inner = node.this
        return conjuncts_of(inner) if isinstance(inner, exp.And | exp.Paren | exp.In | exp.Exists) else [node]
    return [node]


def is_subquery_condition(node: exp.Expr) -> bool:
    """Whether it is [NOT] EXISTS or [NOT] IN (SELECT ...)."""
    node = _as_in(node)
    inner = node.this if isinstance(node, exp.Not) else node
    while isinstance(inner, exp.Paren):
        inner = inner.this
    return isinstance(inner, exp.Exists) or (isinstance(inner, exp.In) and inner.args.get("query") is not None)


def _as_in(node: exp.Expr) -> exp.Expr:
    """``= ANY (SELECT ...)`` as IN, ``<> ALL (SELECT ...)`` as NOT IN, also behind NOT; anything else as it is.

    Raises ``QueryError`` for other comparisons with all or any rows of a query.
    """
    if isinstance(node, exp.Paren):
        inner = _as_in(node.this)
        return node if inner is node.this else inner
    if isinstance(node, exp.Not):
        inner = _as_in(node.this)
        if inner is node.this:
            return node
        return inner.this if isinstance(inner, exp.Not) else exp.Not(this=inner)
    if not isinstance(node, exp.Binary) or not isinstance(node.expression, exp.Any | exp.All):
        return node
    quantified = node.expression
    contained = exp.In(this=node.this, query=_query(quantified.this))
    if isinstance(node, exp.EQ) and isinstance(quantified, exp.Any):
        return contained
    if isinstance(node, exp.NEQ) and isinstance(quantified, exp.All):
        return exp.Not(this=contained)
    raise unsupported(
        f"{_SYMBOLS.get(type(node), node.key.upper())} {type(quantified).__name__.upper()} (SELECT ...)",
        node,
        "Compare with MIN or MAX of the subquery; = ANY and <> ALL are taken as they are.",
    )


def apply_condition(binder: QueryBinder, scope: Scope, node: exp.Expr) -> None:
    """Join the scope's relation with the subquery of an IN or EXISTS condition."""
    node = _as_in(node)
    negated = isinstance(node, exp.Not)
    inner = node.this if negated else node
    while isinstance(inner, exp.Paren):
        inner = inner.this
    left = scope.relation.node
    if isinstance(inner, exp.Exists):
        right, conditions = binder.bind_correlated(_query(inner.this), scope, select=False)
        if not conditions:
            conditions = [boolean_literal(True)]
    else:
        assert isinstance(inner, exp.In)
        right, conditions = _in_conditions(binder, scope, inner, negated)
        left = scope.relation.node
    condition = conjunction(conditions)
    assert condition is not None
    kind = JoinKind.ANTI if negated else JoinKind.SEMI
    scope.relation = scope.relation.over(Join(left.row, left, right, kind, condition))


def _in_conditions(binder: QueryBinder, scope: Scope, node: exp.In, negated: bool) -> tuple[Node, list[Expression]]:
    query = _query(node.args["query"])
    items = list(node.this.expressions) if isinstance(node.this, exp.Tuple) else [node.this]
    values = [binder.expressions(scope, "IN").bind(item) for item in items]
    extended, positions = with_expressions(scope.relation.node, values)
    scope.relation = scope.relation.over(extended)
    width = len(extended.row)
    right, conditions = binder.bind_correlated(query, scope, select=True)
    selected = len(right.row) - len(items) if conditions else 0
    if not conditions and len(right.row) != len(items):
        raise query_error(f"IN compares {len(items)} values with a query of {len(right.row)} columns", node)
    shifted_conditions = conditions
    for offset, position in enumerate(positions):
        left_value: Expression = InputRef(extended.row[position].type, position)
        column = right.row[selected + offset]
        right_value: Expression = InputRef(column.type, width + selected + offset)
        equal = bind_call("=", [left_value, right_value])
        if negated and (left_value.type.nullable or right_value.type.nullable):
            for value in (left_value, right_value):
                if value.type.nullable:
                    equal = bind_call("OR", [equal, bind_call("IS NULL", [value])])
        shifted_conditions = [*shifted_conditions, equal]
    return right, shifted_conditions


def scalar_subquery(binder: QueryBinder, query: exp.Expr, scope: Scope) -> ScalarSubquery:
    """The placeholder of a subquery that stands for one value. Raises ``QueryError`` unless it has one column."""
    right, conditions = binder.bind_scalar(query, scope)
    if len(right.row) != 1 + (len(conditions)):
        raise query_error(f"a subquery that stands for a value must have one column, not {len(right.row)}", query)
    if not conditions and not _single_row(right):
        right = single_value(right, ())
    value = right.row[len(right.row) - 1].type.with_nullable(True)
    return ScalarSubquery(value, right, conjunction(conditions))


def attach_scalars(relation: Relation, expressions: list[Expression]) -> tuple[Relation, list[Expression]]:
    """Join the subqueries that ``expressions`` hold, and let the expressions refer to their columns."""
    columns: dict[ScalarSubquery, int] = {}
    for expression in expressions:
        for part in walk(expression):
            if isinstance(part, ScalarSubquery) and part not in columns:
                relation, columns[part] = _joined(relation, part)
    if not columns:
        return relation, expressions

    def change(part: Expression) -> Expression | None:
        return InputRef(part.type, columns[part]) if isinstance(part, ScalarSubquery) else None

    return relation, [rewrite(expression, change) for expression in expressions]


def _joined(relation: Relation, subquery: ScalarSubquery) -> tuple[Relation, int]:
    left, right = relation.node, subquery.node
    # Conditions were bound against the outer columns known then; further columns may stand behind these by now.
    width = len(left.row)
    conditions = [] if subquery.condition is None else outer_to_left([subquery.condition], width)
    row = joined_row(left.row, right.row, JoinKind.LEFT)
    joined = Join(row, left, right, JoinKind.LEFT, conjunction(conditions) or boolean_literal(True))
    return relation.over(joined), width + len(right.row) - 1


def single_value(node: Node, keys: tuple[int, ...]) -> Node:
    """``keys``, and the last column of ``node`` for each of them; the job fails where it has several rows for one."""
    last = len(node.row) - 1
    kind = node.row[last].type
    calls = (
        AggregateCall("FIRST_VALUE", (last,), (kind,), kind.with_nullable(True)),
        AggregateCall("COUNT", (), (), BIGINT.with_nullable(False)),
    )
    names = [f"$k{i}" for i in range(len(keys))]
    columns = [Column(name, node.row[key].type) for name, key in zip(names, keys, strict=True)]
    row = RowType((*columns, Column("$first", calls[0].type), Column("$rows", calls[1].type)))
    aggregate = Aggregate(row, node, keys, calls)
    value = bind_call("SINGLE_VALUE", [InputRef(calls[i].type, len(keys) + i) for i in (0, 1)])
    return project(aggregate, [*identity(RowType(tuple(columns))), value], [*names, node.row[last].name])


def _single_row(node: Node) -> bool:
    if isinstance(node, Aggregate):
        return not node.keys
    if isinstance(node, Project):
        return _single_row(node.input)
    return isinstance(node, Sort) and node.fetch == 1


def _query(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Subquery | exp.Paren) and node.this is not None:
        node = node.this
    return node


def outer_to_left(conditions: list[Expression], width: int) -> list[Expression]:
    """Conditions of a subquery over (left columns, right columns): its own are shifted behind ``width``."""
    result = []
    for condition in conditions:
        moved = shifted(condition, lambda index: index + width)
        result.append(
            rewrite(moved, lambda part: InputRef(part.type, part.index) if isinstance(part, OuterRef) else None)
        )
    return result


def has_outer(expression: Expression) -> bool:
    return any(isinstance(part, OuterRef) for part in walk(expression))


def equal_keys(conditions: list[Expression], query: exp.Expr) -> list[tuple[Expression, Expression]]:
    """``(outer, inner)`` of correlations that are all equalities, as a grouped subquery needs them."""
    pairs = []
    for condition in conditions:
        if isinstance(condition, Call) and condition.name == "=":
            left, right = condition.arguments
            if has_outer(left) and not has_outer(right) and not _has_inner(left):
                pairs.append((left, right))
                continue
            if has_outer(right) and not has_outer(left) and not _has_inner(right):
                pairs.append((right, left))
                continue
        raise unsupported("a correlated subquery with an aggregate and a condition other than equality", query)
    return pairs


def _has_inner(expression: Expression) -> bool:
    return any(isinstance(part, InputRef) for part in walk(expression))
