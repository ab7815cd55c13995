"""OVER: placeholders become columns of ``Over`` relations, one relation for all calls with the same window."""

from __future__ import annotations

from millstream.core.table.expressions import Expression, InputRef, rewrite, walk
from millstream.core.table.row_type import Column
from millstream.core.table.specs import FrameBound, FrameKind, SortKey
from millstream.sql.binder.columns import appended, with_expressions
from millstream.sql.binder.placeholders import OrderExpression, OverExpression
from millstream.sql.binder.scope import Relation
from millstream.sql.plan.nodes import Over

_Window = tuple[tuple[Expression, ...], tuple[OrderExpression, ...], FrameKind, FrameBound, FrameBound]


def attach_overs(relation: Relation, expressions: list[Expression]) -> tuple[Relation, list[Expression]]:
    """Compute the calls with OVER that ``expressions`` hold, and let the expressions refer to their columns."""
    windows: dict[_Window, list[OverExpression]] = {}
    for expression in expressions:
        for part in walk(expression):
            if isinstance(part, OverExpression):
                calls = windows.setdefault((part.partition, part.order, part.frame, part.preceding, part.following), [])
                if part not in calls:
                    calls.append(part)
    columns: dict[Expression, int] = {}
    for window, parts in windows.items():
        relation = _computed(relation, window, parts, columns)
    if not columns:
        return relation, expressions

    def change(part: Expression) -> Expression | None:
        return InputRef(part.type, columns[part]) if part in columns else None

    return relation, [rewrite(expression, change) for expression in expressions]


def _computed(
    relation: Relation, window: _Window, parts: list[OverExpression], columns: dict[Expression, int]
) -> Relation:
    partition, order, frame, preceding, following = window
    operands = [operand for part in parts for operand in part.call.children]
    node, positions = with_expressions(relation.node, [*partition, *(item.expression for item in order), *operands])
    ordered = positions[len(partition) : len(partition) + len(order)]
    rest = iter(positions[len(partition) + len(order) :])
    calls = [part.call.over_columns(rest) for part in parts]
    keys = tuple(
        SortKey(position, item.ascending, item.nulls_first) for position, item in zip(ordered, order, strict=True)
    )
    row = appended(node.row, [Column(f"w{i}", call.type) for i, call in enumerate(calls)])
    over = Over(row, node, tuple(positions[: len(partition)]), keys, frame, preceding, tuple(calls), following)
    for number, part in enumerate(parts):
        columns[part] = len(node.row) + number
    return relation.over(over)
