"""Subqueries in the place of a value become columns of a join; what correlates them becomes its condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Call, Expression, InputRef, rewrite, shifted, walk
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.logical_types import BIGINT
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import JoinKind
from millstream.sql.binder.columns import identity, joined_row, project
from millstream.sql.binder.literals import boolean_literal
from millstream.sql.binder.scope import OuterRef, Relation
from millstream.sql.errors import unsupported
from millstream.sql.plan.conditions import conjunction
from millstream.sql.plan.nodes import Aggregate, Join, Node, Project, Sort

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class ScalarSubquery(Expression):
    """A placeholder for the only value of ``node``, its last column; ``attach_scalars`` joins it."""

    node: Node
    condition: Expression | None = None
    """What correlates it, over outer columns and those of ``node``; it equates the first of these."""
    empty: Expression | None = None
    """The value where no row of ``node`` meets the condition; None for NULL."""

    def __str__(self) -> str:
        return "(SELECT ...)"


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
        return _value(part, columns[part]) if isinstance(part, ScalarSubquery) else None

    return relation, [rewrite(expression, change) for expression in expressions]


def _joined(relation: Relation, subquery: ScalarSubquery) -> tuple[Relation, int]:
    left, right = relation.node, subquery.node
    # Conditions were bound against the outer columns known then; further columns may stand behind these by now.
    width = len(left.row)
    conditions = [] if subquery.condition is None else outer_to_left([subquery.condition], width)
    row = joined_row(left.row, right.row, JoinKind.LEFT)
    joined = Join(row, left, right, JoinKind.LEFT, conjunction(conditions) or boolean_literal(True))
    return relation.over(joined), width + len(right.row) - 1


def _value(subquery: ScalarSubquery, position: int) -> Expression:
    value = InputRef(subquery.type, position)
    if subquery.empty is None:
        return value
    first = InputRef(subquery.node.row[0].type.with_nullable(True), position + 1 - len(subquery.node.row))
    return bind_call("CASE", [bind_call("IS NULL", [first]), subquery.empty, value])


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
