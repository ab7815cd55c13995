"""JSON values to Python values that Arrow takes, for what no kernel decodes: arrays, maps and their contents."""

from __future__ import annotations

import base64
import datetime
import decimal
from collections.abc import Callable
from typing import Any

import pyarrow as pa

Convert = Callable[[Any], Any]


def converter(kind: pa.DataType, separator: str) -> Convert:
    """From what a JSON parser gives to what ``pa.array(..., kind)`` takes. Raises ValueError for what does not fit.

    ``separator`` stands between the date and the time of timestamps.
    """
    convert = _convert_present(kind, separator)
    return lambda value: None if value is None else convert(value)


def _convert_present(kind: pa.DataType, separator: str) -> Convert:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        item = converter(kind.value_type, separator)
        return lambda value: [item(part) for part in _expect(value, list)]
    if pa.types.is_map(kind):
        key, item = converter(kind.key_type, separator), converter(kind.item_type, separator)
        return lambda value: [(key(name), item(part)) for name, part in _expect(value, dict).items()]
    if pa.types.is_struct(kind):
        members = [(member.name, converter(member.type, separator)) for member in kind]
        return lambda value: {name: make(_expect(value, dict).get(name)) for name, make in members}
    if pa.types.is_decimal(kind):
        return lambda value: round_decimal(str(value), kind.precision, kind.scale)
    if pa.types.is_binary(kind):
        return lambda value: base64.b64decode(_expect(value, str), validate=True)
    if pa.types.is_string(kind):
        return lambda value: value if isinstance(value, str) else _text(value)
    if pa.types.is_boolean(kind):
        return lambda value: _expect(value, bool)
    if pa.types.is_timestamp(kind):
        return lambda value: _timestamp(_expect(value, str), separator, kind.tz is not None)
    if pa.types.is_date(kind):
        return lambda value: datetime.date.fromisoformat(_expect(value, str))
    if pa.types.is_time(kind):
        return lambda value: datetime.time.fromisoformat(_expect(value, str))
    if pa.types.is_floating(kind):
        return lambda value: float(_expect(value, int | float | str))
    return lambda value: int(_expect(value, int | float | str))


def round_decimal(text: str, precision: int, scale: int) -> decimal.Decimal | None:
    """The number with ``scale`` places, rounded half up; None when that needs more than ``precision`` digits."""
    try:
        number = decimal.Decimal(text)
        if not number.is_finite() or number.adjusted() > precision:
            return None
        with decimal.localcontext(decimal.Context(prec=precision + 2)):
            number = number.quantize(decimal.Decimal(1).scaleb(-scale), decimal.ROUND_HALF_UP)
    except decimal.InvalidOperation as error:
        raise ValueError(f"{text!r} is no number") from error
    return None if len(number.as_tuple().digits) > precision else number


def _expect(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{value!r} does not fit")
    return value


def _text(value: Any) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()


def _timestamp(text: str, separator: str, zoned: bool) -> datetime.datetime:
    if text[10:11] != separator or text.endswith("Z") != zoned:
        raise ValueError(f"{text!r} is no timestamp")
    return datetime.datetime.fromisoformat(text)
