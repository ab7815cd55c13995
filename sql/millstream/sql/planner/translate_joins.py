"""Joins to operators: keys from the condition, computed where they are no plain columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from millstream.core.graph.specs import OperatorSpec
from millstream.core.table import specs as s
from millstream.core.table.expressions import Expression, InputRef, shifted
from millstream.core.table.row_type import Column, RowType, TimeAttribute
from millstream.core.table.specs import JoinInput, JoinKind
from millstream.sql.binder.columns import appended, identity, joined_row
from millstream.sql.errors import query_error
from millstream.sql.plan import nodes as n
from millstream.sql.plan.properties import time_columns, unique_keys
from millstream.sql.planner.join_keys import JoinKeys, split_condition
from millstream.sql.planner.physical import PhysicalOperator
from millstream.sql.planner.translate_lookup import lookup

if TYPE_CHECKING:
    from millstream.sql.planner.translate import Parts, Translator

AnyJoin = n.Join | n.IntervalJoin | n.WindowJoin | n.TemporalJoin


class _Side:
    """One input of a join with columns for its keys."""

    def __init__(self, t: Translator, node: n.Node, keys: list[Expression], index: int) -> None:
        self.node = node
        self.index = index
        # Updates are taken apart: every join gets what was before them.
        parts = t.parts(node, before=True)
        computed = [key for key in keys if not isinstance(key, InputRef)]
        self.extra = len(computed)
        self.positions = tuple(
            key.index if isinstance(key, InputRef) else len(node.row) + computed.index(key) for key in keys
        )
        if computed:
            row = appended(node.row, [Column(f"$k{i}", key.type) for i, key in enumerate(computed)])
            parts = [t.calc(parts, row, (*identity(node.row), *computed))]
        self.parts: Parts = parts
        self.row = parts[0].row

    def input(self, t: Translator, ttl_ms: int | None) -> JoinInput:
        return JoinInput(
            self.row,
            self.positions,
            retracts=not t.changelog(self.node).append_only,
            ttl_ms=t.settings.state_ttl_ms if ttl_ms is None else ttl_ms,
        )


class _Sides:
    """Both inputs, and the join's columns with those of computed keys among them."""

    def __init__(self, t: Translator, node: AnyJoin) -> None:
        self._t = t
        self._node = node
        self.keys: JoinKeys = split_condition(node.condition, len(node.left.row))
        self.left = _Side(t, node.left, self.keys.left, 0)
        self.right = _Side(t, node.right, self.keys.right, 1)
        width, wider = len(node.left.row), len(self.left.row)
        self.condition = (
            None
            if self.keys.rest is None
            else shifted(self.keys.rest, lambda index: index if index < width else index - width + wider)
        )
        self.semi = node.join in (JoinKind.SEMI, JoinKind.ANTI)
        self.output = self._output()

    def _output(self) -> RowType:
        if not self.left.extra and not self.right.extra:
            return self._node.row
        return self.left.row if self.semi else joined_row(self.left.row, self.right.row, self._node.join)

    def finish(self, name: str, spec: OperatorSpec, before: bool) -> PhysicalOperator:
        """The join, and a calculation that leaves out the columns of computed keys."""
        t, node = self._t, self._node
        edges = t.keyed(self.left.parts, self.left.positions, 0) + t.keyed(self.right.parts, self.right.positions, 1)
        joined = t.operator(name, spec, self.output, edges, node=node, before=before, single=not self.left.positions)
        if len(self.output) == len(node.row):
            return joined
        width, wider = len(node.left.row), len(self.left.row)
        refs = [
            InputRef(column.type, index if index < width else index - width + wider)
            for index, column in enumerate(node.row.columns)
        ]
        return t.calc([joined], node.row, tuple(refs))


def regular(t: Translator, node: n.Join, before: bool) -> PhysicalOperator:
    sides = _Sides(t, node)
    left_ttl, right_ttl = node.ttl_ms
    spec = s.JoinSpec(
        sides.left.input(t, left_ttl),
        sides.right.input(t, right_ttl),
        sides.output,
        node.join,
        sides.condition,
        tuple(sides.keys.null_safe),
        update_before=before,
        final_only=t.settings.batch,
    )
    return sides.finish("Join", spec, before)


def interval(t: Translator, node: n.IntervalJoin, before: bool) -> PhysicalOperator:
    sides = _Sides(t, node)
    event_time = time_columns(node.left)[node.left_time] is TimeAttribute.ROWTIME
    spec = s.IntervalJoinSpec(
        sides.left.input(t, 0),
        sides.right.input(t, 0),
        sides.output,
        node.join,
        node.left_time,
        node.right_time,
        node.lower_ms,
        node.upper_ms,
        event_time,
        sides.condition,
    )
    return sides.finish("IntervalJoin", spec, before)


def window(t: Translator, node: n.WindowJoin, before: bool) -> PhysicalOperator:
    sides = _Sides(t, node)
    spec = s.WindowJoinSpec(
        sides.left.input(t, 0),
        sides.right.input(t, 0),
        sides.output,
        node.join,
        node.left_window,
        node.right_window,
        sides.condition,
    )
    return sides.finish("WindowJoin", spec, before)


def _versions(node: n.Node) -> n.Node:
    """The rows that become versions. The last row of each key by event time is a view of versions; its input has them
    all, while the view may leave out those that others followed at once."""
    if isinstance(node, n.Project):
        inner = _versions(node.input)
        return node if inner is node.input else replace(node, input=inner)
    if not isinstance(node, n.Deduplicate) or not node.keep_last:
        return node
    return node.input if time_columns(node.input).get(node.order) is TimeAttribute.ROWTIME else node


def temporal(t: Translator, node: n.TemporalJoin, before: bool) -> PhysicalOperator:
    found = lookup(t, node, before)
    if found is not None:
        return found
    time = time_columns(node.left).get(node.left_time)
    if time is None:
        raise query_error(
            "the time of FOR SYSTEM_TIME AS OF is not a time attribute any more: it has passed a regular join"
        )
    keys = unique_keys(node.right)
    node = replace(node, right=_versions(node.right))
    sides = _Sides(t, node)
    right_times = [i for i, kind in time_columns(node.right).items() if kind is TimeAttribute.ROWTIME]
    if time is TimeAttribute.ROWTIME and not right_times:
        raise query_error(
            "a table that is joined FOR SYSTEM_TIME AS OF event time needs a WATERMARK: its versions have times"
        )
    if not any(key <= set(sides.right.positions[: len(sides.keys.right)]) for key in keys):
        raise query_error(
            "a table that is joined FOR SYSTEM_TIME AS OF needs a primary key, and the join condition must equate all "
            "of it"
        )
    spec = s.TemporalJoinSpec(
        sides.left.input(t, 0),
        sides.right.input(t, 0),
        sides.output,
        node.join,
        node.left_time,
        right_times[0] if right_times else 0,
        time is TimeAttribute.ROWTIME,
        sides.condition,
    )
    return sides.finish("TemporalJoin", spec, before)
