"""FOR SYSTEM_TIME AS OF processing time, of a table that can be looked up: a lookup join, without state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millstream.core.table import specs as s
from millstream.core.table.expressions import Expression, InputRef
from millstream.core.table.row_type import TimeAttribute
from millstream.sql.binder.columns import identity
from millstream.sql.errors import query_error
from millstream.sql.plan import nodes as n
from millstream.sql.plan.conditions import conjunction, conjuncts
from millstream.sql.plan.properties import time_columns
from millstream.sql.planner.join_keys import split_condition
from millstream.sql.planner.physical import PhysicalOperator

if TYPE_CHECKING:
    from millstream.sql.planner.translate import Translator


def lookup(t: Translator, node: n.TemporalJoin, before: bool) -> PhysicalOperator | None:
    """The lookup join; None where the right side is no such table, or the time is event time."""
    if time_columns(node.left).get(node.left_time) is not TimeAttribute.PROCTIME:
        return None
    scan, steps = _scanned(node.right)
    if scan is None:
        return None
    keys, columns, rest = _keys(node, steps)
    names = tuple(scan.projection[column] for column in columns)
    function = scan.table.lookup(scan, names)
    if function is None:
        return None
    if not keys:
        raise query_error(
            f"a lookup of {scan.table.name!r} needs an equality between a value of the left side and one of its columns"
        )
    updates = t.changelog(node.left).updates
    spec = s.LookupJoinSpec(
        node.left.row, node.row, node.join, tuple(keys), function, names, tuple(steps), node.right.row, rest
    )
    edges = t.forward(node.left, before=updates)
    return t.operator("LookupJoin", spec, node.row, edges, node=node, before=updates)


def _scanned(node: n.Node) -> tuple[n.Scan | None, list[s.CalcSpec]]:
    """The table under projections and filters, and what these calculate, from the table up."""
    if isinstance(node, n.Scan):
        return (None if node.table.needs_normalize else node), []
    if not isinstance(node, n.Project | n.Filter | n.WatermarkAssigner):
        return None, []
    scan, steps = _scanned(node.input)
    match node:
        case n.Project():
            steps = [*steps, s.CalcSpec(node.input.row, node.row, node.expressions)]
        case n.Filter():
            steps = [*steps, s.CalcSpec(node.input.row, node.row, identity(node.row), node.condition)]
    return scan, steps


def _keys(node: n.TemporalJoin, steps: list[s.CalcSpec]) -> tuple[list[Expression], list[int], Expression | None]:
    """Values of the left side, the scanned columns they equal, and what else must hold."""
    keys: list[Expression] = []
    columns: list[int] = []
    rest: list[Expression] = []
    for part in conjuncts(node.condition):
        found = split_condition(part, len(node.left.row))
        column = None
        if found.left and not any(found.null_safe):
            column = _column_under(found.right[0], steps)
        if column is None:
            rest.append(part)
        elif column not in columns:
            keys.append(found.left[0])
            columns.append(column)
        else:
            rest.append(part)
    return keys, columns, conjunction(rest)


def _column_under(expression: Expression, steps: list[s.CalcSpec]) -> int | None:
    """The scanned column that an expression over the right side is; None for anything computed."""
    for step in reversed(steps):
        if not isinstance(expression, InputRef):
            return None
        expression = step.projections[expression.index]
    return expression.index if isinstance(expression, InputRef) else None
