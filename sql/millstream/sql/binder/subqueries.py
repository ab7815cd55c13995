"""Subqueries in the place of a value become columns of a join; what correlates them becomes its condition."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlglot import exp

from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Call, Expression, InputRef, rewrite, shifted, walk
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.logical_types import BIGINT
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import JoinKind
from millstream.sql.binder.columns import identity, joined_row, project, with_expressions
from millstream.sql.binder.literals import boolean_literal
from millstream.sql.binder.scope import OuterRef, Relation
from millstream.sql.errors import unsupported
from millstream.sql.plan.conditions import conjunction
from millstream.sql.plan.nodes import Aggregate, Join, Node, Project, Sort


@dataclass(frozen=True)
class ScalarSubquery(Expression):
    """A placeholder for the only value of ``node``, its last column; ``attach_scalars`` joins it."""

    node: Node
    outer: tuple[Expression, ...] = ()
    """What correlates it: values of the query around it that equal the first columns of ``node``."""
    empty: Expression | None = None
    """The value where nothing in ``node`` equals ``outer``; None for NULL."""

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.outer

    def with_children(self, children: tuple[Expression, ...]) -> Expression:
        return replace(self, outer=children)

    def __str__(self) -> str:
        return "(SELECT ...)"


def attach_scalars(relation: Relation, expressions: list[Expression]) -> tuple[Relation, list[Expression]]:
    """Join the subqueries that ``expressions`` hold, and let the expressions refer to their columns."""
    values: dict[ScalarSubquery, Expression] = {}

    def change(part: Expression) -> Expression | None:
        nonlocal relation
        if not isinstance(part, ScalarSubquery):
            return None
        if part not in values:
            relation, values[part] = _joined(relation, part)
        return values[part]

    changed = [rewrite(expression, change) for expression in expressions]
    return relation, changed


def _joined(relation: Relation, subquery: ScalarSubquery) -> tuple[Relation, Expression]:
    left, positions = with_expressions(relation.node, subquery.outer)
    right, width = subquery.node, len(left.row)
    equalities = [
        bind_call("=", [InputRef(left.row[mine].type, mine), InputRef(right.row[other].type, width + other)])
        for other, mine in enumerate(positions)
    ]
    row = joined_row(left.row, right.row, JoinKind.LEFT)
    joined = Join(row, left, right, JoinKind.LEFT, conjunction(equalities) or boolean_literal(True))
    value: Expression = InputRef(subquery.type, len(row) - 1)
    if subquery.empty is not None:
        first = bind_call("IS NULL", [InputRef(row[width].type, width)])
        value = bind_call("CASE", [first, subquery.empty, value])
    return relation.over(joined), value


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


def is_single_row(node: Node) -> bool:
    if isinstance(node, Aggregate):
        return not node.keys
    if isinstance(node, Project):
        return is_single_row(node.input)
    return isinstance(node, Sort) and node.fetch == 1


def outer_to_left(conditions: list[Expression], width: int) -> list[Expression]:
    """Conditions of a subquery over (left columns, right columns): its own are shifted behind ``width``."""
    result = []
    for condition in conditions:
        result.append(_of_the_query_around(shifted(condition, lambda index: index + width)))
    return result


def has_outer(expression: Expression) -> bool:
    return any(isinstance(part, OuterRef) for part in walk(expression))


def equal_keys(conditions: list[Expression], query: exp.Expr) -> list[tuple[Expression, Expression]]:
    """``(outer, inner)`` of correlations that are all equalities: ``outer`` over the query around."""
    pairs = []
    for condition in conditions:
        if isinstance(condition, Call) and condition.name == "=":
            left, right = condition.arguments
            if has_outer(left) and not has_outer(right) and not _has_inner(left):
                pairs.append((_of_the_query_around(left), right))
                continue
            if has_outer(right) and not has_outer(left) and not _has_inner(right):
                pairs.append((_of_the_query_around(right), left))
                continue
        raise unsupported("a correlation other than by equalities in such a subquery", query)
    return pairs


def _of_the_query_around(expression: Expression) -> Expression:
    return rewrite(expression, lambda part: InputRef(part.type, part.index) if isinstance(part, OuterRef) else None)


def _has_inner(expression: Expression) -> bool:
    return any(isinstance(part, InputRef) for part in walk(expression))
