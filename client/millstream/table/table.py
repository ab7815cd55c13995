"""``Table`` (``pyflink.table.Table``): a query on its way. Nothing runs until ``execute`` or a conversion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from millstream.datastream.call_site import refuse
from millstream.sql.plan.nodes import Node, Sort
from millstream.table.binding import bind, table_item
from millstream.table.expression import Attached, Expression
from millstream.table.grouped_table import AggregatedTable, GroupedTable, GroupWindowedTable, OverWindowedTable
from millstream.table.row_functions import flat_mapped, lateral_of, mapped
from millstream.table.running_table import RunningTable
from millstream.table.select_list import attached_to, checked, column, items, known_name, ordered, output_name
from millstream.table.windows import GroupWindow, OverWindow

if TYPE_CHECKING:
    from millstream.table.table_environment import TableEnvironment

LEFT: Final = "t0"
RIGHT: Final = "t1"


class Table(RunningTable):
    """Immutable: every operation makes another table. Names and behaviour are those of PyFlink."""

    def __init__(self, environment: TableEnvironment, node: Node) -> None:
        super().__init__(environment, node)

    # -- columns ------------------------------------------------------------------------------------------------------

    def select(self, *fields: Expression) -> Table:
        """The columns that the expressions make; aggregates make one row of the whole table."""
        return self._selected(items(fields, self._row, "select"), attached_to(fields))

    def add_columns(self, *fields: Expression) -> Table:
        """All columns, and these behind them."""
        added = items(fields, self._row, "add_columns")
        for name in map(output_name, added):
            if name and self._row.index_of(name) is not None:
                raise refuse(f"add_columns: the column {name!r} exists. add_or_replace_columns would replace it.")
        return self._selected([exp.Star(), *added], attached_to(fields))

    def add_or_replace_columns(self, *fields: Expression) -> Table:
        """All columns, and these: in the place of the column of their name, else behind."""
        added = items(fields, self._row, "add_or_replace_columns")
        by_name = {output_name(item): item for item in added}
        kept = [by_name.get(name, column(name)) for name in self._row.names]
        new = [item for item in added if self._row.index_of(output_name(item)) is None]
        return self._selected([*kept, *new], attached_to(fields))

    def rename_columns(self, *fields: Expression) -> Table:
        """All columns, those of ``col("old").alias("new")`` renamed."""
        names: dict[str, str] = {}
        for item in items(fields, self._row, "rename_columns"):
            if not isinstance(item, exp.Alias) or not isinstance(item.this, exp.Column):
                raise refuse(f"rename_columns takes col('old').alias('new'), not {item.sql():.60}.")
            names[known_name(item.this.name, self._row, "rename_columns")] = item.alias
        return self._renamed([names.get(name, name) for name in self._row.names])

    def drop_columns(self, *fields: Expression) -> Table:
        """All columns but these."""
        dropped = {
            known_name(item.name, self._row, "drop_columns") for item in items(fields, self._row, "drop_columns")
        }
        kept = [column(name) for name in self._row.names if name not in dropped]
        if not kept:
            raise refuse("drop_columns would leave no column.")
        return self._selected(kept)

    def alias(self, field: str, *fields: str) -> Table:
        """Other names for the first columns, in order."""
        names = (field, *fields)
        if len(names) > len(self._row):
            raise refuse(f"alias gives {len(names)} names, but the table has {len(self._row)} columns.")
        return self._renamed([*names, *self._row.names[len(names) :]])

    # -- rows ---------------------------------------------------------------------------------------------------------

    def where(self, predicate: Expression) -> Table:
        """The rows that meet the condition."""
        condition = checked(predicate, "where")
        query = exp.Select(expressions=[exp.Star()], where=exp.Where(this=condition._copy()))
        return self._queried(query, condition._attached)

    filter = where

    def distinct(self) -> Table:
        """Each row once."""
        return self._queried(exp.Select(expressions=[exp.Star()], distinct=exp.Distinct()))

    def order_by(self, *fields: Expression) -> Table:
        """Sorted: by a time attribute, or with ``fetch`` the first rows, or anyhow in batch mode."""
        keys = [ordered(checked(field, "order_by")) for field in fields]
        query = exp.Select(expressions=[exp.Star()], order=exp.Order(expressions=keys))
        return self._queried(query, attached_to(fields))

    def offset(self, offset: int) -> Table:
        """Without the first ``offset`` rows."""
        number = _count(offset, "offset")
        sort = self._sort()
        return self._made(replace(sort, offset=sort.offset + number))

    def fetch(self, fetch: int) -> Table:
        """The first ``fetch`` rows."""
        number = _count(fetch, "fetch")
        sort = self._sort()
        return self._made(replace(sort, fetch=number if sort.fetch is None else min(sort.fetch, number)))

    def limit(self, fetch: int, offset: int = 0) -> Table:
        """``fetch`` rows after the first ``offset``."""
        return self.offset(offset).fetch(fetch)

    # -- groups -------------------------------------------------------------------------------------------------------

    def group_by(self, *fields: Expression) -> GroupedTable:
        """Rows with the same values, for ``select`` with aggregates."""
        return GroupedTable(self, items(fields, self._row, "group_by"), attached_to(fields))

    def window(self, window: GroupWindow) -> GroupWindowedTable:
        """Rows of the same window: ``Tumble.over(lit(10).minutes).on(col("ts")).alias("w")``."""
        if not isinstance(window, GroupWindow):
            raise refuse("window takes Tumble, Slide or Session with .on(col('ts')).alias('w').")
        return GroupWindowedTable(self, window)

    def over_window(self, *over_windows: OverWindow) -> OverWindowedTable:
        """Windows around each row, for aggregates with ``.over(col("w"))``."""
        for window in over_windows:
            if not isinstance(window, OverWindow):
                raise refuse("over_window takes Over.partition_by(...).order_by(...).alias('w').")
        return OverWindowedTable(self, over_windows)

    # -- several tables -----------------------------------------------------------------------------------------------

    def join(self, right: Table, join_predicate: Expression | None = None) -> Table:
        """Pairs of rows that meet the condition. The tables have no column name in common."""
        return self._joined(right, join_predicate, "join", "")

    def left_outer_join(self, right: Table, join_predicate: Expression | None = None) -> Table:
        return self._joined(right, join_predicate, "left_outer_join", "LEFT")

    def right_outer_join(self, right: Table, join_predicate: Expression) -> Table:
        return self._joined(right, join_predicate, "right_outer_join", "RIGHT")

    def full_outer_join(self, right: Table, join_predicate: Expression) -> Table:
        return self._joined(right, join_predicate, "full_outer_join", "FULL")

    def join_lateral(self, table_function_call: Any, join_predicate: Expression | None = None) -> Table:
        """Each row with the rows that a table function makes of it: ``split(col("text")).alias("word")``."""
        return self._lateral(table_function_call, join_predicate, "join_lateral", "")

    def left_outer_join_lateral(self, table_function_call: Any, join_predicate: Expression | None = None) -> Table:
        """Like ``join_lateral``; a row of which the function makes none stays, with NULLs."""
        return self._lateral(table_function_call, join_predicate, "left_outer_join_lateral", "LEFT")

    def union(self, right: Table) -> Table:
        """The rows of both, each once."""
        return self._together(exp.Union, right, distinct=True)

    def union_all(self, right: Table) -> Table:
        """The rows of both."""
        return self._together(exp.Union, right, distinct=False)

    def intersect(self, right: Table) -> Table:
        """The rows that are in both, each once."""
        return self._together(exp.Intersect, right, distinct=True)

    def intersect_all(self, right: Table) -> Table:
        return self._together(exp.Intersect, right, distinct=False)

    def minus(self, right: Table) -> Table:
        """The rows that are not in ``right``, each once."""
        return self._together(exp.Except, right, distinct=True)

    def minus_all(self, right: Table) -> Table:
        return self._together(exp.Except, right, distinct=False)

    # -- functions of rows --------------------------------------------------------------------------------------------

    def map(self, func: Any) -> Table:
        """One row for each, by a scalar function: of a call with columns, or of a function of the whole row.

        The fields of a ROW that it returns are the columns.
        """
        return mapped(self, func)

    def flat_map(self, func: Any) -> Table:
        """Any number of rows for each, by a table function."""
        return flat_mapped(self, func)

    def aggregate(self, func: Any) -> AggregatedTable:
        """One row of all, by an aggregate function; ``select`` chooses among its fields."""
        return self.group_by().aggregate(func)

    # -- inner --------------------------------------------------------------------------------------------------------

    def _made(self, node: Node) -> Table:
        return Table(self._environment, node)

    def _queried(self, select: exp.Select, attached: Attached | None = None) -> Table:
        """A SELECT from this table."""
        select.set("from_", exp.From(this=table_item(LEFT)))
        return self._bound(select, attached)

    def _bound(self, query: exp.Expr, attached: Attached | None = None, right: Table | None = None) -> Table:
        tables = {LEFT: self._node} if right is None else {LEFT: self._node, RIGHT: right._node}
        return self._made(bind(self._environment._session, query, {**(attached or {}), **tables}))

    def _selected(self, nodes: Sequence[exp.Expr], attached: Attached | None = None) -> Table:
        if not nodes:
            raise refuse("select takes at least one expression.")
        return self._queried(exp.Select(expressions=list(nodes)), attached)

    def _renamed(self, names: Sequence[str]) -> Table:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise refuse(f"two columns would be called {twice!r}.")
        pairs = zip(self._row.names, names, strict=True)
        return self._selected(
            [exp.Alias(this=column(old), alias=exp.to_identifier(new, quoted=True)) for old, new in pairs]
        )

    def _sort(self) -> Sort:
        """This table's own sorting, so that what follows counts its rows; else one that sorts nothing."""
        return self._node if isinstance(self._node, Sort) else Sort(self._row, self._node, ())

    def _joined(self, right: Table, predicate: Expression | None, method: str, side: str) -> Table:
        self._check_same_environment(right, method)
        both = [name for name in self._row.names if right._row.index_of(name) is not None]
        if both:
            raise refuse(
                f"{method}: both tables have the column {both[0]!r}. Rename one: "
                f"right.rename_columns(col({both[0]!r}).alias('right_{both[0]}'))."
            )
        join = exp.Join(this=table_item(RIGHT), side=side or None, kind=None if predicate is not None else "CROSS")
        attached: Attached = {}
        if predicate is not None:
            condition = checked(predicate, method)
            join.set("on", condition._copy())
            attached = condition._attached
        elif side:
            join = exp.Join(this=table_item(RIGHT), side=side, on=exp.Boolean(this=True))
        query = exp.Select(expressions=[exp.Star()], from_=exp.From(this=table_item(LEFT)), joins=[join])
        return self._bound(query, attached, right)

    def _lateral(self, call: Any, predicate: Expression | None, method: str, side: str) -> Table:
        lateral, attached = lateral_of(call, method)
        join = exp.Join(this=lateral, side=side or None, kind=None if side else "CROSS")
        if side:
            join.set("on", exp.Boolean(this=True))
        if predicate is not None:
            condition = checked(predicate, method)
            join = exp.Join(this=lateral, side=side or None, on=condition._copy())
            attached = {**attached, **condition._attached}
        query = exp.Select(expressions=[exp.Star()], joins=[join])
        return self._queried(query, attached)

    def _together(self, kind: type[exp.SetOperation], right: Table, *, distinct: bool) -> Table:
        self._check_same_environment(right, kind.__name__.lower())
        left, other = (
            exp.Select(expressions=[exp.Star()], from_=exp.From(this=table_item(name))) for name in (LEFT, RIGHT)
        )
        return self._bound(kind(this=left, expression=other, distinct=distinct), None, right)

    def _check_same_environment(self, right: Table, method: str) -> None:
        if not isinstance(right, Table):
            raise refuse(f"{method} takes a Table, not {right!r:.60}.")
        if right._environment is not self._environment:
            raise refuse(f"{method}: the tables belong to different environments.")

    def _as_subquery(self) -> tuple[exp.Subquery, Attached]:
        """This table inside of an expression."""
        name = self._environment._next_name("q")
        select = exp.Select(expressions=[exp.Star()], from_=exp.From(this=table_item(name)))
        return exp.Subquery(this=select), {name: self._node}


def _count(value: int, method: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise refuse(f"{method} takes a number of rows, not {value!r}.")
    return value
