"""``WHERE rank <= n`` over ROW_NUMBER, RANK or DENSE_RANK becomes a top-n, or a deduplication.

Keeping the first rows of each partition takes bounded state, numbering all rows does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from millstream.core.table.expressions import Call, Expression, InputRef, Literal
from millstream.core.table.row_type import TimeAttribute
from millstream.sql.binder.columns import identity
from millstream.sql.plan import nodes as n
from millstream.sql.plan.conditions import FLIPPED, conjunction, conjuncts
from millstream.sql.plan.properties import changelog, time_columns, window_columns

RANKS: Final = ("ROW_NUMBER", "RANK", "DENSE_RANK")


@dataclass
class _Range:
    first: int = 1
    last: int | None = None


def recognise_rank(node: n.Node) -> n.Node:
    """The plan with top-n and deduplication where the query says so."""
    return n.transform(node, _recognise)


def _recognise(node: n.Node) -> n.Node:
    if not isinstance(node, n.Filter) or not isinstance(node.input, n.Over):
        return node
    over = node.input
    if len(over.calls) != 1 or over.calls[0].name not in RANKS:
        return node
    rank = len(over.row) - 1
    wanted = _Range()
    rest = [condition for condition in conjuncts(node.condition) if not _narrow(wanted, condition, rank)]
    if wanted.last is None:
        return node
    ranked = _with_range(over, wanted)
    condition = conjunction(rest)
    return ranked if condition is None else replace(node, input=ranked, condition=condition)


def _with_range(over: n.Over, wanted: _Range) -> n.Node:
    assert wanted.last is not None
    function = over.calls[0].name
    windows = window_columns(over.input)
    partition, window = over.partition, None
    if windows is not None:
        starts = [column for column in partition if column in windows.starts]
        ends = [column for column in partition if column in windows.ends]
        if starts and ends:
            window = (starts[0], ends[0])
            partition = tuple(c for c in partition if c not in windows.starts | windows.ends | windows.times)
    plain = n.Rank(over.row, over.input, function, partition, over.order, wanted.first, wanted.last, True, window)
    if window is not None or function != "ROW_NUMBER" or (wanted.first, wanted.last) != (1, 1) or len(over.order) != 1:
        return plain
    order = over.order[0]
    times = time_columns(over.input)
    if order.column not in times or not changelog(over.input).append_only:
        return plain
    if times[order.column] is TimeAttribute.NONE:
        return plain
    first = n.Deduplicate(over.input.row, over.input, partition, order.column, keep_last=not order.ascending)
    number = over.row[len(over.row) - 1]
    return n.Project(over.row, first, (*identity(over.input.row), Literal(number.type, 1)))


def _narrow(wanted: _Range, condition: Expression, rank: int) -> bool:
    """Take a condition on the rank into account; False for any other."""
    if not isinstance(condition, Call) or condition.name not in FLIPPED:
        return False
    left, right = condition.arguments
    name = condition.name
    if isinstance(left, Literal):
        left, right, name = right, left, FLIPPED[name]
    if isinstance(left, Call) and left.name == "CAST":
        left = left.arguments[0]
    if not isinstance(left, InputRef) or left.index != rank or not isinstance(right, Literal):
        return False
    if not isinstance(right.value, int):
        return False
    if name in ("<", "<=", "="):
        last = right.value - (name == "<")
        wanted.last = last if wanted.last is None else min(wanted.last, last)
    if name in (">", ">=", "="):
        wanted.first = max(wanted.first, right.value + (name == ">"))
    return True
