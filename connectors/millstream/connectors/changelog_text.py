"""Rows of a changelog as Flink prints them: ``+I[1, abc]``, nested rows, arrays and maps included."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, RowKind
from millstream.core.table.text_format import java_double

_KINDS = [str(kind) for kind in RowKind]


def changelog_lines(batch: ArrowBatch) -> list[str]:
    """One text a row; without row kinds all rows are inserts."""
    columns = [_texts(column) for column in batch.records.columns]
    kinds = [_KINDS[0]] * batch.num_rows if batch.row_kinds is None else [_KINDS[k] for k in batch.row_kinds.tolist()]
    if not columns:
        return [f"{kind}[]" for kind in kinds]
    return [f"{kind}[{', '.join(values)}]" for kind, values in zip(kinds, zip(*columns, strict=True), strict=True)]


def _texts(column: pa.Array) -> list[str]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return [_nanosecond_text(value, column.type.tz is not None) for value in column.view(pa.int64()).to_pylist()]
    return [value_text(value) for value in column.to_pylist()]


def value_text(value: Any) -> str:
    """The text of a value as Java's ``toString`` gives it for the type that Flink would use."""
    match value:
        case None:
            return "null"
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return java_double(value)
        case Decimal():
            return format(value, "f")
        case bytes():
            return f"[{', '.join(str(byte - 256 if byte > 127 else byte) for byte in value)}]"
        case datetime():
            if value.tzinfo is None:
                return f"{value.date()}T{_time_text(value.time())}"
            instant = value.astimezone(UTC)
            return f"{instant.date()}T{_seconds_text(instant.time())}Z"
        case timedelta():
            return _duration_text(value)
        case time():
            return _time_text(value)
        case date():
            return value.isoformat()
        case dict():
            return f"+I[{', '.join(value_text(item) for item in value.values())}]"
        case list() if value and isinstance(value[0], tuple):
            return f"{{{', '.join(f'{value_text(key)}={value_text(item)}' for key, item in value)}}}"
        case list():
            return f"[{', '.join(value_text(item) for item in value)}]"
        case _:
            return str(value)


def _time_text(value: time) -> str:
    """Without seconds where they are zero."""
    return value.strftime("%H:%M") if value.second == 0 and value.microsecond == 0 else _seconds_text(value)


def _nanosecond_text(value: int | None, zoned: bool) -> str:
    """Python's times end at microseconds."""
    if value is None:
        return "null"
    seconds, nanoseconds = divmod(value, 10**9)
    at = datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    text = value_text(at if zoned else at.replace(tzinfo=None))
    if nanoseconds % 1000 == 0:
        return text
    return f"{at.date()}T{at:%H:%M:%S}.{nanoseconds:09d}{'Z' if zoned else ''}"


def _duration_text(value: timedelta) -> str:
    """``PT26H3M4.5S``: each part with the sign of the whole."""
    microseconds = value // timedelta(microseconds=1)
    sign = "-" if microseconds < 0 else ""
    minutes, rest = divmod(abs(microseconds), 60_000_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(rest, 1_000_000)
    seconds = f"{whole}.{fraction:06d}".rstrip("0").rstrip(".")
    parts = [(str(hours), "H"), (str(minutes), "M"), (seconds, "S")]
    return "PT" + ("".join(f"{sign}{number}{unit}" for number, unit in parts if number != "0") or "0S")


def _seconds_text(value: time) -> str:
    text = value.strftime("%H:%M:%S")
    if value.microsecond == 0:
        return text
    return (
        f"{text}.{value.microsecond // 1000:03d}"
        if value.microsecond % 1000 == 0
        else f"{text}.{value.microsecond:06d}"
    )
