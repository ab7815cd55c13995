"""Calls with OVER."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlglot import exp

from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Expression, Literal
from millstream.core.table.specs import FrameBound, FrameKind
from millstream.sql.binder.aggregate_calls import bind_aggregate
from millstream.sql.binder.literals import interval_ms
from millstream.sql.binder.placeholders import AggregateExpression, OrderExpression, OverExpression
from millstream.sql.errors import did_you_mean, query_error, unsupported

if TYPE_CHECKING:
    from millstream.sql.binder.expressions import ExpressionBinder


def bind_over(binder: ExpressionBinder, node: exp.Window) -> OverExpression:
    """The placeholder of ``call OVER (...)``. Named windows were put in its place by the parser."""
    node = _with_named_window(node)
    if not binder.overs:
        raise query_error(f"OVER cannot stand{binder._in_clause() or ' here'}", node)
    binder.overs = False  # no OVER in an OVER
    try:
        call = bind_aggregate(binder, node.this, over=True)
        assert isinstance(call, AggregateExpression)
        partition = tuple(binder.bind(item) for item in node.args.get("partition_by") or [])
        order = bind_order(binder, node.args.get("order"))
        frame, preceding, following = _frame(binder, node.args.get("spec"), order, node)
    finally:
        binder.overs = True
    return OverExpression(call.type, call, partition, order, frame, preceding, following)


def _with_named_window(node: exp.Window) -> exp.Window:
    """``OVER w`` with what the WINDOW clause says of w."""
    name = node.alias
    if not name:
        return node
    select = node.find_ancestor(exp.Select)
    for window in (select.args.get("windows") if select is not None else None) or []:
        if window.name == name:
            keys = ("partition_by", "order", "spec")
            return exp.Window(this=node.this, **{key: window.args.get(key) for key in keys}, over="OVER")
    windows = [str(window.name) for window in (select.args.get("windows") if select is not None else None) or []]
    raise query_error(f"there is no window {name!r}.{did_you_mean(name, windows)}", node)


def bind_order(binder: ExpressionBinder, order: exp.Order | None) -> tuple[OrderExpression, ...]:
    """The items of an ORDER BY, NULLs first when ascending and last when descending unless it says otherwise."""
    if order is None:
        return ()
    return tuple(order_item(binder, item) for item in order.expressions)


def order_item(binder: ExpressionBinder, item: exp.Expr) -> OrderExpression:
    return ordered_by(item, binder.bind(item.this if isinstance(item, exp.Ordered) else item))


def ordered_by(item: exp.Expr, expression: Expression) -> OrderExpression:
    """``expression`` in the direction that ``item`` says."""
    descending = bool(item.args.get("desc")) if isinstance(item, exp.Ordered) else False
    nulls_first = item.args.get("nulls_first") if isinstance(item, exp.Ordered) else None
    return OrderExpression(expression, not descending, not descending if nulls_first is None else bool(nulls_first))


def _frame(
    binder: ExpressionBinder, spec: exp.WindowSpec | None, order: Sequence[OrderExpression], node: exp.Window
) -> tuple[FrameKind, FrameBound, FrameBound]:
    """Kind, how far it reaches back, and how far ahead."""
    if spec is None:
        return FrameKind.RANGE, None, 0
    kind = FrameKind(str(spec.args.get("kind") or "RANGE").upper())
    start, end = spec.args.get("start"), spec.args.get("end") or "CURRENT ROW"
    ahead = str(spec.args.get("start_side") or "").upper() == "FOLLOWING"
    behind = str(spec.args.get("end_side") or "").upper() == "PRECEDING"
    preceding = _bound(binder, start, kind, order, node)
    following = _bound(binder, end, kind, order, node)
    if (preceding is None and ahead) or (following is None and behind):
        raise query_error("a frame begins at UNBOUNDED PRECEDING and ends at UNBOUNDED FOLLOWING, not otherwise", node)
    if preceding is not None and ahead:
        preceding = -preceding
    if following is not None and behind:
        following = -following
    if preceding is not None and following is not None and preceding + following < 0:
        raise query_error("the frame ends before it begins", node)
    return kind, preceding, following


def _bound(
    binder: ExpressionBinder, bound: object, kind: FrameKind, order: Sequence[OrderExpression], node: exp.Window
) -> FrameBound:
    if isinstance(bound, str) and bound.upper() in ("UNBOUNDED", "CURRENT ROW"):
        return None if bound.upper() == "UNBOUNDED" else 0
    if not isinstance(bound, exp.Expr):
        raise unsupported(f"the frame {node.args['spec'].sql()}", node)
    found = binder.bind(bound)
    if not isinstance(found, Literal):
        raise query_error("how far a frame reaches must be a constant", node)
    width = interval_ms(found)
    if kind is FrameKind.ROWS:
        if isinstance(found.value, int) and found.value >= 0:
            return found.value
        raise query_error("a ROWS frame takes a number of rows, a RANGE frame an INTERVAL or a number", node)
    if len(order) != 1:
        raise query_error("a RANGE frame with a bound needs ORDER BY one column", node)
    column = order[0].expression.type
    by_time = column.root in (*lt.TIMESTAMPS, lt.TypeRoot.DATE, lt.TypeRoot.TIME)
    if by_time and width is not None and width >= 0:
        return width
    if column.root in lt.NUMERIC and isinstance(found.value, int | Decimal) and found.value >= 0:
        return found.value
    if by_time:
        raise query_error(f"a RANGE frame over {column.text()} takes an INTERVAL of days to seconds", node)
    raise query_error(f"a RANGE frame over {column.text()} takes a number, and only over numbers and times", node)
