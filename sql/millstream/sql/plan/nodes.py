"""The relations of a logical plan.

All are frozen and compare by value: two equal trees compute the same, so the planner runs them once. Columns are
positions; ``row`` says what they are called and what types they have. The binder makes nodes from text, the rules of
``millstream.sql.optimizer`` replace them, ``millstream.sql.planner`` turns them into operators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Expression
from millstream.core.table.logical_types import BOOLEAN
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import FrameBound, FrameKind, JoinKind, SortKey, Window


@dataclass(frozen=True)
class Node:
    """Base of all relations."""

    row: RowType

    @property
    def inputs(self) -> tuple[Node, ...]:
        """What it reads, in order."""
        return tuple(value for field in fields(self) if isinstance(value := getattr(self, field.name), Node))

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        """A copy over other inputs, whose columns are the same in number and type."""
        names = [field.name for field in fields(self) if isinstance(getattr(self, field.name), Node)]
        changes: dict[str, Any] = dict(zip(names, inputs, strict=True))
        return replace(self, **changes)


@dataclass(frozen=True)
class Scan(Node):
    """A table of the catalog. ``row`` are its physical and metadata columns that are read."""

    table: Any
    """A ``millstream.sql.planner.tables.ScannedTable``."""
    projection: tuple[str, ...]
    """Names, or dotted paths to fields of rows, as the connector knows them; one a column."""
    filters: tuple[tuple[str, str, Any], ...] = ()
    """``(column, comparison, constant)`` that the source may use to leave rows out."""
    limit: int | None = None


@dataclass(frozen=True)
class Values(Node):
    """Rows of constants."""

    rows: tuple[tuple[Any, ...], ...]


ONE_ROW: Final = Values(RowType((Column("$row", BOOLEAN.with_nullable(False)),)), ((True,),))
"""What a query without FROM is computed over. Its column, which no name means, is there because batches count rows by
their columns."""


@dataclass(frozen=True)
class StreamScan(Node):
    """A stream of the DataStream API that became a table; ``stream`` is the client's, compared by identity.

    Its ``rowtime`` is the column that gets the event time of the records, None for none."""

    stream: Any
    changelog: bool = False


@dataclass(frozen=True)
class WatermarkAssigner(Node):
    """Declares ``rowtime`` to be event time, with watermarks by ``expression``."""

    input: Node
    rowtime: int
    expression: Expression


@dataclass(frozen=True)
class Project(Node):
    """Computes ``expressions``, one a column of ``row``."""

    input: Node
    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class Filter(Node):
    input: Node
    condition: Expression


@dataclass(frozen=True)
class WindowTable(Node):
    """A window table function: the input's columns, window_start, window_end, window_time."""

    input: Node
    window: Window
    time: int
    partition: tuple[int, ...] = ()
    """Of SESSION."""


@dataclass(frozen=True)
class Aggregate(Node):
    """GROUP BY: the key columns, then the aggregates. No keys: one row over everything."""

    input: Node
    keys: tuple[int, ...]
    calls: tuple[AggregateCall, ...]
    ttl_ms: int | None = None
    """From a hint; None for the session's."""


@dataclass(frozen=True)
class WindowAggregate(Node):
    """An aggregate whose keys include a window: keys, aggregates, then ``properties``."""

    input: Node
    keys: tuple[int, ...]
    calls: tuple[AggregateCall, ...]
    window: Window
    time: int
    """The column of the event time, or window_end of an input that has windows already (then ``attached_start``)."""
    properties: tuple[str, ...]
    attached_start: int | None = None


@dataclass(frozen=True)
class Expand(Node):
    """Each row once for each of the ``projections``: GROUPING SETS."""

    input: Node
    projections: tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True)
class Replicate(Node):
    """Each row as often as its last column says, without that column."""

    input: Node


@dataclass(frozen=True)
class Over(Node):
    """The input's columns, then ``calls`` over the frame."""

    input: Node
    partition: tuple[int, ...]
    order: tuple[SortKey, ...]
    frame: FrameKind
    preceding: FrameBound
    calls: tuple[AggregateCall, ...]
    following: FrameBound = 0


@dataclass(frozen=True)
class Rank(Node):
    """Rows whose rank in their partition is in a range; perhaps the rank as a last column."""

    input: Node
    function: str
    partition: tuple[int, ...]
    order: tuple[SortKey, ...]
    first: int
    last: int | None
    with_rank: bool
    window: tuple[int, int] | None = None
    """Positions of window_start and window_end, when the partition is in a window."""


@dataclass(frozen=True)
class Deduplicate(Node):
    """The first or last row of each key by a time attribute."""

    input: Node
    keys: tuple[int, ...]
    order: int
    keep_last: bool


@dataclass(frozen=True)
class Join(Node):
    """Left columns, then right columns (SEMI, ANTI: only left). ``condition`` is over both."""

    left: Node
    right: Node
    join: JoinKind
    condition: Expression | None
    ttl_ms: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True)
class IntervalJoin(Node):
    left: Node
    right: Node
    join: JoinKind
    condition: Expression
    """The whole condition, the interval too."""
    left_time: int
    right_time: int
    """Position among the right columns."""
    lower_ms: int
    upper_ms: int


@dataclass(frozen=True)
class WindowJoin(Node):
    left: Node
    right: Node
    join: JoinKind
    condition: Expression
    left_window: tuple[int, int]
    right_window: tuple[int, int]


@dataclass(frozen=True)
class TemporalJoin(Node):
    """``right FOR SYSTEM_TIME AS OF left.time``."""

    left: Node
    right: Node
    join: JoinKind
    condition: Expression
    left_time: int


@dataclass(frozen=True)
class Correlate(Node):
    """Each row with the rows of a table function of it, or of an array of it."""

    input: Node
    function: Any
    arguments: tuple[Expression, ...]
    left_outer: bool
    with_ordinality: bool = False


@dataclass(frozen=True)
class Union(Node):
    """UNION ALL."""

    parts: tuple[Node, ...]

    @property
    def inputs(self) -> tuple[Node, ...]:
        return self.parts

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        return replace(self, parts=inputs)


@dataclass(frozen=True)
class SetOperation(Node):
    """INTERSECT or EXCEPT; ``all`` counts equal rows."""

    left: Node
    right: Node
    intersect: bool
    all: bool


@dataclass(frozen=True)
class Sort(Node):
    """ORDER BY and LIMIT."""

    input: Node
    order: tuple[SortKey, ...]
    offset: int = 0
    fetch: int | None = None


def transform(node: Node, change: Callable[[Node], Node]) -> Node:
    """A copy in which ``change`` was applied to every relation, inputs first."""
    inputs = node.inputs
    changed = tuple(transform(child, change) for child in inputs)
    if any(new is not old for new, old in zip(changed, inputs, strict=True)):
        node = node.with_inputs(changed)
    return change(node)
