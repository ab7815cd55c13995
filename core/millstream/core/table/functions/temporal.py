"""Times and texts: DATE_FORMAT, TO_TIMESTAMP, UNIX_TIMESTAMP and their like; differences and sums of times by units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.errors import JobGraphError
from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import TEXT, WHOLE, refused, takes
from millstream.core.table.functions.cast import cast_value
from millstream.core.table.functions.columns import column, failed, nulls, per_row
from millstream.core.table.functions.function import (
    NOT_LITERAL,
    EvaluationContext,
    ScalarFunction,
    Signature,
    TypeMismatch,
    Value,
)
from millstream.core.table.functions.temporal_parts import check_unit
from millstream.core.table.functions.time_arithmetic import add_months, floor_divide
from millstream.core.table.functions.zones import to_instant, to_local
from millstream.core.table.logical_types import LogicalType, TypeRoot
from millstream.core.table.time_patterns import (
    TICKS,
    format_column,
    format_tick,
    parse_column,
    parse_leniently,
    parse_text,
    time_pattern,
)

_R = TypeRoot
DEFAULT_PATTERN: Final = "yyyy-MM-dd HH:mm:ss"
_UNIT_MS: Final = {"WEEK": 604_800_000, "DAY": 86_400_000, "HOUR": 3_600_000, "MINUTE": 60_000, "SECOND": 1000}
_UNIT_MONTHS: Final = {"YEAR": 12, "QUARTER": 3, "MONTH": 1}
_DIFF_UNITS: Final = (*_UNIT_MONTHS, *_UNIT_MS, "MILLISECOND", "MICROSECOND", "NANOSECOND")


def check_pattern(literal: object) -> None:
    """Refuses a constant pattern that is none, when the query is planned."""
    if literal is not NOT_LITERAL and literal is not None:
        try:
            time_pattern(str(literal))
        except JobGraphError as error:
            raise TypeMismatch(error.message) from error


def _bind_format(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 2:
        raise TypeMismatch(f"DATE_FORMAT takes 2 arguments, not {len(types)}")
    kind = types[0]
    if kind.root in (*lt.TEXT, _R.NULL, _R.DATE):
        kind = lt.timestamp(3).with_nullable(kind.nullable)
    if kind.root not in lt.TIMESTAMPS:
        raise refused("DATE_FORMAT", 0, "a TIMESTAMP, a TIMESTAMP_LTZ or a STRING", types[0])
    if types[1].root not in (*lt.TEXT, _R.NULL):
        raise refused("DATE_FORMAT", 1, "a STRING", types[1])
    check_pattern(literals[1])
    nullable = types[0].nullable or types[1].nullable
    return Signature((kind, lt.STRING if types[1].root is _R.NULL else types[1]), lt.STRING.with_nullable(nullable))


def _date_format(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    times, pattern = arguments
    zoned = times.type.tz is not None
    local = to_local(times, context) if zoned else times
    if isinstance(pattern, pa.Scalar):
        if not pattern.is_valid:
            return nulls(kind)
        return format_column(column(local, 0), time_pattern(pattern.as_py()), context.time_zone)
    second = TICKS[local.type.unit]

    def one(tick: int, text: str) -> str:
        return format_tick(tick, second, time_pattern(text), context.time_zone)

    return per_row(one, [pc.cast(local, pa.int64()), pattern], kind, context, name="DATE_FORMAT")


def parse_times(texts: Value, pattern: Value, unit: str, context: EvaluationContext) -> Value:
    """Timestamps of texts under a pattern, NULL where they do not match it."""
    if isinstance(pattern, pa.Scalar):
        if not pattern.is_valid:
            return pa.scalar(None, pa.timestamp(unit))
        return parse_column(column(texts, context.rows), time_pattern(pattern.as_py()), unit)
    ticks = per_row(
        lambda text, source: parse_text(text, time_pattern(source), TICKS[unit]), [texts, pattern], lt.BIGINT, context
    )
    return pc.cast(ticks, pa.timestamp(unit))


def _parse_leniently(texts: Value, pattern: Value, context: EvaluationContext) -> Value:
    """The same in milliseconds for functions of Flink that read texts with Java's ``SimpleDateFormat``."""
    answer = column(parse_times(texts, pattern, "ms", context), context.rows)
    if answer.null_count == column(texts, context.rows).null_count:
        return answer
    ticks = per_row(
        lambda text, source: parse_leniently(text, time_pattern(source), TICKS["ms"]),
        [column(texts, context.rows), pattern],
        lt.BIGINT,
        context,
    )
    return pc.coalesce(answer, pc.cast(ticks, answer.type))


def _to_timestamp(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    if len(arguments) == 2:
        return parse_times(arguments[0], arguments[1], kind.arrow().unit, context)
    texts = column(arguments[0], context.rows)
    answer = parse_column(texts, time_pattern(DEFAULT_PATTERN), kind.arrow().unit)
    if answer.null_count == texts.null_count:
        return answer
    return pc.coalesce(answer, cast_value(texts, lt.STRING, kind, context, attempt=True))


def _bind_patterned(name: str, result: LogicalType) -> Callable[[Sequence[LogicalType], Sequence[object]], Signature]:
    rule = takes(name, TEXT, TEXT, optional=1, result=result, nullable=True)

    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        signature = rule(types, literals)
        check_pattern(literals[1] if len(literals) > 1 else None)
        return signature

    return bind


def _to_date(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    if len(arguments) == 2:
        return pc.cast(
            pc.floor_temporal(parse_times(arguments[0], arguments[1], "ms", context), unit="day"), pa.date32()
        )
    return cast_value(column(arguments[0], context.rows), lt.STRING, lt.DATE, context, attempt=True)


def _bind_ltz(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if not 1 <= len(types) <= 3:
        raise TypeMismatch(f"TO_TIMESTAMP_LTZ takes 1 to 3 arguments, not {len(types)}")
    kind = lt.STRING if types[0].root is _R.NULL and len(types) == 3 else types[0]
    if kind.root in lt.TEXT:
        for position in range(1, len(types)):
            if types[position].root not in (*lt.TEXT, _R.NULL):
                raise refused("TO_TIMESTAMP_LTZ", position, "a STRING", types[position])
        check_pattern(literals[1] if len(literals) > 1 else None)
        return Signature((kind, *[lt.STRING] * (len(types) - 1)), lt.timestamp_ltz(3))
    if kind.root not in (*lt.NUMERIC, _R.NULL) or len(types) == 3:
        raise refused("TO_TIMESTAMP_LTZ", 0, "a number or a STRING", kind)
    if len(types) == 2 and literals[1] not in (0, 3, NOT_LITERAL):
        raise TypeMismatch(f"the precision of TO_TIMESTAMP_LTZ is 0 (seconds) or 3 (milliseconds), not {literals[1]}")
    number = lt.BIGINT if kind.root in (*lt.INTEGERS, _R.NULL) else lt.DOUBLE
    return Signature((number, *[lt.INT] * (len(types) - 1)), lt.timestamp_ltz(3))


def _to_timestamp_ltz(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    first = arguments[0]
    if pa.types.is_string(first.type):
        zone = arguments[2].as_py() if len(arguments) == 3 else "UTC"
        local = _to_timestamp(arguments[:2], lt.timestamp(3), context)
        return to_instant(column(local, context.rows), context, zone)
    if pa.types.is_null(first.type):
        return nulls(kind)
    precision = arguments[1].as_py() if len(arguments) == 2 else 3
    if precision is None:
        return nulls(kind)
    ms = pc.multiply(first, pa.scalar(1000, first.type)) if precision == 0 else first
    if pa.types.is_floating(ms.type):
        ms = pc.cast(pc.trunc(ms), pa.int64())
    return pc.cast(ms, kind.arrow())


def _bind_diff(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 3:
        raise TypeMismatch("TIMESTAMPDIFF takes a unit and two times: TIMESTAMPDIFF(DAY, a, b)")
    unit = check_unit("TIMESTAMPDIFF", literals[0], units=_DIFF_UNITS)
    zoned = any(kind.root is _R.TIMESTAMP_LTZ for kind in types[1:])
    fine = unit in ("MICROSECOND", "NANOSECOND")
    parameters = []
    for position, kind in enumerate(types[1:], 1):
        if kind.root not in (*lt.TEXT, *lt.TIMESTAMPS, _R.DATE, _R.NULL):
            raise refused("TIMESTAMPDIFF", position, "a time or a date", kind)
        precision = 9 if fine else max(kind.precision if kind.root in lt.TIMESTAMPS else 0, 3)
        made = lt.timestamp_ltz(precision) if zoned else lt.timestamp(precision)
        parameters.append(made.with_nullable(kind.nullable))
    result = lt.BIGINT if fine else lt.INT
    return Signature((types[0], *parameters), result.with_nullable(any(kind.nullable for kind in types[1:])))


def _timestamp_diff(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    """Whole units from the first time to the second, truncated towards zero."""
    unit = arguments[0].as_py().upper()
    rows = max(len(value) for value in arguments if not isinstance(value, pa.Scalar))
    start, end = column(arguments[1], rows), column(arguments[2], rows)
    if start.type != end.type:
        finest = max(start.type, end.type, key=lambda given: TICKS[given.unit])
        start, end = pc.cast(start, finest), pc.cast(end, finest)
    if unit in _UNIT_MONTHS:
        zoned = start.type.tz is not None
        one, other = (to_local(value, context) if zoned else value for value in (start, end))
        return pc.cast(pc.divide(_whole_months(one, other), _UNIT_MONTHS[unit]), kind.arrow())
    span = pc.subtract(pc.cast(end, pa.int64()), pc.cast(start, pa.int64()))
    second = TICKS[start.type.unit]
    if unit in ("MICROSECOND", "NANOSECOND"):
        return pc.divide(span, 1000) if unit == "MICROSECOND" else span
    size = second // 1000 * _UNIT_MS.get(unit, 1)
    return pc.cast(pc.divide(span, size), kind.arrow(), safe=False)


def _whole_months(start: pa.Array, end: pa.Array) -> pa.Array:
    """Months between as Flink counts them, ``DateTimeUtils.subtractMonths``: from the earlier day to the later, where
    the last of a month is as good as a day that the month has not; less one when that hits the day of ``end`` before
    the time of day of ``start``."""
    per_day = 86400 * TICKS[start.type.unit]
    valid = pc.and_(pc.is_valid(start), pc.is_valid(end))
    ticks = [pc.fill_null(pc.cast(times, pa.int64()), 0).to_numpy(zero_copy_only=False) for times in (start, end)]
    (one, one_clock), (other, other_clock) = (np.divmod(times, per_day) for times in ticks)
    early, late = np.minimum(one, other), np.maximum(one, other)
    months = _month_numbers(late) - _month_numbers(early)
    months -= _months_later(early, months) > late
    months = np.where(other < one, -months, months)
    months -= (_months_later(one, months) == other) & (other_clock < one_clock)
    return pc.if_else(valid, pa.array(months), pa.scalar(None, pa.int64()))


def _month_numbers(days: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _months_later(days: npt.NDArray[np.int64], months: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Days since 1970 of the same day of another month, of its last day where it has no such day."""
    own = _month_numbers(days)
    first, following = (
        (own + months + shift).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for shift in (0, 1)
    )
    of_month = days - own.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    days_later: npt.NDArray[np.int64] = np.minimum(first + of_month, following - 1)
    return days_later


def _bind_add(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 3:
        raise TypeMismatch("TIMESTAMPADD takes a unit, a number and a time: TIMESTAMPADD(DAY, 1, ts)")
    unit = check_unit("TIMESTAMPADD", literals[0], units=_DIFF_UNITS)
    if types[1].root not in (*lt.INTEGERS, _R.NULL):
        raise refused("TIMESTAMPADD", 1, "a whole number", types[1])
    kind = types[2]
    if kind.root is _R.NULL or kind.root in lt.TEXT:
        kind = lt.timestamp(3)
    if kind.root is _R.DATE and unit not in (*_UNIT_MONTHS, "WEEK", "DAY"):
        kind = lt.timestamp(3)
    if kind.root not in (*lt.TIMESTAMPS, _R.DATE):
        raise refused("TIMESTAMPADD", 2, "a time or a date", types[2])
    nullable = types[1].nullable or types[2].nullable
    kind = kind.with_nullable(nullable)
    return Signature((types[0], lt.BIGINT.with_nullable(types[1].nullable), kind), kind)


def _timestamp_add(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    unit, count, times = arguments[0].as_py().upper(), arguments[1], arguments[2]
    if unit in _UNIT_MONTHS:
        months = pc.cast(pc.multiply(count, _UNIT_MONTHS[unit]), pa.int32())
        return add_months(times, months, kind, context)
    if kind.root is _R.DATE:
        days = pc.multiply(count, 7 if unit == "WEEK" else 1)
        return pc.cast(pc.cast(pc.add(pc.cast(pc.cast(times, pa.int32()), pa.int64()), days), pa.int32()), pa.date32())
    second = TICKS[times.type.unit]
    if unit in ("MICROSECOND", "NANOSECOND"):
        per_second = TICKS["us" if unit == "MICROSECOND" else "ns"]
        step = (
            pc.multiply(count, second // per_second)
            if second >= per_second
            else floor_divide(count, per_second // second)
        )
    else:
        step = pc.multiply(count, second // 1000 * _UNIT_MS.get(unit, 1))
    return pc.cast(pc.add(pc.cast(times, pa.int64()), step), times.type)


def _unix_timestamp(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    if not arguments:
        return pa.scalar(context.now_us // 1_000_000, pa.int64())
    pattern = arguments[1] if len(arguments) == 2 else pa.scalar(DEFAULT_PATTERN)
    local = _parse_leniently(arguments[0], pattern, context)
    seconds = floor_divide(pc.cast(to_instant(column(local, context.rows), context), pa.int64()), 1000)
    return pc.fill_null(seconds, -(2**63))


def _from_unixtime(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    pattern = arguments[1] if len(arguments) == 2 else pa.scalar(DEFAULT_PATTERN)
    instants = pc.cast(pc.cast(arguments[0], pa.timestamp("s", tz="UTC")), pa.timestamp("ms", tz="UTC"))
    return _date_format([instants, pattern], kind, context)


def _convert_tz(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    text, source, target = arguments
    if all(isinstance(zone, pa.Scalar) and zone.is_valid for zone in (source, target)):
        local = _parse_leniently(text, pa.scalar(DEFAULT_PATTERN), context)
        try:
            for zone in (source.as_py(), target.as_py()):
                ZoneInfo(zone)
        except (KeyError, ValueError) as error:
            raise failed("CONVERT_TZ", [source.as_py(), target.as_py()], "no such time zone") from error
        moved = to_local(to_instant(column(local, context.rows), context, source.as_py()), context, target.as_py())
        return format_column(column(moved, context.rows), time_pattern(DEFAULT_PATTERN))

    def one(given: str, from_zone: str, to_zone: str) -> str | None:
        row: list[Any] = [pa.array([given]), pa.scalar(from_zone), pa.scalar(to_zone)]
        answer = _convert_tz(row, kind, EvaluationContext(rows=1))[0].as_py()
        return None if answer is None else str(answer)

    return per_row(one, arguments, kind, context, name="CONVERT_TZ")


FUNCTIONS: Final = (
    ScalarFunction(
        "DATE_FORMAT",
        _bind_format,
        _date_format,
        summary="A time as a text, by a pattern of Java's DateTimeFormatter.",
        examples=(
            ("DATE_FORMAT(TIMESTAMP '2024-02-29 13:14:15', 'yyyy-MM-dd')", "2024-02-29"),
            ("DATE_FORMAT(TIMESTAMP '2024-02-29 13:14:15', 'EEE, d MMM yyyy h:mm a')", "Thu, 29 Feb 2024 1:14 PM"),
        ),
    ),
    ScalarFunction(
        "TO_TIMESTAMP",
        _bind_patterned("TO_TIMESTAMP", lt.timestamp(3)),
        _to_timestamp,
        summary="A text as TIMESTAMP(3), by a pattern; NULL where it does not match.",
        examples=(
            ("TO_TIMESTAMP('2024-01-31 10:20:30')", "2024-01-31 10:20:30.000"),
            ("TO_TIMESTAMP('31.01.2024', 'dd.MM.yyyy')", "2024-01-31 00:00:00.000"),
            ("TO_TIMESTAMP('x')", "NULL"),
        ),
    ),
    ScalarFunction(
        "TO_TIMESTAMP_LTZ",
        _bind_ltz,
        _to_timestamp_ltz,
        summary="Seconds (precision 0) or milliseconds (3) since 1970, or a text, as TIMESTAMP_LTZ(3).",
        examples=(
            ("TO_TIMESTAMP_LTZ(100, 0)", "1970-01-01 00:01:40.000"),
            ("TO_TIMESTAMP_LTZ(1000, 3)", "1970-01-01 00:00:01.000"),
            ("TO_TIMESTAMP_LTZ('2024-01-01 00:00:00')", "2024-01-01 00:00:00.000"),
        ),
    ),
    ScalarFunction(
        "TO_DATE",
        _bind_patterned("TO_DATE", lt.DATE),
        _to_date,
        summary="A text as DATE, by a pattern; NULL where it does not match.",
        examples=(("TO_DATE('2024-01-31')", "2024-01-31"), ("TO_DATE('31/01/24', 'dd/MM/yy')", "2024-01-31")),
    ),
    ScalarFunction(
        "TIMESTAMPDIFF",
        _bind_diff,
        _timestamp_diff,
        summary="Whole units of time from the first to the second.",
        examples=(
            ("TIMESTAMPDIFF(DAY, TIMESTAMP '2003-01-02 10:00:00', TIMESTAMP '2003-01-03 10:00:00')", "1"),
            ("TIMESTAMPDIFF(MONTH, DATE '2024-01-31', DATE '2024-02-29')", "1"),
        ),
    ),
    ScalarFunction(
        "TIMESTAMPADD",
        _bind_add,
        _timestamp_add,
        summary="A time moved by a number of units.",
        examples=(
            ("TIMESTAMPADD(WEEK, 1, DATE '2003-01-02')", "2003-01-09"),
            ("TIMESTAMPADD(MONTH, 1, TIMESTAMP '2024-01-31 01:02:03')", "2024-02-29 01:02:03"),
        ),
    ),
    ScalarFunction(
        "UNIX_TIMESTAMP",
        takes("UNIX_TIMESTAMP", TEXT, TEXT, optional=2, result=lt.BIGINT),
        _unix_timestamp,
        deterministic=False,
        summary="Seconds since 1970 of a text in the session's zone; without arguments, of now.",
        examples=(("UNIX_TIMESTAMP('1970-01-01 00:01:00')", "60"),),
    ),
    ScalarFunction(
        "FROM_UNIXTIME",
        takes("FROM_UNIXTIME", WHOLE, TEXT, optional=1, result=lt.STRING),
        _from_unixtime,
        summary="Seconds since 1970 as a text in the session's zone.",
        examples=(("FROM_UNIXTIME(44)", "1970-01-01 00:00:44"), ("FROM_UNIXTIME(44, 'yyyy/MM/dd')", "1970/01/01")),
    ),
    ScalarFunction(
        "CONVERT_TZ",
        takes("CONVERT_TZ", TEXT, TEXT, TEXT, result=lt.STRING, nullable=True),
        _convert_tz,
        can_fail=lambda types, result: True,
        summary="A time in one zone as the text of it in another.",
        examples=(("CONVERT_TZ('1970-01-01 00:00:00', 'UTC', 'America/Los_Angeles')", "1969-12-31 16:00:00"),),
    ),
)
