"""Subqueries as conditions: IN, EXISTS and their negations become semi and anti joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from millstream.core.table.expressions import Expression, InputRef
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.specs import JoinKind
from millstream.sql.binder.columns import with_expressions
from millstream.sql.binder.correlated import bind_correlated, query_of
from millstream.sql.binder.literals import boolean_literal
from millstream.sql.binder.scope import Scope
from millstream.sql.binder.subqueries import attach_scalars
from millstream.sql.errors import query_error
from millstream.sql.plan.conditions import conjunction
from millstream.sql.plan.nodes import Join, Node

if TYPE_CHECKING:
    from millstream.sql.binder.query import QueryBinder


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
    """``= ANY (SELECT ...)`` as IN, ``<> ALL (SELECT ...)`` as NOT IN, also behind NOT; anything else as it is."""
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
    contained = exp.In(this=node.this, query=query_of(quantified.this))
    if isinstance(node, exp.EQ) and isinstance(quantified, exp.Any):
        return contained
    if isinstance(node, exp.NEQ) and isinstance(quantified, exp.All):
        return exp.Not(this=contained)
    return node


def apply_condition(binder: QueryBinder, scope: Scope, node: exp.Expr) -> None:
    """Join the scope's relation with the subquery of an IN or EXISTS condition."""
    node = _as_in(node)
    negated = isinstance(node, exp.Not)
    inner = node.this if negated else node
    while isinstance(inner, exp.Paren):
        inner = inner.this
    left = scope.relation.node
    if isinstance(inner, exp.Exists):
        right, conditions = bind_correlated(binder, query_of(inner.this), scope, select=False)
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
    query = query_of(node.args["query"])
    items = list(node.this.expressions) if isinstance(node.this, exp.Tuple) else [node.this]
    bound = [binder.expressions(scope, "IN", scalars=True).bind(item) for item in items]
    scope.relation, values = attach_scalars(scope.relation, bound)
    extended, positions = with_expressions(scope.relation.node, values)
    scope.relation = scope.relation.over(extended)
    width = len(extended.row)
    right, conditions = bind_correlated(binder, query, scope, select=True)
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
