"""What time it is: the operator's clock read once a batch, and the watermark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import Kind, takes
from millstream.core.table.functions.columns import nulls
from millstream.core.table.functions.function import (
    EvaluationContext,
    ScalarFunction,
    Signature,
    TypeMismatch,
    Value,
)
from millstream.core.table.functions.zones import to_local
from millstream.core.table.logical_types import LogicalType

_DAY_MS: Final = 86_400_000


def _instant(context: EvaluationContext) -> Any:
    return pa.scalar(context.now_us // 1000, pa.int64()).cast(pa.timestamp("ms", tz="UTC"))


def _local(context: EvaluationContext) -> Any:
    return to_local(_instant(context), context)


def _local_date(context: EvaluationContext) -> Any:
    return pc.cast(pc.floor_temporal(_local(context), unit="day"), pa.date32())


def _local_time(context: EvaluationContext) -> Any:
    seconds = pc.cast(_local(context), pa.int64()).as_py() % _DAY_MS // 1000
    return pa.scalar(seconds * 1000, pa.int32()).cast(pa.time32("ms"))


def _now(name: str, kind: LogicalType, read: Callable[[EvaluationContext], Any], summary: str) -> ScalarFunction:
    def evaluate(arguments: Sequence[Value], result: LogicalType, context: EvaluationContext) -> Value:
        return read(context)

    rule = takes(name, result=kind, nullable=False)
    return ScalarFunction(name, rule, evaluate, deterministic=False, summary=summary)


_ROWTIME: Final = Kind(
    "a time attribute", lambda kind: kind if kind.root in lt.TIMESTAMPS and kind.precision <= 3 else None
)


def _watermark(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    if context.watermark_ms is None:
        return nulls(kind)
    return pa.scalar(context.watermark_ms, pa.int64()).cast(kind.arrow())


def _bind_overlaps(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 4:
        raise TypeMismatch("OVERLAPS takes two pairs: (start, end or interval) OVERLAPS (start, end or interval)")
    for position in (0, 2):
        start, end = types[position], types[position + 1]
        if start.root not in lt.TEMPORAL or end.root not in (start.root, *lt.INTERVALS):
            raise TypeMismatch(f"OVERLAPS does not take {start.text()} and {end.text()} as a pair")
    if types[0].root is not types[2].root:
        raise TypeMismatch(f"OVERLAPS does not compare {types[0].text()} with {types[2].text()}")
    return Signature(tuple(types), lt.BOOLEAN.with_nullable(any(kind.nullable for kind in types)))


def _overlaps(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    (start, end), (other_start, other_end) = (
        _period(arguments[0], arguments[1], context),
        _period(arguments[2], arguments[3], context),
    )
    return pc.and_kleene(pc.greater_equal(end, other_start), pc.greater_equal(other_end, start))


def _period(start: Value, end: Value, context: EvaluationContext) -> tuple[Value, Value]:
    """In order; an interval is added to the start."""
    if pa.types.is_duration(end.type) or pa.types.is_int32(end.type):
        from millstream.core.table.arrow_types import logical_type
        from millstream.core.table.functions.time_arithmetic import evaluate

        end = evaluate("+", start, end, logical_type(start.type), context)
    later = pc.less_equal(start, end)
    return pc.if_else(later, start, end), pc.if_else(later, end, start)


_LTZ: Final = lt.timestamp_ltz(3)

FUNCTIONS: Final = (
    _now("CURRENT_DATE", lt.DATE, _local_date, "Today, in the session's zone."),
    _now("CURRENT_TIME", lt.TIME, _local_time, "The time of day, in the session's zone."),
    _now("LOCALTIME", lt.TIME, _local_time, "The time of day, in the session's zone."),
    _now("CURRENT_TIMESTAMP", _LTZ, _instant, "The instant of the batch."),
    _now("NOW", _LTZ, _instant, "The instant of the batch."),
    _now("CURRENT_ROW_TIMESTAMP", _LTZ, _instant, "The instant of the batch."),
    _now("PROCTIME", _LTZ, _instant, "The processing time, as a time attribute."),
    _now("LOCALTIMESTAMP", lt.timestamp(3), _local, "Date and time in the session's zone."),
    ScalarFunction(
        "CURRENT_WATERMARK",
        takes("CURRENT_WATERMARK", _ROWTIME, result=lambda kinds: kinds[0], nullable=True),
        _watermark,
        deterministic=False,
        summary="The watermark that the operator has seen; NULL before the first.",
    ),
    ScalarFunction(
        "OVERLAPS",
        _bind_overlaps,
        _overlaps,
        summary="Whether two periods share an instant.",
        examples=(
            (
                "OVERLAPS(TIME '02:55:00', INTERVAL '1' HOUR, TIME '03:30:00', INTERVAL '2' HOUR)",
                "TRUE",
            ),
            ("OVERLAPS(DATE '2024-01-01', DATE '2024-01-02', DATE '2024-01-03', DATE '2024-01-04')", "FALSE"),
        ),
    ),
)
