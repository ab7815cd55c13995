"""Tables whose rows are in groups or windows, until ``select`` says what is wanted of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from millstream.datastream.call_site import refuse
from millstream.table.expression import Attached, Expression
from millstream.table.method_names import END, PROCTIME, ROWTIME, START
from millstream.table.row_functions import aggregate_call, flattened
from millstream.table.select_list import attached_to, items
from millstream.table.windows import GroupWindow, OverWindow

if TYPE_CHECKING:
    from millstream.table.table import Table

_SUFFIXES = {START: "_START", END: "_END", ROWTIME: "_ROWTIME", PROCTIME: "_PROCTIME"}


class GroupedTable:
    """After ``group_by``."""

    def __init__(self, table: Table, keys: Sequence[exp.Expr], attached: Attached) -> None:
        self._table = table
        self._keys = keys
        self._attached = attached

    def select(self, *fields: Expression) -> Table:
        """Keys and aggregates, one row a group."""
        group = exp.Group(expressions=[_bare(key) for key in self._keys]) if self._keys else None
        wanted = [_key_by_alias(item, self._keys) for item in items(fields, self._table._row, "select")]
        query = exp.Select(expressions=wanted, group=group)
        return self._table._queried(query, {**self._attached, **attached_to(fields)})

    def aggregate(self, func: Any) -> AggregatedTable:
        """One row a group by an aggregate function, whose alias names its columns."""
        return AggregatedTable(self, func)


class AggregatedTable:
    """After ``aggregate``: keys, and the fields of what the function returned."""

    def __init__(self, grouped: GroupedTable, func: Any) -> None:
        self._grouped = grouped
        self._func = func

    def select(self, *fields: Expression) -> Table:
        """Of the keys and the columns of the function."""
        grouped = self._grouped
        call, names, attached = aggregate_call(self._func, grouped._table)
        keys = [_bare(key) if not isinstance(key, exp.Alias) else key for key in grouped._keys]
        group = exp.Group(expressions=[_bare(key) for key in keys]) if keys else None
        made = exp.Alias(this=call, alias=exp.to_identifier("$made", quoted=True))
        query = exp.Select(expressions=[*keys, made], group=group)
        table = grouped._table._queried(query, {**grouped._attached, **attached})
        return flattened(table, len(keys), names).select(*fields)


class GroupWindowedTable:
    """After ``window``."""

    def __init__(self, table: Table, window: GroupWindow) -> None:
        self._table = table
        self._window = window

    def group_by(self, *fields: Expression) -> WindowGroupedTable:
        """By the alias of the window, and perhaps by more."""
        keys = items(fields, self._table._row, "group_by")
        others = [key for key in keys if not _is_alias(key, self._window.name)]
        if len(others) == len(keys):
            raise refuse(f"group_by after window takes the window's alias too: col({self._window.name!r}).")
        return WindowGroupedTable(self._table, self._window, others, attached_to(fields))


class WindowGroupedTable:
    """After ``group_by`` of a window."""

    def __init__(self, table: Table, window: GroupWindow, keys: Sequence[exp.Expr], attached: Attached) -> None:
        self._table = table
        self._window = window
        self._keys = keys
        self._attached = attached

    def select(self, *fields: Expression) -> Table:
        """Keys, aggregates, and ``start``, ``end``, ``rowtime`` or ``proctime`` of ``col(alias)``."""
        group = exp.Group(expressions=[self._window.call(), *(_bare(key) for key in self._keys)])
        wanted = [
            _key_by_alias(self._with_properties(item), self._keys) for item in items(fields, self._table._row, "select")
        ]
        attached = {**self._attached, **self._window.time._attached, **attached_to(fields)}
        return self._table._queried(exp.Select(expressions=wanted, group=group), attached)

    def _with_properties(self, item: exp.Expr) -> exp.Expr:
        """``col("w").start`` as the binder knows it."""

        def change(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Anonymous) and node.this in _SUFFIXES:
                if not _is_alias(node.expressions[0], self._window.name):
                    raise refuse(f"start, end and rowtime are of the window: col({self._window.name!r}).start.")
                return self._window.call(_SUFFIXES[str(node.this)])
            return node

        changed: exp.Expr = item.transform(change)
        return changed


class OverWindowedTable:
    """After ``over_window``."""

    def __init__(self, table: Table, windows: Sequence[OverWindow]) -> None:
        self._table = table
        self._windows = windows

    def select(self, *fields: Expression) -> Table:
        """Columns, and aggregates with ``.over(col(alias))``."""
        attached = dict(attached_to(fields))
        for window in self._windows:
            attached.update(window.attached)
        query = exp.Select(
            expressions=items(fields, self._table._row, "select"), windows=[window.node() for window in self._windows]
        )
        return self._table._queried(query, attached)


def _is_alias(node: exp.Expr, name: str) -> bool:
    return isinstance(node, exp.Column) and node.name == name


def _bare(key: exp.Expr) -> exp.Expr:
    found: exp.Expr = key.this if isinstance(key, exp.Alias) else key
    return found.copy()


def _key_by_alias(item: exp.Expr, keys: Sequence[exp.Expr]) -> exp.Expr:
    """``col("k")`` where a key was called ``.alias("k")``."""
    named = {key.alias: key for key in keys if isinstance(key, exp.Alias)}
    if not named:
        return item
    if isinstance(item, exp.Column) and item.name in named:
        return exp.Alias(this=_bare(named[item.name]), alias=exp.to_identifier(item.name, quoted=True))

    def change(node: exp.Expr) -> exp.Expr:
        return _bare(named[node.name]) if isinstance(node, exp.Column) and node.name in named else node

    changed: exp.Expr = item.transform(change)
    return changed
