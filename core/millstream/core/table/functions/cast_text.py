"""Reading texts as numbers, booleans and times, for CAST and for comparisons with texts.

Arrow reads whole columns; what it refuses is read again value by value with Java's wider rules, which also finds the
text to name in the error.
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.columns import failed
from millstream.core.table.functions.function import EvaluationContext
from millstream.core.table.functions.zones import to_instant
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot
_TRUE: Final = frozenset({"t", "true", "y", "yes", "1"})
_FALSE: Final = frozenset({"f", "false", "n", "no", "0"})
_BITS: Final = {_R.TINYINT: 7, _R.SMALLINT: 15, _R.INTEGER: 31, _R.BIGINT: 63}
_DIGITS_ONLY: Final = r"^[+-]?[0-9]+$"
_TIMESTAMP: Final = re.compile(
    r"(\d{4,5})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{0,9})\d*)?)?)?"
)
_MONTH: Final = re.compile(r"(\d{4})(?:-(\d{1,2}))?")
"""A text without a day, or without a month, means the first."""
_TIME: Final = re.compile(r"(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d+))?)?)?")
_EPOCH_ORDINAL: Final = datetime.date(1970, 1, 1).toordinal()


def from_text(texts: pa.Array, target: LogicalType, context: EvaluationContext, attempt: bool) -> pa.Array:
    """Texts read as ``target``, blanks around them ignored.

    Raises ``RecordTypeError`` naming the first text that cannot be read; ``attempt``: NULL for it.
    """
    trimmed = pc.utf8_trim_whitespace(texts)
    quick = _quick(trimmed, target)
    if quick is not None:
        return to_instant(quick, context) if target.root is _R.TIMESTAMP_LTZ else quick
    encoded = trimmed.dictionary_encode(null_encoding="encode")
    read = _READERS[target.root]
    answers = [None if text is None else _read(read, text, target, attempt) for text in encoded.dictionary.to_pylist()]
    physical = _PHYSICAL.get(target.root)
    if physical is None:
        return pa.array(answers, target.arrow()).take(encoded.indices)
    values = pa.array(answers, physical)
    if target.root in lt.TIMESTAMPS:
        values = pc.cast(pc.divide(values, {"ms": 1_000_000, "us": 1000, "ns": 1}[target.arrow().unit]), pa.int64())
    values = values.cast(lt.timestamp(target.precision).arrow() if target.root in lt.TIMESTAMPS else target.arrow())
    values = values.take(encoded.indices)
    return to_instant(values, context) if target.root is _R.TIMESTAMP_LTZ else values


def _quick(texts: pa.Array, target: LogicalType) -> pa.Array | None:
    """The column read by Arrow; None where a text needs the wider rules, or is none."""
    try:
        if target.root in lt.INTEGERS:
            if pc.all(pc.match_substring_regex(texts, _DIGITS_ONLY)).as_py() is False:
                return None
            return pc.cast(texts, target.arrow())
        if target.root is _R.DOUBLE:
            return pc.cast(texts, target.arrow())
        if target.root is _R.DATE:
            if pc.all(pc.equal(pc.binary_length(texts), 10)).as_py() is False:
                return None
            return pc.cast(texts, target.arrow())
    except pa.ArrowInvalid:
        return None
    return None


def _read(read: Callable[[str, LogicalType], Any], text: str, target: LogicalType, attempt: bool) -> Any:
    try:
        return read(text, target)
    except (ValueError, ArithmeticError) as error:
        if attempt:
            return None
        why = str(error) if type(error) is ValueError and "invalid literal" not in str(error) else ""
        told = f"the text is no {target.text()}" + (f" ({why})" if why else "")
        raise failed("CAST", [text], f"{told}. TRY_CAST gives NULL for such texts") from error


def _boolean(text: str, target: LogicalType) -> bool:
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError("TRUE, FALSE, T, F, YES, NO, Y, N, 1, 0 are")


def _integer(text: str, target: LogicalType) -> int:
    """Digits; what follows a point is cut."""
    if not re.fullmatch(r"[+-]?\d+(\.\d*)?|[+-]?\.\d+", text, re.ASCII):
        raise ValueError("digits are")
    value = int(text.partition(".")[0] or "0") if text.partition(".")[0] not in ("+", "-") else 0
    bits = _BITS[target.root]
    if not -(2**bits) <= value < 2**bits:
        raise ValueError("it is out of range")
    return value


def _decimal(text: str, target: LogicalType) -> decimal.Decimal | None:
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        raise ValueError("digits are")
    with decimal.localcontext(decimal.Context(prec=100, rounding=decimal.ROUND_HALF_UP)):
        value = decimal.Decimal(text)
        if value and value.adjusted() >= target.precision - target.scale:
            return None
        value = value.quantize(decimal.Decimal(1).scaleb(-target.scale))
        return None if value and value.adjusted() >= target.precision - target.scale else value


def _float(text: str, target: LogicalType) -> float:
    if "_" in text or (text.lower().lstrip("+-") in ("inf", "nan") and text.lstrip("+-") not in ("NaN",)):
        raise ValueError("digits are")
    return float(text.rstrip("dDfF") if text.lower().lstrip("+-") not in ("infinity", "nan") else text)


def _date(text: str, target: LogicalType) -> int:
    match = _TIMESTAMP.fullmatch(text)
    month = _MONTH.fullmatch(text)
    if month is not None:
        return datetime.date(int(month[1]), int(month[2] or 1), 1).toordinal() - _EPOCH_ORDINAL
    if match is None:
        raise ValueError("write it like 2024-01-31")
    return datetime.date(int(match[1]), int(match[2]), int(match[3])).toordinal() - _EPOCH_ORDINAL


def _time(text: str, target: LogicalType) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("write it like 12:30:00")
    clock = datetime.time(int(match[1]), int(match[2] or 0), int(match[3] or 0))
    ms = int((match[4] or "0").ljust(3, "0")[:3])
    return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 1000 + ms


def _timestamp(text: str, target: LogicalType) -> int:
    """Nanoseconds since 1970, cut to the precision."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError("write it like 2024-01-31 12:30:00.000")
    clock = datetime.time(int(match[4] or 0), int(match[5] or 0), int(match[6] or 0))
    seconds = _date(text, target) * 86400 + (clock.hour * 60 + clock.minute) * 60 + clock.second
    nanos = int((match[7] or "0").ljust(9, "0"))
    step = int(10 ** (9 - target.precision))
    return seconds * 1_000_000_000 + nanos // step * step


def _span(text: str, target: LogicalType) -> int:
    raise ValueError("write an interval as INTERVAL '10' SECOND")


_READERS: Final[dict[TypeRoot, Callable[[str, LogicalType], Any]]] = {
    _R.BOOLEAN: _boolean,
    **dict.fromkeys(lt.INTEGERS, _integer),
    _R.DECIMAL: _decimal,
    _R.FLOAT: _float,
    _R.DOUBLE: _float,
    _R.DATE: _date,
    _R.TIME: _time,
    _R.TIMESTAMP: _timestamp,
    _R.TIMESTAMP_LTZ: _timestamp,
    _R.INTERVAL_YEAR_MONTH: _span,
    _R.INTERVAL_DAY_TIME: _span,
}
_PHYSICAL: Final = {
    _R.DATE: pa.int32(),
    _R.TIME: pa.int32(),
    _R.TIMESTAMP: pa.int64(),
    _R.TIMESTAMP_LTZ: pa.int64(),
}


def fitted_text(texts: pa.Array, target: LogicalType) -> pa.Array:
    """Cut to the length of ``target``; CHAR is padded with blanks."""
    if target.precision == lt.UNBOUNDED_LENGTH:
        return texts
    texts = pc.utf8_slice_codeunits(texts, 0, target.precision)
    return pc.utf8_rpad(texts, target.precision) if target.root is _R.CHAR else texts


def bytes_of_text(values: pa.Array, target: LogicalType) -> pa.Array:
    """UTF-8 bytes, or bytes, cut to the length of ``target``; BINARY is padded with zeros."""
    values = pc.cast(values, pa.binary())
    if target.precision == lt.UNBOUNDED_LENGTH:
        return values
    values = pc.binary_slice(values, 0, target.precision)
    if target.root is _R.BINARY:
        padded = [None if value is None else value.ljust(target.precision, b"\0") for value in values.to_pylist()]
        return pa.array(padded, pa.binary())
    return values


def text_from_bytes(values: pa.Array, attempt: bool) -> pa.Array:
    """Bytes decoded as UTF-8. Raises ``RecordTypeError``; ``attempt``: NULL for bytes that are none."""
    try:
        return pc.cast(values, pa.string())
    except pa.ArrowInvalid:
        answers = []
        for value in values.to_pylist():
            try:
                answers.append(None if value is None else value.decode())
            except UnicodeDecodeError as error:
                if not attempt:
                    raise failed("CAST", [value], "the bytes are no UTF-8. TRY_CAST gives NULL for such") from error
                answers.append(None)
        return pa.array(answers, pa.string())
