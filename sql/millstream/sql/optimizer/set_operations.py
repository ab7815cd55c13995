"""INTERSECT and EXCEPT: rows of both sides are counted together, side by side, and the counts say which come out.

With ALL a row comes out several times: of 3 and 2 equal rows 2 are in the intersection and 1 is left by EXCEPT.
"""

from __future__ import annotations

from typing import Final

from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Expression, InputRef, Literal
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.row_type import Column, RowType
from millstream.sql.binder.columns import appended, identity
from millstream.sql.plan import nodes as n

_COUNT: Final = lt.BIGINT.with_nullable(False)
_ZERO: Final = Literal(_COUNT, 0)
_ONE: Final = Literal(_COUNT, 1)


def count_set_operations(node: n.Node) -> n.Node:
    """The plan without ``SetOperation``."""
    return n.transform(node, _counted)


def _counted(node: n.Node) -> n.Node:
    if not isinstance(node, n.SetOperation):
        return node
    width = len(node.row)
    columns = [
        Column(a.name, a.type.with_nullable(a.type.nullable or b.type.nullable))
        for a, b in zip(node.left.row.columns, node.right.row.columns, strict=True)
    ]
    row = appended(RowType(tuple(columns)), [Column("$left", _COUNT), Column("$right", _COUNT)])
    union = n.Union(row, (_marked(node.left, row, _ONE, _ZERO), _marked(node.right, row, _ZERO, _ONE)))
    calls = tuple(AggregateCall("SUM0", (width + i,), (_COUNT,), _COUNT) for i in (0, 1))
    counted = n.Aggregate(row, union, tuple(range(width)), calls)
    left, right = InputRef(_COUNT, width), InputRef(_COUNT, width + 1)
    own = identity(RowType(tuple(columns)))
    if not node.all:
        there = bind_call(">" if node.intersect else "=", [right, _ZERO])
        chosen = n.Filter(row, counted, bind_call("AND", [bind_call(">", [left, _ZERO]), there]))
        return n.Project(node.row, chosen, own)
    times: Expression
    if node.intersect:
        times = bind_call("CASE", [bind_call("<", [left, right]), left, right])
    else:
        times = bind_call("-", [left, right])
    timed_row = appended(RowType(tuple(columns)), [Column("$times", times.type)])
    return n.Replicate(node.row, n.Project(timed_row, counted, (*own, times)))


def _marked(side: n.Node, row: RowType, left: Literal, right: Literal) -> n.Node:
    """A side with what each of its rows counts on the left and on the right."""
    names = [column.name for column in row.columns]
    columns = [Column(name, column.type) for name, column in zip(names, side.row.columns, strict=False)]
    return n.Project(RowType((*columns, *row.columns[-2:])), side, (*identity(side.row), left, right))
