"""Times and intervals under ``+ - * /``: moving a time by months keeps the day, or takes the month's last one."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.columns import column
from millstream.core.table.functions.function import EvaluationContext, Signature, Value
from millstream.core.table.functions.zones import to_instant, to_local
from millstream.core.table.logical_types import LogicalType, TypeRoot
from millstream.core.table.time_patterns import TICKS

_R = TypeRoot
_DAY_MS: Final = 86_400_000
_MOVABLE: Final = (_R.DATE, _R.TIME, *lt.TIMESTAMPS)


def bind(name: str, left: LogicalType, right: LogicalType) -> Signature | None:
    """The signature where a time or an interval takes part; None where ``name`` has none for these types."""
    nullable = left.nullable or right.nullable
    if name in "+-" and left.root in _MOVABLE and right.root in lt.INTERVALS:
        if left.root is _R.TIME and right.root is _R.INTERVAL_YEAR_MONTH:
            return None
        return Signature((left, right), left.with_nullable(nullable))
    if name == "+" and left.root in lt.INTERVALS and right.root in _MOVABLE:
        return Signature((left, right), right.with_nullable(nullable))
    if left.root in lt.INTERVALS and left.root is right.root and name in "+-":
        return Signature((left, right), left.with_nullable(nullable))
    if left.root in lt.INTERVALS and right.root in lt.NUMERIC and name in "*/":
        return Signature(
            (left, lt.DOUBLE if right.root not in lt.INTEGERS else lt.BIGINT), left.with_nullable(nullable)
        )
    if left.root in lt.NUMERIC and right.root in lt.INTERVALS and name == "*":
        return Signature(
            (lt.DOUBLE if left.root not in lt.INTEGERS else lt.BIGINT, right), right.with_nullable(nullable)
        )
    dates = (_R.DATE, *lt.TIMESTAMPS)
    if name == "-" and left.root in dates and right.root in dates:
        from millstream.core.table.functions.coercion import common_type

        common = common_type([left, right])
        assert common is not None
        return Signature((common, common), lt.INTERVAL_DAY_TIME.with_nullable(nullable))
    return None


def concerns(kind: LogicalType) -> bool:
    """Whether an operation with this result is one of times or intervals."""
    return kind.root in (*_MOVABLE, *lt.INTERVALS)


def evaluate(name: str, left: Value, right: Value, kind: LogicalType, context: EvaluationContext) -> Value:
    if kind.root in lt.INTERVALS:
        return _interval(name, left, right, kind)
    if (
        pa.types.is_duration(left.type)
        or (kind.root is not _R.DATE and pa.types.is_int32(left.type))
        or (kind.root is _R.DATE and not pa.types.is_date(left.type))
    ):
        left, right = right, left
    if pa.types.is_duration(right.type):
        return _moved_by_time(left, pc.negate(_integers(right)) if name == "-" else _integers(right), kind)
    months = pc.negate(right) if name == "-" else right
    return add_months(left, months, kind, context)


def add_months(times: Value, months: Value, kind: LogicalType, context: EvaluationContext) -> Value:
    """``times`` (DATE or TIMESTAMP) moved by whole months; TIMESTAMP_LTZ moves in the session's zone."""
    rows = len(times) if not isinstance(times, pa.Scalar) else len(months)
    zoned = kind.root is _R.TIMESTAMP_LTZ
    local = to_local(column(times, rows), context) if zoned else column(times, rows)
    known = pc.and_(pc.is_valid(local), pc.is_valid(column(months, rows)))
    count = _numpy(column(months, rows)).astype(np.int64)
    if kind.root is _R.DATE:
        moved = pa.array(_moved_days(_numpy(local).astype(np.int64), count).astype(np.int32)).cast(pa.date32())
    else:
        per_day = _DAY_MS * (TICKS[local.type.unit] // 1000)
        stamps = _numpy(local.cast(pa.int64()))
        days = stamps // per_day
        moved = pa.array(_moved_days(days, count) * per_day + (stamps - days * per_day)).cast(local.type)
    moved = to_instant(moved, context) if zoned else moved
    return pc.if_else(known, moved, pa.scalar(None, moved.type))


def _moved_days(days: npt.NDArray[np.int64], months: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    dates = days.astype("datetime64[D]")
    firsts = dates.astype("datetime64[M]")
    place = (dates - firsts.astype("datetime64[D]")).astype(np.int64)
    targets = firsts + months.astype("timedelta64[M]")
    starts = targets.astype("datetime64[D]").astype(np.int64)
    lengths = (targets + np.timedelta64(1, "M")).astype("datetime64[D]").astype(np.int64) - starts
    moved: npt.NDArray[np.int64] = starts + np.minimum(place, lengths - 1)
    return moved


def _moved_by_time(times: Value, ms: Value, kind: LogicalType) -> Value:
    if kind.root is _R.DATE:
        stamps = pc.add(pc.multiply(pc.cast(pc.cast(times, pa.int32()), pa.int64()), _DAY_MS), ms)
        return pc.cast(pc.cast(floor_divide(stamps, _DAY_MS), pa.int32()), pa.date32())
    if kind.root is _R.TIME:
        moved = pc.add(pc.cast(pc.cast(times, pa.int32()), pa.int64()), ms)
        days = floor_divide(moved, _DAY_MS)
        return pc.cast(pc.cast(pc.subtract(moved, pc.multiply(days, _DAY_MS)), pa.int32()), pa.time32("ms"))
    factor = TICKS[times.type.unit] // 1000
    return pc.cast(pc.add(pc.cast(times, pa.int64()), pc.multiply(ms, factor)), times.type)


def _interval(name: str, left: Value, right: Value, kind: LogicalType) -> Value:
    arrow = kind.arrow()
    if name == "-" and pa.types.is_timestamp(left.type):
        factor = TICKS[left.type.unit] // 1000
        span = pc.subtract(pc.cast(left, pa.int64()), pc.cast(right, pa.int64()))
        return pc.cast(floor_divide(span, factor) if factor > 1 else span, arrow)
    if name == "-" and pa.types.is_date(left.type):
        days = pc.subtract(pc.cast(left, pa.int32()), pc.cast(right, pa.int32()))
        return pc.cast(pc.multiply(pc.cast(days, pa.int64()), _DAY_MS), arrow)
    one, other = _integers(left), _integers(right)
    kernel: Any = {"+": pc.add, "-": pc.subtract, "*": pc.multiply, "/": pc.divide}[name]
    answer = kernel(one, other)
    if pa.types.is_floating(answer.type):
        answer = pc.cast(pc.trunc(answer), pa.int64())
    return pc.cast(answer, arrow, safe=False) if pa.types.is_int32(arrow) else pc.cast(answer, arrow)


def _integers(value: Value) -> Value:
    """Intervals as 64-bit counts of months or milliseconds; numbers as they are."""
    if pa.types.is_duration(value.type) or pa.types.is_integer(value.type):
        return pc.cast(value, pa.int64())
    return value


def floor_divide(values: Value, divisor: int) -> Value:
    """Whole division towards minus infinity; the divisor is positive."""
    quotient = pc.divide(values, divisor)
    short = pc.and_(pc.less(values, 0), pc.not_equal(pc.multiply(quotient, divisor), values))
    return pc.if_else(short, pc.subtract(quotient, 1), quotient)


def _numpy(values: pa.Array) -> npt.NDArray[Any]:
    """Physical integers, NULL as 0."""
    if pa.types.is_date(values.type):
        values = values.cast(pa.int32())
    array: npt.NDArray[Any] = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    return array
