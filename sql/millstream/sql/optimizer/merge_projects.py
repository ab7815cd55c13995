"""Projections of projections become one; projections that change nothing go."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from millstream.core.table.evaluation import is_deterministic
from millstream.core.table.expressions import InputRef, walk
from millstream.sql.optimizer.push_filters import substituted
from millstream.sql.plan import nodes as n

_NAMED_AT_WILL: Final = (n.Aggregate, n.WindowAggregate, n.Join, n.IntervalJoin, n.WindowJoin, n.TemporalJoin)
"""What they emit has the names that they are given."""


def merge_projects(node: n.Node) -> n.Node:
    """The plan with no projection right above another one."""
    return n.transform(node, _merge)


def _merge(node: n.Node) -> n.Node:
    if not isinstance(node, n.Project):
        return node
    inner = node.input
    if isinstance(inner, n.Project) and _can_merge(node, inner):
        expressions = tuple(substituted(expression, inner.expressions) for expression in node.expressions)
        return _merge(replace(node, input=inner.input, expressions=expressions))
    same = all(isinstance(e, InputRef) and e.index == i for i, e in enumerate(node.expressions))
    if same and len(node.row) == len(inner.row):
        if node.row == inner.row:
            return inner
        if isinstance(inner, _NAMED_AT_WILL):
            return replace(inner, row=node.row)
    return node


def _can_merge(outer: n.Project, inner: n.Project) -> bool:
    """Equal parts of one projection are computed once, unless they differ each time."""
    uses = [part.index for expression in outer.expressions for part in walk(expression) if isinstance(part, InputRef)]
    return all(is_deterministic(inner.expressions[index]) or uses.count(index) == 1 for index in set(uses))
