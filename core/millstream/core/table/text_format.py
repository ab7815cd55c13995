"""How SQL prints values: CAST to STRING, the print sink, results in a terminal.

``TRUE``, ``2024-01-01 00:00:00.000`` with the digits of the type, ``[1, 2]``, ``{a=1}``, ``(1, a)``, ``x'0a'``, DOUBLE
as Java prints it (``1.0``, ``1.0E10``).
"""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table.logical_types import LogicalType, TypeRoot
from millstream.core.table.time_patterns import format_column, of_day, time_pattern

_R = TypeRoot
UTC: Final = ZoneInfo("UTC")
NULL_TEXT: Final = "NULL"
_PLAIN_MIN: Final = 1e-3
_PLAIN_MAX: Final = 1e7
"""Between these sizes Java prints a DOUBLE without exponent."""


def text_column(values: pa.Array, kind: LogicalType, zone: ZoneInfo = UTC, *, nested: bool = False) -> pa.Array:
    """The texts of a column of ``kind``; NULL stays NULL. ``nested``: bytes as ``x'..'``, not decoded as UTF-8.

    Raises ``ValueError`` for bytes that are no UTF-8.
    """
    root = kind.root
    if root in (_R.CHAR, _R.VARCHAR):
        return values
    if root is _R.NULL:
        return pa.nulls(len(values), pa.string())
    if root is _R.BOOLEAN:
        return pc.if_else(values, "TRUE", "FALSE")
    if root in (_R.TINYINT, _R.SMALLINT, _R.INTEGER, _R.BIGINT):
        return pc.cast(values, pa.string())
    if root in (_R.FLOAT, _R.DOUBLE):
        return _float_texts(values)
    if root in (_R.DATE, _R.TIME, _R.TIMESTAMP, _R.TIMESTAMP_LTZ):
        return _time_texts(values, kind, zone)
    if root in (_R.BINARY, _R.VARBINARY) and not nested:
        return pc.cast(values, pa.string())
    return pa.array(
        [None if value is None else text_of(value, kind, zone) for value in values.to_pylist()], pa.string()
    )


def text_of(value: Any, kind: LogicalType, zone: ZoneInfo = UTC) -> str:
    """The text of one Python value of ``kind``; ``NULL`` for None."""
    if value is None:
        return NULL_TEXT
    root = kind.root
    if root is _R.BOOLEAN:
        return "TRUE" if value else "FALSE"
    if root is _R.FLOAT:
        return java_double(float(str(np.float32(value))))
    if root is _R.DOUBLE:
        return java_double(value)
    if root is _R.DECIMAL:
        return f"{decimal.Decimal(value):f}"
    if root in (_R.BINARY, _R.VARBINARY):
        return f"x'{value.hex()}'"
    if root is _R.INTERVAL_YEAR_MONTH:
        sign, months = ("-" if value < 0 else "+"), abs(value)
        return f"{sign}{months // 12}-{months % 12:02d}"
    if root is _R.INTERVAL_DAY_TIME:
        return _day_time_text(value)
    if root in (_R.DATE, _R.TIME, _R.TIMESTAMP, _R.TIMESTAMP_LTZ):
        return str(_time_texts(pa.array([value], kind.arrow()), kind, zone)[0].as_py())
    if root is _R.ARRAY:
        assert kind.element is not None
        return "[" + ", ".join(text_of(item, kind.element, zone) for item in value) + "]"
    if root in (_R.MAP, _R.MULTISET):
        entries = value.items() if isinstance(value, dict) else value
        key, element = _entry_types(kind)
        return "{" + ", ".join(f"{text_of(k, key, zone)}={text_of(v, element, zone)}" for k, v in entries) + "}"
    if root is _R.ROW:
        items = value.values() if isinstance(value, dict) else value
        pairs = zip(items, kind.fields, strict=True)
        return "(" + ", ".join(text_of(item, field, zone) for item, (_, field) in pairs) + ")"
    return str(value)


def java_double(value: float) -> str:
    """The shortest text that reads back as ``value``, laid out as Java's ``Double.toString``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    size = abs(value)
    if size == 0 or _PLAIN_MIN <= size < _PLAIN_MAX:
        text = repr(value)
        return text if "e" not in text else f"{decimal.Decimal(text):f}"
    sign, digits, exponent = decimal.Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits))
    return f"{'-' if sign else ''}{shown[0]}.{shown[1:] or '0'}E{exponent + len(digits) - 1}"


def _float_texts(values: pa.Array) -> pa.Array:
    """Arrow prints the same digits; whole numbers lack ``.0`` there, and very large or small ones are laid out anew."""
    texts = pc.cast(values, pa.string())
    size = pc.abs(values)
    plain = pc.or_(pc.and_(pc.greater_equal(size, _PLAIN_MIN), pc.less(size, _PLAIN_MAX)), pc.equal(size, 0))
    whole = pc.and_(plain, pc.equal(pc.trunc(values), values))
    texts = pc.if_else(whole, pc.binary_join_element_wise(pc.replace_substring(texts, ".0", ""), ".0", ""), texts)
    if not pc.all(pc.fill_null(plain, True)).as_py():
        single = pa.types.is_float32(values.type)
        odd = values.filter(pc.invert(pc.fill_null(plain, True))).to_pylist()
        laid_out = [java_double(float(str(np.float32(value))) if single else value) for value in odd]
        texts = pc.replace_with_mask(texts, pc.invert(pc.fill_null(plain, True)), pa.array(laid_out, pa.string()))
    return texts


def _time_texts(values: pa.Array, kind: LogicalType, zone: ZoneInfo) -> pa.Array:
    fraction = "." + "S" * kind.precision if kind.precision else ""
    if kind.root is _R.DATE:
        return format_column(pc.cast(values, pa.timestamp("s")), time_pattern("yyyy-MM-dd"))
    if kind.root is _R.TIME:
        ticks = of_day(values)
        return format_column(ticks, time_pattern("HH:mm:ss" + fraction))
    if kind.root is _R.TIMESTAMP_LTZ:
        values = pc.local_timestamp(pc.cast(values, pa.timestamp(values.type.unit, tz=str(zone))))
    return format_column(values, time_pattern("yyyy-MM-dd HH:mm:ss" + fraction))


def _entry_types(kind: LogicalType) -> tuple[LogicalType, LogicalType]:
    assert kind.element is not None
    if kind.root is _R.MULTISET:
        return kind.element, LogicalType(_R.INTEGER)
    assert kind.key is not None
    return kind.key, kind.element


def _day_time_text(value: datetime.timedelta) -> str:
    ms = value // datetime.timedelta(milliseconds=1)
    sign, ms = ("-" if ms < 0 else "+"), abs(ms)
    days, ms = divmod(ms, 86_400_000)
    return f"{sign}{days} {ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
