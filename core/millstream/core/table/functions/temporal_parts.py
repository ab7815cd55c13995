"""Parts of times: EXTRACT, YEAR, HOUR and the like, and rounding times with FLOOR and CEIL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import refused
from millstream.core.table.functions.columns import column
from millstream.core.table.functions.function import (
    EvaluationContext,
    ScalarFunction,
    Signature,
    TypeMismatch,
    Value,
)
from millstream.core.table.functions.zones import to_instant, to_local
from millstream.core.table.logical_types import LogicalType, TypeRoot
from millstream.core.table.time_patterns import TICKS, of_day

_R = TypeRoot
_MONTH_UNITS: Final = ("MILLENNIUM", "CENTURY", "DECADE", "YEAR", "ISOYEAR", "QUARTER", "MONTH", "WEEK")
_DAY_UNITS: Final = ("DAY", "DOW", "ISODOW", "DOY", "DAYOFWEEK", "DAYOFYEAR")
_CLOCK_UNITS: Final = ("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND")
UNITS: Final = (*_MONTH_UNITS, *_DAY_UNITS, *_CLOCK_UNITS, "EPOCH")


def _century(times: Any, years: int) -> Any:
    return pc.add(pc.divide(pc.subtract(pc.year(times), 1), years), 1)


def _sunday_first(times: Any) -> Any:
    return pc.add(pc.day_of_week(times, count_from_zero=True, week_start=7), 1)


def _fraction(times: Any, per_second: int) -> Any:
    """What is left of the time after whole seconds, in units of which a second has ``per_second``."""
    second = TICKS[times.type.unit]
    ticks = pc.cast(times, pa.int64())
    within = pc.subtract(ticks, pc.cast(pc.floor_temporal(times, unit="second"), pa.int64()))
    return pc.divide(within, second // per_second) if second > per_second else pc.multiply(within, per_second // second)


def _epoch(times: Any) -> Any:
    second = TICKS[times.type.unit]
    return pc.divide(pc.cast(pc.floor_temporal(times, unit="second"), pa.int64()), second)


_PARTS: Final[dict[str, Callable[[Any], Any]]] = {
    "MILLENNIUM": lambda times: _century(times, 1000),
    "CENTURY": lambda times: _century(times, 100),
    "DECADE": lambda times: pc.divide(pc.year(times), 10),
    "YEAR": pc.year,
    "ISOYEAR": pc.iso_year,
    "QUARTER": pc.quarter,
    "MONTH": pc.month,
    "WEEK": pc.iso_week,
    "DAY": pc.day,
    "DOW": _sunday_first,
    "DAYOFWEEK": _sunday_first,
    "ISODOW": lambda times: pc.day_of_week(times, count_from_zero=False),
    "DOY": pc.day_of_year,
    "DAYOFYEAR": pc.day_of_year,
    "HOUR": pc.hour,
    "MINUTE": pc.minute,
    "SECOND": pc.second,
    "MILLISECOND": lambda times: _fraction(times, 1000),
    "MICROSECOND": lambda times: _fraction(times, 1_000_000),
    "NANOSECOND": lambda times: _fraction(times, 1_000_000_000),
    "EPOCH": _epoch,
}


def part_of(unit: str, value: Value, context: EvaluationContext) -> Value:
    """A part of times or intervals as BIGINT; instants are seen in the session's zone."""
    kind = value.type
    if pa.types.is_duration(kind):
        return _interval_part(unit, pc.cast(value, pa.int64()))
    if pa.types.is_int32(kind):
        return _month_part(unit, pc.cast(value, pa.int64()))
    if pa.types.is_time(kind):
        value = of_day(value)
    elif pa.types.is_date(kind):
        value = pc.cast(value, pa.timestamp("s"))
    elif kind.tz is not None and unit != "EPOCH":
        value = to_local(value, context)
    return pc.cast(_PARTS[unit](value), pa.int64())


def _interval_part(unit: str, ms: Value) -> Value:
    size, wrap = {
        "DAY": (86_400_000, 0),
        "HOUR": (3_600_000, 24),
        "MINUTE": (60_000, 60),
        "SECOND": (1000, 60),
        "MILLISECOND": (1, 60_000),
        "EPOCH": (1000, 0),
    }.get(unit, (1, 0))
    whole = pc.divide(ms, size)
    return pc.subtract(whole, pc.multiply(pc.divide(whole, wrap), wrap)) if wrap else whole


def _month_part(unit: str, months: Value) -> Value:
    if unit == "YEAR":
        return pc.divide(months, 12)
    within = pc.subtract(months, pc.multiply(pc.divide(months, 12), 12))
    return within if unit == "MONTH" else pc.add(pc.divide(within, 3), 1)


def check_unit(name: str, literal: object, kind: LogicalType | None = None, units: Sequence[str] = UNITS) -> str:
    """The unit that a literal names. Raises ``TypeMismatch`` for another, or one that ``kind`` does not have."""
    unit = str(literal).upper()
    if unit not in units:
        raise TypeMismatch(f"{name} knows no unit {literal!r}; use one of {', '.join(units)}")
    if kind is not None and kind.root is _R.TIME and unit in (*_MONTH_UNITS, *_DAY_UNITS):
        raise TypeMismatch(f"{name}: a {kind.text()} has no {unit}")
    return unit


def _bind_extract(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 2:
        raise TypeMismatch("EXTRACT takes a unit and a value: EXTRACT(YEAR FROM ts)")
    kind = lt.timestamp(3) if types[1].root is _R.NULL else types[1]
    if kind.root not in (*lt.TEMPORAL, *lt.INTERVALS):
        raise refused("EXTRACT", 1, "a time, a date or an interval", kind)
    check_unit("EXTRACT", literals[0], kind)
    return Signature((types[0], kind), lt.BIGINT.with_nullable(types[1].nullable))


def _extract(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return part_of(arguments[0].as_py().upper(), arguments[1], context)


def _part(name: str, unit: str, summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        if len(types) != 1:
            raise TypeMismatch(f"{name} takes 1 argument, not {len(types)}")
        kind = lt.timestamp(3) if types[0].root is _R.NULL else types[0]
        if kind.root in lt.TEXT:
            kind = lt.timestamp(3).with_nullable(kind.nullable)
        if kind.root not in (*lt.TEMPORAL, *lt.INTERVALS):
            raise refused(name, 0, "a time, a date or an interval", kind)
        check_unit(name, unit, kind)
        return Signature((kind,), lt.BIGINT.with_nullable(types[0].nullable))

    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        return part_of(unit, arguments[0], context)

    return ScalarFunction(name, bind, evaluate, summary=summary, examples=examples)


ROUNDING: Final = {
    "MILLENNIUM": ("year", 1000),
    "CENTURY": ("year", 100),
    "DECADE": ("year", 10),
    "YEAR": ("year", 1),
    "QUARTER": ("quarter", 1),
    "MONTH": ("month", 1),
    "WEEK": ("week", 1),
    "DAY": ("day", 1),
    "HOUR": ("hour", 1),
    "MINUTE": ("minute", 1),
    "SECOND": ("second", 1),
    "MILLISECOND": ("millisecond", 1),
}


def round_time(value: Value, unit: str, up: bool, kind: LogicalType, context: EvaluationContext) -> Value:
    """Times rounded down, or up, to whole ``unit``; weeks begin on Sunday, as in Flink."""
    name, multiple = ROUNDING[unit]
    rounded = pc.ceil_temporal if up else pc.floor_temporal
    zoned = kind.root is _R.TIMESTAMP_LTZ
    local = to_local(value, context) if zoned else value
    if kind.root is _R.DATE:
        local = pc.cast(local, pa.timestamp("s"))
    elif kind.root is _R.TIME:
        local = of_day(local)
    answer = rounded(local, multiple=multiple, unit=name, week_starts_monday=False)
    if kind.root is _R.DATE:
        return pc.cast(answer, pa.date32())
    if kind.root is _R.TIME:
        ticks = pc.cast(answer, pa.int64())
        return pc.cast(pc.cast(pc.if_else(pc.equal(ticks, 86_400_000), 0, ticks), pa.int32()), pa.time32("ms"))
    return to_instant(answer, context) if zoned else column(answer, context.rows)


_TS: Final = "TIMESTAMP '2024-02-29 13:14:15.678'"

FUNCTIONS: Final = (
    ScalarFunction(
        "EXTRACT",
        _bind_extract,
        _extract,
        summary="A part of a time, a date or an interval: YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, ..., EPOCH.",
        examples=(
            (f"EXTRACT(YEAR FROM {_TS})", "2024"),
            (f"EXTRACT(MILLISECOND FROM {_TS})", "678"),
            ("EXTRACT(DAY FROM DATE '2006-06-05')", "5"),
            ("EXTRACT(EPOCH FROM TIMESTAMP '1970-01-01 00:01:00')", "60"),
            ("EXTRACT(DOW FROM DATE '2024-03-03')", "1"),
        ),
    ),
    _part("YEAR", "YEAR", "The year.", (f"YEAR({_TS})", "2024")),
    _part("QUARTER", "QUARTER", "The quarter, 1 to 4.", (f"QUARTER({_TS})", "1")),
    _part("MONTH", "MONTH", "The month, 1 to 12.", (f"MONTH({_TS})", "2")),
    _part("WEEK", "WEEK", "The ISO week, 1 to 53.", (f"WEEK({_TS})", "9")),
    _part("DAYOFYEAR", "DOY", "The day of the year, from 1.", (f"DAYOFYEAR({_TS})", "60")),
    _part("DAYOFMONTH", "DAY", "The day of the month.", (f"DAYOFMONTH({_TS})", "29")),
    _part("DAYOFWEEK", "DOW", "The day of the week; Sunday is 1.", (f"DAYOFWEEK({_TS})", "5")),
    _part("HOUR", "HOUR", "The hour, 0 to 23.", (f"HOUR({_TS})", "13")),
    _part("MINUTE", "MINUTE", "The minute.", (f"MINUTE({_TS})", "14")),
    _part("SECOND", "SECOND", "The second.", (f"SECOND({_TS})", "15")),
)
