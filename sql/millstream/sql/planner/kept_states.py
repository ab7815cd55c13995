"""What each stateful operator keeps, by name and type: compared before a changed query starts from a savepoint.

Operators find their state by what they compute and by the columns of the rows they keep (``uids``), so types differ
where the tables under the query changed. Forms say no more than what the operators of the TaskManager store:
``INT`` and ``INT NOT NULL`` are one, a sum of ``INT`` and one of ``BIGINT`` too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from millstream.core.graph.specs import OperatorSpec
from millstream.core.graph.stream_graph import KeptState
from millstream.core.table import specs as s
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.logical_types import APPROXIMATE, LogicalType, TypeRoot
from millstream.core.table.row_type import RowType

_SUMS: Final = ("SUM", "SUM0", "AVG")
_OF_RESULT: Final = ("MIN", "MAX", "FIRST_VALUE", "LAST_VALUE")
_OF_NUMBERS: Final = ("COUNT", "STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP")


def kept_states(spec: OperatorSpec) -> tuple[KeptState, ...]:
    """The states of an operator; none for one that keeps no keyed state."""
    match spec:
        case s.GroupAggregateSpec():
            return (_groups("groups", spec.input, spec.keys, spec.aggregates, retracts=spec.retracts),)
        case s.WindowAggregateSpec():
            return (_groups("windows", spec.input, spec.keys, spec.aggregates, retracts=spec.retracts),)
        case s.OverSpec():
            rows = _rows("rows", spec.input, spec.partition)
            return rows, _groups("frames", spec.input, spec.partition, spec.aggregates, retracts=False)
        case s.GeneralOverSpec():
            return (_rows("rows", spec.input if spec.final_only else spec.output, spec.partition),)
        case s.DeduplicateSpec():
            first_by_arrival = not spec.keep_last and spec.order is None
            kept = spec.input.select(spec.keys) if first_by_arrival else spec.input
            return (_rows("rows", kept, () if first_by_arrival else spec.keys),)
        case s.ChangelogNormalizeSpec() | s.UpsertMaterializeSpec():
            return (_rows("rows", spec.input, spec.keys),)
        case s.RankSpec() | s.WindowRankSpec():
            return (_rows("rows", spec.input, spec.partition),)
        case s.TemporalSortSpec() | s.SortLimitSpec() if spec.order:
            return (_rows("rows", spec.input, ()),)
        case s.TemporalJoinSpec():
            return _side("left", spec.left), _side("versions", spec.right)
        case s.TwoInputSpec():
            return _side("left", spec.left), _side("right", spec.right)
    return ()


def kept_columns(spec: OperatorSpec) -> str:
    """Names of the columns of the rows that an operator keeps, which its relation does not tell; else nothing.

    A join is the same whichever further columns of its tables are asked for, and its state is not.
    """
    match spec:
        case s.TwoInputSpec():
            return f"{list(spec.left.type.names)} {list(spec.right.type.names)}"
        case s.GroupAggregateSpec() | s.WindowAggregateSpec():
            return ""
        case s.TableOperatorSpec() if kept_states(spec):
            return str(list(spec.input.names))
    return ""


def _side(name: str, side: s.JoinInput) -> KeptState:
    return _rows(name, side.type, side.keys)


def _rows(name: str, row: RowType, keys: Sequence[int]) -> KeptState:
    """Rows by some of their columns."""
    columns = ", ".join(f"{column.name} {_shown(column.type)}" for column in row.columns)
    forms = ", ".join(f"{column.name} {_stored(column.type)}" for column in row.columns)
    return KeptState(name, f"ROW<{columns}>", f"({forms}) by {list(keys)}")


def _groups(
    name: str, row: RowType, keys: Sequence[int], calls: Sequence[AggregateCall], *, retracts: bool
) -> KeptState:
    """Aggregates by key. Rows that may be taken back need more than those that may not."""
    key_types = [f"{row[key].name} {_shown(row[key].type)}" for key in keys]
    key_forms = [_stored(row[key].type) for key in keys]
    shown = [f"{call.with_names(row.names)} {_shown(call.type)}" for call in calls]
    forms = [_accumulator(call, retracts) for call in calls]
    taken_back = " of rows that may be taken back" if retracts else ""
    return KeptState(
        name,
        f"{', '.join(shown) or 'keys'} by ({', '.join(key_types)}){taken_back}",
        f"{forms} by {key_forms}{taken_back}",
    )


def _accumulator(call: AggregateCall, retracts: bool) -> str:
    arguments = [_stored(kind) for kind in call.argument_types]
    distinct = f" distinct {arguments}" if call.distinct else ""
    if call.function is not None:
        return f"{call.function.name}{distinct}"  # Python objects, which know how to change
    if call.name in _SUMS:
        return f"{_total(call.argument_types[0])}{distinct}"
    if call.name in _OF_RESULT:
        return f"{_stored(call.type)}{distinct}"
    return f"{call.name}{distinct if call.name in _OF_NUMBERS else arguments}"


def _total(kind: LogicalType) -> str:
    """What a sum is kept in. That of decimals is an integer, counted in the last digit."""
    if kind.root is TypeRoot.DECIMAL:
        return f"decimal of scale {kind.scale}"
    return "double" if kind.root in APPROXIMATE else "integer"


def _stored(kind: LogicalType) -> str:
    return str(kind.arrow())


def _shown(kind: LogicalType) -> str:
    return kind.with_nullable(True).text()
