"""Joins that time bounds: of rows of the same window, and of rows whose times are within an interval of each other.

Their state is bounded by the watermark, while a regular join keeps both sides for ever.
"""

from __future__ import annotations

from millstream.core.table.expressions import Call, Expression, InputRef, Literal
from millstream.core.table.row_type import TimeAttribute
from millstream.core.table.specs import JoinKind
from millstream.sql.binder.literals import interval_ms
from millstream.sql.plan import nodes as n
from millstream.sql.plan.conditions import FLIPPED, conjuncts
from millstream.sql.plan.properties import changelog, equal_columns, time_columns, window_columns


def recognise_time_joins(node: n.Node) -> n.Node:
    """The plan with window joins and interval joins."""
    return n.transform(node, _recognise)


def _recognise(node: n.Node) -> n.Node:
    if not isinstance(node, n.Join) or node.condition is None:
        return node
    if not changelog(node.left).append_only or not changelog(node.right).append_only:
        return node
    return _window_join(node) or _interval_join(node) or node


def _window_join(node: n.Join) -> n.Node | None:
    left, right = window_columns(node.left), window_columns(node.right)
    if left is None or right is None or left.window != right.window:
        return None
    assert node.condition is not None
    pairs = equal_columns(node.condition, len(node.left.row))
    starts = next((pair for pair in pairs if pair[0] in left.starts and pair[1] in right.starts), None)
    ends = next((pair for pair in pairs if pair[0] in left.ends and pair[1] in right.ends), None)
    if starts is None or ends is None or not left.event_time or not right.event_time:
        return None
    return n.WindowJoin(
        node.row, node.left, node.right, node.join, node.condition, (starts[0], ends[0]), (starts[1], ends[1])
    )


def _interval_join(node: n.Join) -> n.Node | None:
    if node.join in (JoinKind.SEMI, JoinKind.ANTI):
        return None
    assert node.condition is not None
    width = len(node.left.row)
    left_times, right_times = time_columns(node.left), time_columns(node.right)
    bounds: dict[tuple[int, int], list[int | None]] = {}
    for part in conjuncts(node.condition):
        found = _bound(part, width)
        if found is None:
            continue
        left, right, name, shift = found
        time = left_times.get(left, TimeAttribute.NONE)
        if time is TimeAttribute.NONE or right_times.get(right) is not time:
            continue
        bound = bounds.setdefault((left, right), [None, None])
        if name in (">", ">=", "="):
            low = shift + (name == ">")
            bound[0] = low if bound[0] is None else max(bound[0], low)
        if name in ("<", "<=", "="):
            high = shift - (name == "<")
            bound[1] = high if bound[1] is None else min(bound[1], high)
    for (left, right), (lower, upper) in bounds.items():
        if lower is not None and upper is not None:
            return n.IntervalJoin(node.row, node.left, node.right, node.join, node.condition, left, right, lower, upper)
    return None


def _bound(part: Expression, width: int) -> tuple[int, int, str, int] | None:
    """``left time <name> right time + milliseconds``: the two columns, the comparison, the milliseconds."""
    if not isinstance(part, Call) or part.name not in FLIPPED:
        return None
    one, other = (_linear(argument) for argument in part.arguments)
    if one is None or other is None:
        return None
    (a, a_ms), (b, b_ms) = one, other
    if a < width <= b:
        return a, b - width, part.name, b_ms - a_ms
    if b < width <= a:
        return b, a - width, FLIPPED[part.name], a_ms - b_ms
    return None


def _linear(expression: Expression) -> tuple[int, int] | None:
    """``(column, milliseconds)`` of a column plus or minus intervals."""
    if isinstance(expression, InputRef):
        return expression.index, 0
    if isinstance(expression, Call) and expression.name == "CAST":
        return _linear(expression.arguments[0])
    if isinstance(expression, Call) and expression.name in ("+", "-") and len(expression.arguments) == 2:
        left, right = expression.arguments
        if expression.name == "+" and isinstance(left, Literal):
            left, right = right, left
        inner = _linear(left)
        width = interval_ms(right) if isinstance(right, Literal) else None
        if inner is None or width is None:
            return None
        return inner[0], inner[1] + (width if expression.name == "+" else -width)
    return None
