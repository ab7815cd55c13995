"""What an operator keeps in state, and for how long: for EXPLAIN, and to warn of state that grows for ever."""

from __future__ import annotations

from dataclasses import dataclass

from millstream.core.table import specs as s
from millstream.core.table.row_type import RowType
from millstream.sql.planner.physical import PhysicalOperator

_WINDOW = "until the watermark has passed its windows"


@dataclass(frozen=True)
class StateNote:
    """``holds``: what one operator keeps. ``grows``: nothing ever removes it, so it grows with the keys or the rows."""

    holds: str
    lasts: str
    grows: bool = False

    def __str__(self) -> str:
        return f"{self.holds}, {self.lasts}"


def state_note(operator: PhysicalOperator) -> StateNote | None:
    """What the operator keeps; None for one without keyed state."""
    spec = operator.spec
    match spec:
        case s.GroupAggregateSpec():
            return _kept(f"a row for each {_names(spec.input, spec.keys)}", spec.ttl_ms, bounded=not spec.keys)
        case s.WindowAggregateSpec():
            return StateNote(f"a row for each {_names(spec.input, spec.keys)} and slice of a window", _WINDOW)
        case s.WindowRankSpec():
            return StateNote(f"{spec.last} rows for each {_names(spec.input, spec.partition)} and window", _WINDOW)
        case s.DeduplicateSpec():
            return _kept(f"a row for each {_names(spec.input, spec.keys)}", spec.ttl_ms)
        case s.RankSpec():
            count = f"{spec.last} rows" if not spec.retracts and spec.last is not None else "all rows"
            bounded = not spec.partition and not spec.retracts
            return _kept(f"{count} for each {_names(spec.input, spec.partition)}", spec.ttl_ms, bounded=bounded)
        case s.OverSpec():
            held = f"the rows of the frame for each {_names(spec.input, spec.partition)}"
            return _kept(held, spec.ttl_ms, bounded=spec.preceding is not None)
        case s.GeneralOverSpec() if spec.final_only:
            return StateNote("all rows", "until the input ends")
        case s.GeneralOverSpec():
            return _kept(f"all rows for each {_names(spec.input, spec.partition)}, with their results", spec.ttl_ms)
        case s.JoinSpec():
            ttl_ms = min(spec.left.ttl_ms, spec.right.ttl_ms)
            return _kept("all rows of both sides", ttl_ms)
        case s.IntervalJoinSpec():
            return StateNote("rows of both sides", "until the watermark has passed the interval")
        case s.WindowJoinSpec():
            return StateNote("rows of both sides", "until the watermark has passed their window")
        case s.TemporalJoinSpec():
            return StateNote("the versions of the right side, and left rows", "until the watermark has passed them")
        case s.ChangelogNormalizeSpec() | s.UpsertMaterializeSpec():
            return _kept(f"a row for each {_names(spec.input, spec.keys)}", spec.ttl_ms)
        case s.TemporalSortSpec():
            return StateNote("rows", "until the watermark has passed them")
        case s.SortLimitSpec() if spec.order:
            return StateNote("all rows", "until the input ends")
    return None


def growing(operators: list[PhysicalOperator]) -> list[str]:
    """A sentence for each operator whose state only grows."""
    warnings = []
    for operator in operators:
        note = state_note(operator)
        if note is not None and note.grows:
            warnings.append(
                f"{operator.name}({', '.join(operator.row.names)}) keeps {note}. On an endless input it grows without "
                f"bound: SET 'table.exec.state.ttl' = '1 d', give it a STATE_TTL hint, or bound it by a window."
            )
    return warnings


def _kept(holds: str, ttl_ms: int, *, bounded: bool = False) -> StateNote:
    if ttl_ms > 0:
        return StateNote(holds, f"for {ttl_ms / 1000:g} s after its last change")
    return StateNote(holds, "for ever", grows=not bounded)


def _names(row: RowType, columns: tuple[int, ...]) -> str:
    if not columns:
        return "job"
    return f"({', '.join(row[column].name for column in columns)})"
