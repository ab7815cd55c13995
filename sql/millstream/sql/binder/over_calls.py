"""Calls with OVER."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from millstream.core.table.expressions import Expression, Literal
from millstream.core.table.specs import FrameKind
from millstream.sql.binder.aggregate_calls import bind_aggregate
from millstream.sql.binder.literals import interval_ms
from millstream.sql.binder.placeholders import AggregateExpression, OrderExpression, OverExpression
from millstream.sql.errors import query_error, unsupported

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
        frame, preceding = _frame(binder, node.args.get("spec"), bool(order), node)
    finally:
        binder.overs = True
    return OverExpression(call.type, call, partition, order, frame, preceding)


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
    raise query_error(f"there is no window {name!r}", node)


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
    binder: ExpressionBinder, spec: exp.WindowSpec | None, ordered: bool, node: exp.Window
) -> tuple[FrameKind, int | None]:
    if spec is None:
        return FrameKind.RANGE, None
    kind = FrameKind(str(spec.args.get("kind") or "RANGE").upper())
    end = spec.args.get("end")
    if end is not None and str(getattr(end, "name", end)).upper() != "CURRENT ROW":
        raise unsupported("a frame that ends after the current row", node, "Let it end with CURRENT ROW.")
    start = spec.args.get("start")
    if isinstance(start, str):
        if start.upper() == "UNBOUNDED":
            return kind, None
        if start.upper() == "CURRENT ROW":
            return kind, 0
    if not isinstance(start, exp.Expr):
        raise unsupported(f"the frame {spec.sql()}", node)
    bound = binder.bind(start)
    if kind is FrameKind.ROWS and isinstance(bound, Literal) and isinstance(bound.value, int):
        return kind, bound.value
    if kind is FrameKind.RANGE and isinstance(bound, Literal):
        width = interval_ms(bound)
        if width is not None:
            return kind, width
    raise query_error("a ROWS frame takes a number of rows, a RANGE frame an INTERVAL", node)
