"""Values as a SQL client shows them, a column at a time.

As CAST to STRING writes them. Timestamps are formatted from their integers: Python's ``datetime`` has no nanoseconds.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table.logical_types import NUMERIC, LogicalType, TypeRoot
from millstream.core.table.text_format import text_of

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
    return [NULL_TEXT if value is None else _text(value, kind, zone) for value in values.to_pylist()]


def _text(value: Any, kind: LogicalType, zone: ZoneInfo) -> str:
    """A value of another type than TIMESTAMP; dates and times without the kernels that format whole columns."""
    if kind.root is TypeRoot.DATE:
        return str(value)
    if kind.root is TypeRoot.TIME:
        return _time_text(value, kind.precision)
    return text_of(value, kind, zone)


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


def _time_text(value: datetime.time, digits: int) -> str:
    fraction = f"{value.microsecond:06d}"[:digits]
    return f"{value:%H:%M:%S}.{fraction}" if fraction else f"{value:%H:%M:%S}"


def value_text(value: Any) -> str:
    """A value of a catalog: a name, a text, whether something holds."""
    if value is None:
        return NULL_TEXT
    return str(value).upper() if isinstance(value, bool) else str(value)


def is_numeric(kind: LogicalType) -> bool:
    """Shown at the right of its column."""
    return kind.root in NUMERIC


def batch_texts(records: pa.RecordBatch, kinds: Sequence[LogicalType], zone: ZoneInfo) -> list[tuple[str, ...]]:
    """The rows of a batch."""
    columns = [column_texts(column, kind, zone) for column, kind in zip(records.columns, kinds, strict=True)]
    return list(zip(*columns, strict=True)) if columns else []
