"""Window table functions in FROM, and windows of the old syntax in GROUP BY.

A window table function is a ``exp.Table`` whose ``this`` is a call with a ``TableArgument``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import InputRef, Literal
from millstream.core.table.row_type import Column, TimeAttribute
from millstream.core.table.specs import Window, WindowKind
from millstream.sql.binder.columns import appended
from millstream.sql.binder.expressions import call_of
from millstream.sql.binder.literals import interval_ms
from millstream.sql.binder.scope import Relation, Scope
from millstream.sql.errors import did_you_mean, query_error
from millstream.sql.parser.query_nodes import TableArgument
from millstream.sql.plan.nodes import Node, WindowTable

if TYPE_CHECKING:
    from millstream.sql.binder.query import QueryBinder

_PARAMETERS: Final = {
    WindowKind.TUMBLE: ("SIZE",),
    WindowKind.HOP: ("SLIDE", "SIZE"),
    WindowKind.CUMULATE: ("STEP", "SIZE"),
    WindowKind.SESSION: ("GAP",),
}


@dataclass
class _WindowCall:
    """A window table function, or a group window, taken apart."""

    name: str
    time: exp.Expr
    intervals: list[exp.Expr]
    table: TableArgument | None = None


def is_table_function(item: exp.Expr) -> bool:
    """Whether an item of FROM is a function of a table."""
    if not isinstance(item, exp.Table) or not isinstance(item.this, exp.Anonymous):
        return False
    arguments = [part.expression if isinstance(part, exp.Kwarg) else part for part in item.this.expressions]
    return any(isinstance(part, TableArgument) for part in arguments)


def _window_call(item: exp.Expr) -> _WindowCall:
    call = item.this
    name = str(call.this).upper()
    if name not in WindowKind.__members__:
        near = did_you_mean(name, WindowKind.__members__)
        raise query_error(f"there is no table function {name!r} over tables.{near}", item)
    named = {part.name.upper(): part.expression for part in call.expressions if isinstance(part, exp.Kwarg)}
    plain = [part for part in call.expressions if not isinstance(part, exp.Kwarg)]
    order = ["DATA", "TIMECOL", *_PARAMETERS[WindowKind(name)], "OFFSET"]
    values = {**dict(zip(order, plain, strict=False)), **named}
    unknown = set(values) - set(order)
    if unknown or len(plain) > len(order):
        raise query_error(f"{name} takes {', '.join(order)}", item)
    table, time = values.get("DATA"), values.get("TIMECOL")
    if not isinstance(table, TableArgument) or not isinstance(time, exp.Anonymous) or len(time.expressions) != 1:
        raise query_error(f"{name} takes TABLE t, DESCRIPTOR(time column), then intervals", item)
    intervals = [values[key] for key in order[2:] if key in values]
    return _WindowCall(name, time.expressions[0], intervals, table)


def bind_table_function(binder: QueryBinder, item: exp.Expr) -> Relation:
    """A window table function over a table or query."""
    from millstream.sql.binder.from_clause import bind_item

    call = _window_call(item)
    assert call.table is not None
    relation = bind_item(binder, call.table.this, None)
    kind = WindowKind(call.name)
    scope = Scope(relation)
    time = _column(binder, scope, call.time, "DESCRIPTOR")
    partition = tuple(
        _column(binder, scope, part, "PARTITION BY") for part in call.table.args.get("partition_by") or []
    )
    if partition and kind is not WindowKind.SESSION:
        raise query_error("PARTITION BY inside a window table function is for SESSION only", item)
    node = _window_table(relation.node, _window(binder, scope, kind, call, item), time, partition, item)
    windowed = relation.over(node)
    windowed = Relation(node, windowed.qualifiers, windowed.names)
    alias = item.args.get("alias")
    if alias is not None and alias.name:
        return windowed.aliased(alias.name, tuple(column.name for column in alias.columns))
    return windowed


def group_window(binder: QueryBinder, scope: Scope, item: exp.Expr, partition: tuple[int, ...]) -> WindowTable:
    """The window of ``GROUP BY TUMBLE(time, INTERVAL ...)``."""
    named = call_of(item)
    assert named is not None
    name, arguments = named
    kind = WindowKind(name)
    time = _column(binder, scope, arguments[0], name)
    call = _WindowCall(name, arguments[0], list(arguments[1:]))
    return _window_table(scope.relation.node, _window(binder, scope, kind, call, item), time, partition, item)


def _window(binder: QueryBinder, scope: Scope, kind: WindowKind, call: _WindowCall, item: exp.Expr) -> Window:
    """TUMBLE(size), HOP(slide, size), CUMULATE(step, max size), SESSION(gap), each perhaps with an offset behind."""
    widths: list[int] = []
    for argument in call.intervals:
        bound = binder.expressions(scope, kind.value).bind(argument)
        width = interval_ms(bound) if isinstance(bound, Literal) else None
        if width is None:
            raise query_error(f"{kind.value} takes intervals such as INTERVAL '10' MINUTE", argument)
        widths.append(width)
    needed = len(_PARAMETERS[kind])
    if not needed <= len(widths) <= needed + 1 or (kind is WindowKind.SESSION and len(widths) != 1):
        raise query_error(f"{kind.value} takes {needed} interval{'s' * (needed > 1)}, not {len(widths)}", item)
    if any(width <= 0 for width in widths[:needed]):
        raise query_error(f"the intervals of {kind.value} must be positive", item)
    offset = widths[needed] if len(widths) > needed else 0
    size = widths[needed - 1]
    step = widths[0] if needed == 2 else 0
    if kind is WindowKind.CUMULATE and size % step:
        raise query_error("the size of CUMULATE must be a multiple of its step", item)
    return Window(kind, size, step, offset)


def _window_table(node: Node, window: Window, time: int, partition: tuple[int, ...], item: exp.Expr) -> WindowTable:
    column = node.row[time]
    if column.time is TimeAttribute.NONE:
        raise query_error(
            f"{window.kind.value} needs a time attribute, and {column.name!r} is plain {column.type.text()}. Declare "
            f"WATERMARK FOR {column.name} in the table, or add a column AS PROCTIME()",
            item,
        )
    plain = column.type.with_nullable(False)
    if column.time is TimeAttribute.PROCTIME:
        plain = lt.timestamp(3).with_nullable(False)
    added = [
        Column("window_start", plain),
        Column("window_end", plain),
        Column("window_time", column.type.with_nullable(False), column.time),
    ]
    return WindowTable(appended(node.row, added), node, window, time, partition)


def _column(binder: QueryBinder, scope: Scope, node: exp.Expr, where: str) -> int:
    bound = binder.expressions(scope, where).bind(node)
    if not isinstance(bound, InputRef):
        raise query_error(f"{where} takes a column, not {node.sql():.60}", node)
    return bound.index
