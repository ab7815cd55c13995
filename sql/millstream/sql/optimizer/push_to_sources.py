"""Tells sources which rows are of no use: by comparisons with constants, and by a LIMIT.

A source may leave such rows out (whole files, row groups) or not: the filter stays above it in any case.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from millstream.core.table.expressions import Call, Expression, InputRef, Literal
from millstream.sql.plan import nodes as n
from millstream.sql.plan.conditions import FLIPPED, conjuncts

_FLIPPED: Final = {**FLIPPED, "<>": "<>"}
_NULL_TESTS: Final = {"IS NULL": "IS_NULL", "IS NOT NULL": "IS_NOT_NULL"}


def push_to_sources(node: n.Node) -> n.Node:
    """The plan whose scans know the filters right above them, and how many rows are wanted at most."""
    return n.transform(node, _push)


def _push(node: n.Node) -> n.Node:
    if isinstance(node, n.Filter) and isinstance(node.input, n.Scan):
        scan = node.input
        found = [told for part in conjuncts(node.condition) if (told := _comparison(part, scan)) is not None]
        return replace(node, input=replace(scan, filters=tuple(found))) if found else node
    if isinstance(node, n.Sort) and not node.order and node.fetch is not None:
        return replace(node, input=_limited(node.input, node.offset + node.fetch))
    return node


def _limited(node: n.Node, limit: int) -> n.Node:
    """A projection makes a row of a row; everything else may need any number of rows for one."""
    if isinstance(node, n.Project):
        return replace(node, input=_limited(node.input, limit))
    return replace(node, limit=limit) if isinstance(node, n.Scan) else node


def _comparison(part: Expression, scan: n.Scan) -> tuple[str, str, Any] | None:
    if not isinstance(part, Call):
        return None
    if part.name in _NULL_TESTS and isinstance(part.arguments[0], InputRef):
        return scan.projection[part.arguments[0].index], _NULL_TESTS[part.name], None
    if part.name == "IN":
        value, *items = part.arguments
        if isinstance(value, InputRef) and all(isinstance(item, Literal) and item.value is not None for item in items):
            return scan.projection[value.index], "IN", tuple(item.value for item in items if isinstance(item, Literal))
        return None
    if part.name not in _FLIPPED:
        return None
    left, right = part.arguments
    name = part.name
    if isinstance(left, Literal):
        left, right, name = right, left, _FLIPPED[name]
    if isinstance(left, InputRef) and isinstance(right, Literal) and right.value is not None:
        return scan.projection[left.index], name, right.value
    return None
