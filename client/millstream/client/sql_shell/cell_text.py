"""Values as a SQL client shows them, a column at a time.

Times are formatted from their integers: Python's ``datetime`` has no nanoseconds.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table.logical_types import NUMERIC, LogicalType, TypeRoot

NULL_TEXT: Final = "<NULL>"
_EPOCH: Final = datetime.datetime(1970, 1, 1)
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def column_texts(values: pa.Array | pa.ChunkedArray, kind: LogicalType, zone: ZoneInfo) -> list[str]:
    """One text a row; TIMESTAMP_LTZ in ``zone``."""
    if kind.root in (TypeRoot.TIMESTAMP, TypeRoot.TIMESTAMP_LTZ):
        shift = _zone_shift(zone) if kind.root is TypeRoot.TIMESTAMP_LTZ else _no_shift
        per_second = _PER_SECOND[values.type.unit]
        numbers = pc.cast(values, pa.int64()).to_pylist()
        return [NULL_TEXT if n is None else _timestamp_text(n, per_second, kind.precision, shift) for n in numbers]
    return [value_text(value) for value in values.to_pylist()]


def _no_shift(seconds: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(seconds=seconds)


def _zone_shift(zone: ZoneInfo) -> Callable[[int], datetime.datetime]:
    def shift(seconds: int) -> datetime.datetime:
        instant = (_EPOCH + datetime.timedelta(seconds=seconds)).replace(tzinfo=datetime.UTC)
        return instant.astimezone(zone).replace(tzinfo=None)

    return shift


def _timestamp_text(number: int, per_second: int, digits: int, shift: Callable[[int], datetime.datetime]) -> str:
    seconds, rest = divmod(number, per_second)
    try:
        text = shift(seconds).strftime("%Y-%m-%d %H:%M:%S")
    except OverflowError:
        return str(number)  # outside of the years 1 to 9999
    fraction = f"{rest * (1_000_000_000 // per_second):09d}"[:digits]
    return f"{text}.{fraction}" if fraction else text


def value_text(value: Any) -> str:
    """A value as Python holds it."""
    match value:
        case None:
            return NULL_TEXT
        case bool():
            return "TRUE" if value else "FALSE"
        case Decimal():
            return format(value, "f")
        case bytes():
            return f"x'{value.hex()}'"
        case datetime.datetime():
            return str(value.replace(tzinfo=None))
        case dict():
            return "(" + ", ".join(value_text(item) for item in value.values()) + ")"
        case list() if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
            return "{" + ", ".join(f"{value_text(key)}={value_text(item)}" for key, item in value) + "}"
        case list():
            return "[" + ", ".join(value_text(item) for item in value) + "]"
    return str(value)


def is_numeric(kind: LogicalType) -> bool:
    """Shown at the right of its column."""
    return kind.root in NUMERIC


def batch_texts(records: pa.RecordBatch, kinds: Sequence[LogicalType], zone: ZoneInfo) -> list[tuple[str, ...]]:
    """The rows of a batch."""
    columns = [column_texts(column, kind, zone) for column, kind in zip(records.columns, kinds, strict=True)]
    return list(zip(*columns, strict=True)) if columns else []
