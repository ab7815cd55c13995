"""What each operator of a query does. The planner makes them, ``taskmanager.operators.table`` runs them.

All batches are ``ArrowBatch`` with the schema ``input.arrow_schema()``; row kinds are None where all rows are inserts.
Columns are positions. ``output`` is the type of what the operator emits. A keyed operator gets the rows of a key in one
subtask: the exchange before it hashes the same columns (``ColumnKey``).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from millstream.core.graph.specs import OperatorSpec
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Expression
from millstream.core.table.row_type import RowType


@dataclass(frozen=True)
class ColumnKey:
    """The key selector of SQL exchanges: these columns of an Arrow batch; none for a single group."""

    columns: tuple[int, ...]

    def __call__(self, record: Any) -> tuple[Any, ...]:
        return tuple(list(record.values())[index] for index in self.columns)


class JoinKind(enum.Enum):
    INNER = "INNER"
    LEFT = "LEFT"
    RIGHT = "RIGHT"
    FULL = "FULL"
    SEMI = "SEMI"
    ANTI = "ANTI"

    @property
    def keeps_left(self) -> bool:
        """Left rows without a match come out too, with NULLs."""
        return self in (JoinKind.LEFT, JoinKind.FULL)

    @property
    def keeps_right(self) -> bool:
        return self in (JoinKind.RIGHT, JoinKind.FULL)


class WindowKind(enum.Enum):
    TUMBLE = "TUMBLE"
    HOP = "HOP"
    CUMULATE = "CUMULATE"
    SESSION = "SESSION"


@dataclass(frozen=True)
class Window:
    """How rows are assigned to windows; all in milliseconds."""

    kind: WindowKind
    size_ms: int
    """Of SESSION: the gap."""
    step_ms: int = 0
    """Slide of HOP, step of CUMULATE; 0 for the others."""
    offset_ms: int = 0


@dataclass(frozen=True)
class SortKey:
    """One column of an ORDER BY."""

    column: int
    ascending: bool = True
    nulls_first: bool = True
    """Flink's default: NULLs first ascending, last descending."""


@dataclass(frozen=True)
class TableOperatorSpec(OperatorSpec):
    """Base: what the operator reads and emits."""

    input: RowType
    output: RowType


@dataclass(frozen=True)
class CalcSpec(TableOperatorSpec):
    """Filter, then compute. Keeps row kinds. ``projections`` have the length of ``output``."""

    projections: tuple[Expression, ...]
    condition: Expression | None = None


@dataclass(frozen=True)
class WatermarkAssignerSpec(TableOperatorSpec):
    """Emits ``expression`` (a TIMESTAMP over the row) at its maximum as the watermark."""

    rowtime: int
    expression: Expression
    idle_timeout_ms: int = 0
    """0: never idle (``table.exec.source.idle-timeout``)."""


@dataclass(frozen=True)
class ExpandSpec(TableOperatorSpec):
    """Each row once for each of ``projections`` (GROUPING SETS)."""

    projections: tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True)
class ReplicateSpec(TableOperatorSpec):
    """Each row as often as its last column (BIGINT) says, without that column; never for 0 and less."""


@dataclass(frozen=True)
class CorrelateSpec(TableOperatorSpec):
    """Each row with the rows of a table function of it: ``output`` is the input's columns, then the function's.

    ``function`` is ``UNNEST`` (``call`` gives an ARRAY, MAP or MULTISET) or a user's.
    """

    call: Expression
    function: Any
    """``"UNNEST"`` or a ``millstream.core.table.python_functions.PythonTableFunction``."""
    arguments: tuple[Expression, ...]
    left_outer: bool
    condition: Expression | None = None
    """Over ``output``."""
    with_ordinality: bool = False


@dataclass(frozen=True)
class WindowTableSpec(TableOperatorSpec):
    """Adds window_start, window_end, window_time; a row comes once for each of its windows. Not for SESSION."""

    window: Window
    time: int
    """The column with the event time, or the PROCTIME one."""
    event_time: bool = True


@dataclass(frozen=True)
class GroupAggregateSpec(TableOperatorSpec):
    """``output``: the key columns, then the aggregates. Emits what changed once a batch, not once a row."""

    keys: tuple[int, ...]
    aggregates: tuple[AggregateCall, ...]
    retracts: bool
    """The input has -U and -D rows."""
    update_before: bool
    """Somebody downstream needs -U rows."""
    ttl_ms: int = 0
    final_only: bool = False
    """Batch mode: emit inserts at the end of the input and nothing before."""
    global_row: bool = False
    """Without keys: batch mode emits one row for empty input."""


@dataclass(frozen=True)
class WindowAggregateSpec(TableOperatorSpec):
    """Windows with aggregates. ``output``: key columns, aggregates, then the ``properties``.

    The time is either the column ``time`` (rows are assigned here), or, with ``attached``, the windows of an operator
    before: ``time`` is then window_end and ``attached_start`` window_start.
    """

    keys: tuple[int, ...]
    aggregates: tuple[AggregateCall, ...]
    window: Window
    time: int
    properties: tuple[str, ...] = ()
    """Of window_start, window_end, window_time, proctime, in the order of the output."""
    event_time: bool = True
    attached_start: int | None = None
    allowed_lateness_ms: int = 0
    retracts: bool = False


@dataclass(frozen=True)
class WindowRankSpec(TableOperatorSpec):
    """Top-n in each window: ``partition`` without the window columns; ``output`` the input, perhaps a rank."""

    partition: tuple[int, ...]
    order: tuple[SortKey, ...]
    window_start: int
    window_end: int
    first: int
    last: int
    with_rank: bool
    event_time: bool = True


@dataclass(frozen=True)
class DeduplicateSpec(TableOperatorSpec):
    """First or last row of each key by row time (``order`` a column) or by arrival (``order`` None)."""

    keys: tuple[int, ...]
    order: int | None
    keep_last: bool
    update_before: bool
    retracts: bool = False
    ttl_ms: int = 0
    final_only: bool = False
    """Batch mode: emit inserts at the end of the input and nothing before."""


@dataclass(frozen=True)
class RankSpec(TableOperatorSpec):
    """Top-n: rows with a rank from ``first`` to ``last`` in their partition; ``output`` the input, perhaps a rank."""

    function: str
    """ROW_NUMBER, RANK or DENSE_RANK."""
    partition: tuple[int, ...]
    order: tuple[SortKey, ...]
    first: int
    last: int | None
    """None: no end (only with a rank column)."""
    with_rank: bool
    retracts: bool
    update_before: bool
    input_key: tuple[int, ...] | None = None
    """The unique key of the input where it updates by key: a row replaces the one before it."""
    ttl_ms: int = 0
    final_only: bool = False
    """Batch mode: emit inserts at the end of the input and nothing before."""


@dataclass(frozen=True)
class LocalRankSpec(TableOperatorSpec):
    """Of each batch, the rows that are among the first ``last`` of their partition in it. Input only grows."""

    partition: tuple[int, ...]
    order: tuple[SortKey, ...]
    """None: by arrival."""
    last: int
    last_wins: bool = False
    """Of equal rows those that came last stand first."""


class FrameKind(enum.Enum):
    ROWS = "ROWS"
    RANGE = "RANGE"


FrameBound = int | Decimal | None
"""How far a frame reaches from the current row: rows; milliseconds, where RANGE goes by a time; or what RANGE adds to a
number. Negative ones reach to the other side. None: to the end of the partition."""


@dataclass(frozen=True)
class OverSpec(TableOperatorSpec):
    """``output``: the input, then the aggregates of the frame that ends at each row. Append-only input in the order of
    its time: a row's results never change."""

    partition: tuple[int, ...]
    order: int
    """The time column."""
    event_time: bool
    frame: FrameKind
    preceding: int | None
    """Rows, or milliseconds; None for UNBOUNDED."""
    aggregates: tuple[AggregateCall, ...]
    ttl_ms: int = 0


@dataclass(frozen=True)
class GeneralOverSpec(TableOperatorSpec):
    """OVER by any order, with any frame, over any input. ``output``: the input, then the aggregates."""

    partition: tuple[int, ...]
    order: tuple[SortKey, ...]
    frame: FrameKind
    preceding: FrameBound
    following: FrameBound
    aggregates: tuple[AggregateCall, ...]
    retracts: bool
    """The input has -U and -D rows."""
    update_before: bool
    ttl_ms: int = 0
    final_only: bool = False
    """Batch mode: emit inserts at the end of the input and nothing before."""


@dataclass(frozen=True)
class ChangelogNormalizeSpec(TableOperatorSpec):
    """From upserts by ``keys`` (without -U) to a full changelog."""

    keys: tuple[int, ...]
    update_before: bool
    ttl_ms: int = 0


@dataclass(frozen=True)
class DropUpdateBeforeSpec(TableOperatorSpec):
    """Leaves out -U rows."""


@dataclass(frozen=True)
class UpsertMaterializeSpec(TableOperatorSpec):
    """Before an upsert sink whose key differs from that of the changelog: keeps what each key's rows are, in order."""

    keys: tuple[int, ...]
    ttl_ms: int = 0


@dataclass(frozen=True)
class SortLimitSpec(TableOperatorSpec):
    """ORDER BY and LIMIT of a whole input: emits at its end (``final_only``), or LIMIT alone row by row."""

    order: tuple[SortKey, ...]
    offset: int
    fetch: int | None
    retracts: bool = False
    """The input has -U and -D rows (only with an order): all rows are kept, however small the limit."""


@dataclass(frozen=True)
class TemporalSortSpec(TableOperatorSpec):
    """ORDER BY event time first: rows leave when the watermark has passed them."""

    order: tuple[SortKey, ...]


@dataclass(frozen=True)
class NotNullSpec(TableOperatorSpec):
    """Refuses (``table.exec.sink.not-null-enforcer = ERROR``) or drops rows with NULL in ``columns``."""

    columns: tuple[int, ...]
    drop: bool
    table: str


@dataclass(frozen=True)
class JoinInput:
    """What a join knows of one of its inputs."""

    type: RowType
    keys: tuple[int, ...]
    """Equal to those of the other side, position by position; empty for a cross join."""
    retracts: bool = False
    ttl_ms: int = 0


@dataclass(frozen=True)
class TwoInputSpec(OperatorSpec):
    """Base of joins. ``output``: the left columns, then the right ones (only the left ones of SEMI and ANTI)."""

    left: JoinInput
    right: JoinInput
    output: RowType


@dataclass(frozen=True)
class JoinSpec(TwoInputSpec):
    """A regular join: both sides are kept. Keys that are NULL match nothing unless ``null_safe``."""

    join: JoinKind
    condition: Expression | None = None
    """Over left and right columns, beside the equal keys."""
    null_safe: tuple[bool, ...] = ()
    """By key: IS NOT DISTINCT FROM."""
    update_before: bool = True
    final_only: bool = False
    """Batch mode: outer rows are emitted once, at the end."""


@dataclass(frozen=True)
class IntervalJoinSpec(TwoInputSpec):
    """``right time + lower_ms <= left time <= right time + upper_ms``."""

    join: JoinKind
    left_time: int
    right_time: int
    lower_ms: int
    upper_ms: int
    event_time: bool = True
    condition: Expression | None = None


@dataclass(frozen=True)
class WindowJoinSpec(TwoInputSpec):
    """Rows of the same window; the windows of both sides are attached."""

    join: JoinKind
    left_window: tuple[int, int]
    """Positions of window_start and window_end."""
    right_window: tuple[int, int]
    condition: Expression | None = None


@dataclass(frozen=True)
class TemporalJoinSpec(TwoInputSpec):
    """Each left row with the version of the right side that was valid at its time (event time) or is now."""

    join: JoinKind
    left_time: int
    right_time: int
    event_time: bool
    condition: Expression | None = None


@dataclass(frozen=True)
class LookupJoinSpec(TableOperatorSpec):
    """Each row with what ``lookup`` finds for its keys now. ``output``: the input's columns, then the table's."""

    join: JoinKind
    keys: tuple[Expression, ...]
    """Over the input, equal to ``table_keys``."""
    lookup: Any
    """A ``millstream.core.table.lookups.LookupFunction``."""
    table_keys: tuple[str, ...]
    """Columns of what ``lookup`` gives."""
    steps: tuple[CalcSpec, ...]
    """From the rows that ``lookup`` gives to those of ``table``."""
    table: RowType
    condition: Expression | None = None
    """Over the input's columns, then the table's, beside the equal keys."""


@dataclass(frozen=True)
class RowsToTableSpec(OperatorSpec):
    """Python records to columns: fields by name from dicts and objects, by position from tuples."""

    output: RowType
    changelog: bool = False
    """Records are ``Row`` with a row kind."""
    rowtime: int | None = None
    """The column that gets the record's event time."""


@dataclass(frozen=True)
class TableToRowsSpec(OperatorSpec):
    """Columns to ``Row`` objects, or to what ``convert`` makes of a tuple."""

    input: RowType
    changelog: bool = False
    convert: Callable[[tuple[Any, ...]], Any] | None = None
