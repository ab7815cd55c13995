"""Rows of a changelog as Flink prints them: ``+I[1, abc]``, nested rows, arrays and maps included."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from millstream.core.elements.batch import ArrowBatch, RowKind

_KINDS = [str(kind) for kind in RowKind]


def changelog_lines(batch: ArrowBatch) -> list[str]:
    """One text a row; without row kinds all rows are inserts."""
    columns = [[value_text(value) for value in column.to_pylist()] for column in batch.records.columns]
    kinds = [_KINDS[0]] * batch.num_rows if batch.row_kinds is None else [_KINDS[k] for k in batch.row_kinds.tolist()]
    if not columns:
        return [f"{kind}[]" for kind in kinds]
    return [f"{kind}[{', '.join(values)}]" for kind, values in zip(kinds, zip(*columns, strict=True), strict=True)]


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
            return _double_text(value)
        case Decimal():
            return format(value, "f")
        case bytes():
            return f"[{', '.join(str(byte - 256 if byte > 127 else byte) for byte in value)}]"
        case datetime():
            if value.tzinfo is None:
                return f"{value.date()}T{_time_text(value.time())}"
            instant = value.astimezone(UTC)
            return f"{instant.date()}T{_seconds_text(instant.time())}Z"
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


def _seconds_text(value: time) -> str:
    text = value.strftime("%H:%M:%S")
    if value.microsecond == 0:
        return text
    return (
        f"{text}.{value.microsecond // 1000:03d}"
        if value.microsecond % 1000 == 0
        else f"{text}.{value.microsecond:06d}"
    )


def _double_text(value: float) -> str:
    """Plain from a thousandth to ten million, else with an exponent, as ``Double.toString`` does."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        plain = repr(value)
        return plain if "e" not in plain else format(Decimal(plain), "f")
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    shift = exponent + len(digits) - 1
    rest = "".join(map(str, digits[1:])).rstrip("0") or "0"
    return f"{'-' if sign else ''}{digits[0]}.{rest}E{shift}"
