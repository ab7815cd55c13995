"""Parts of a job that compute the same under other names run once.

Equal relations run once anyway. Those that differ only in what their columns are called, as the same aggregate in two
subqueries, become one relation and a projection that renames its columns. What gives other values each time it is
computed, as RAND does, stays apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Final

from millstream.core.table.evaluation import is_deterministic
from millstream.core.table.expressions import Expression
from millstream.core.table.row_type import RowType
from millstream.sql.binder.columns import identity
from millstream.sql.plan import nodes as n

_CHEAP: Final = (n.Scan, n.StreamScan, n.Values, n.WatermarkAssigner, n.Project, n.Filter, n.Expand, n.Union)
"""What keeps no rows: to share it would only add a projection."""


def share_parts(nodes: Sequence[n.Node]) -> list[n.Node]:
    """The plans of one job. After the other rules: those would merge the projections away again."""
    sharing = _Sharing()
    return [sharing.shared(node) for node in nodes]


class _Sharing:
    def __init__(self) -> None:
        self._first: dict[n.Node, n.Node] = {}
        """By relation without names, the first one that computes it."""

    def shared(self, node: n.Node) -> n.Node:
        """The relation over what is there already."""
        if isinstance(node, n.Project):
            return replace(node, input=self._unnamed_input(node.input))
        if isinstance(node, _CHEAP):
            return node.with_inputs(tuple(self.shared(child) for child in node.inputs))
        first = self._of(node)
        return first if first.row == node.row else n.Project(node.row, first, identity(first.row))

    def _unnamed_input(self, node: n.Node) -> n.Node:
        """For a projection, which goes by positions: it needs no other one below it."""
        return self.shared(node) if isinstance(node, _CHEAP) else self._of(node)

    def _of(self, node: n.Node) -> n.Node:
        key = _without_names(node) if _is_repeatable(node) else node
        first = self._first.get(key)
        if first is None:
            first = self._first[key] = node.with_inputs(tuple(self.shared(child) for child in node.inputs))
        return first


def _without_names(node: n.Node) -> n.Node:
    """The relation with its columns numbered, and so all that it reads. Sources keep the names that they go by."""
    if not node.inputs:
        return node
    numbered = RowType(tuple(column.renamed(str(index)) for index, column in enumerate(node.row.columns)))
    return replace(node.with_inputs(tuple(_without_names(child) for child in node.inputs)), row=numbered)


def _is_repeatable(node: n.Node) -> bool:
    """Whether all that it is computed from, here and below, is the same for the same rows."""
    parts = [getattr(node, field.name) for field in fields(node)]
    expressions = [part for part in _flat(parts) if isinstance(part, Expression)]
    return all(map(is_deterministic, expressions)) and all(map(_is_repeatable, node.inputs))


def _flat(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, tuple):
            yield from _flat(value)
        else:
            yield value
