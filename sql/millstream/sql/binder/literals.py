"""Constants of a query: numbers, texts, times, intervals."""

from __future__ import annotations

import datetime
import decimal
import re
import string
import sys
from typing import Final

from sqlglot import exp

from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Literal
from millstream.core.table.logical_types import LogicalType
from millstream.sql.errors import query_error

_INT: Final = range(-(2**31), 2**31)
_BIGINT: Final = range(-(2**63), 2**63)
_UNIT_MS: Final = {"DAY": 86_400_000, "HOUR": 3_600_000, "MINUTE": 60_000, "SECOND": 1000, "WEEK": 604_800_000}
_MONTHS_MAX: Final = 2**31 - 1
_UNIT_MONTHS: Final = {"YEAR": 12, "QUARTER": 3, "MONTH": 1}
_DAY_TIME_FIELDS: Final = ("DAY", "HOUR", "MINUTE", "SECOND")


def number_literal(text: str, node: exp.Expr | None = None) -> Literal:
    """Digits are exact, with an exponent they are DOUBLE. Raises ``QueryError`` past 38 digits."""
    if "e" in text.lower():
        return Literal(lt.DOUBLE.with_nullable(False), float(text))
    if text.lstrip("-").isdigit():
        value = int(text)
        if value in _INT:
            return Literal(lt.INT.with_nullable(False), value)
        if value in _BIGINT:
            return Literal(lt.BIGINT.with_nullable(False), value)
    number = decimal.Decimal(text)
    _, digits, exponent = number.as_tuple()
    scale = -int(exponent) if isinstance(exponent, int) and exponent < 0 else 0
    precision = max(len(digits), scale)
    if precision > lt.MAX_DECIMAL_PRECISION:
        raise query_error(f"the number {text} has more than {lt.MAX_DECIMAL_PRECISION} digits", node)
    return Literal(lt.decimal(precision, scale).with_nullable(False), number)


def text_literal(text: str) -> Literal:
    return Literal(lt.char(len(text)).with_nullable(False), text)


def bytes_literal(content: bytes) -> Literal:
    kind = LogicalType(lt.TypeRoot.BINARY, False, len(content))
    return Literal(kind, content)


def boolean_literal(value: bool) -> Literal:
    return Literal(lt.BOOLEAN.with_nullable(False), value)


def null_literal(kind: LogicalType = lt.NULL) -> Literal:
    return Literal(kind.with_nullable(True), None)


def typed_literal(kind: LogicalType, text: str, node: exp.Expr | None = None) -> Literal:
    """``DATE '...'``, ``TIME '...'``, ``TIMESTAMP '...'``. Raises ``QueryError`` for a text that is none."""
    try:
        if kind.root is lt.TypeRoot.DATE:
            return Literal(lt.DATE.with_nullable(False), datetime.date.fromisoformat(text.strip()))
        if kind.root is lt.TypeRoot.TIME:
            return Literal(lt.TIME.with_nullable(False), datetime.time.fromisoformat(text.strip()))
        value = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        raise query_error(f"{text!r} is no {kind.root.value}: write it like {_EXAMPLES[kind.root]}", node) from None
    fraction = re.search(r"\.(\d+)", text)
    digits = min(9, len(fraction.group(1))) if fraction else 0
    if kind.root is lt.TypeRoot.TIMESTAMP_LTZ:
        return Literal(lt.timestamp_ltz(digits).with_nullable(False), value)
    return Literal(lt.timestamp(digits).with_nullable(False), value)


_EXAMPLES: Final = {
    lt.TypeRoot.DATE: "DATE '2024-01-31'",
    lt.TypeRoot.TIME: "TIME '12:30:00'",
    lt.TypeRoot.TIMESTAMP: "TIMESTAMP '2024-01-31 12:30:00.000'",
    lt.TypeRoot.TIMESTAMP_LTZ: "TIMESTAMP '2024-01-31 12:30:00.000'",
}


def unicode_literal(node: exp.UnicodeString) -> Literal:
    """``U&'\\00e4 \\+01F600'``, perhaps with UESCAPE and another character than the backslash."""
    escape = node.args.get("escape")
    mark = str(escape.name) if isinstance(escape, exp.Expr) else "\\"
    if len(mark) != 1 or mark in "+'\"" or mark.isspace() or mark in string.hexdigits:
        raise query_error(f"UESCAPE takes one character that is no hexadecimal digit, not {mark!r}", node)
    found = re.escape(mark)

    def character(match: re.Match[str]) -> str:
        digits = match[1] or match[2]
        if digits is None and match[3] is None:
            raise query_error(f"behind {mark} stand four hexadecimal digits, or + and six", node)
        if digits is None:
            return mark
        code = int(digits, 16)
        if 0xD800 <= code < 0xE000 or code > sys.maxunicode:
            raise query_error(f"{match[0]} is no character of Unicode", node)
        return chr(code)

    pattern = rf"{found}(?:([0-9a-fA-F]{{4}})|\+([0-9a-fA-F]{{6}})|({found}))?"
    return text_literal(re.sub(pattern, character, node.this))


def row_limit(clause: exp.Expr | None) -> int | None:
    """The number of rows of LIMIT and FETCH; None for all."""
    if isinstance(clause, exp.Fetch):
        count = clause.args.get("count")
        return 1 if count is None else integer_of(count, "FETCH")
    if clause is None or (isinstance(clause.expression, exp.Column) and clause.expression.name.upper() == "ALL"):
        return None
    return integer_of(clause.expression, "LIMIT")


def interval_literal(node: exp.Interval) -> Literal:
    """``INTERVAL '10' SECOND``, ``INTERVAL '1 10:00' DAY TO MINUTE``, ``INTERVAL '1-2' YEAR TO MONTH``."""
    text, first, last = _interval_parts(node)
    negative = text.startswith("-")
    text = text.lstrip("+-").strip()
    try:
        if first in _UNIT_MONTHS:
            months = _months(text, first, last)
            if months > _MONTHS_MAX:
                raise ValueError(text)
            return Literal(lt.INTERVAL_YEAR_MONTH.with_nullable(False), -months if negative else months)
        span = datetime.timedelta(milliseconds=_day_time_ms(text, first, last))
    except (ValueError, KeyError, ArithmeticError):
        to = f" TO {last}" if last != first else ""
        raise query_error(f"INTERVAL '{text}' {first}{to} is no interval", node) from None
    return Literal(lt.INTERVAL_DAY_TIME.with_nullable(False), -span if negative else span)


def interval_ms(literal: Literal) -> int | None:
    """Milliseconds of a DAY TO SECOND interval; None for another type."""
    if not isinstance(literal.value, datetime.timedelta):
        return None
    return literal.value // datetime.timedelta(milliseconds=1)


def _interval_parts(node: exp.Interval) -> tuple[str, str, str]:
    unit = node.args.get("unit")
    if unit is None or node.this is None:
        raise query_error("an interval needs a unit: INTERVAL '10' SECOND", node)
    text = str(node.this.name)
    if isinstance(node.this, exp.Neg):
        text = f"-{node.this.this.name}"
    if isinstance(unit, exp.IntervalSpan):
        return text.strip(), _unit(unit.this.name, node), _unit(unit.expression.name, node)
    name = _unit(unit.name, node)
    return text.strip(), name, name


def _unit(name: str, node: exp.Expr) -> str:
    unit = name.upper().removesuffix("S")
    if unit not in _UNIT_MS and unit not in _UNIT_MONTHS:
        raise query_error(
            f"{name} is no unit of an interval: use YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE or SECOND", node
        )
    return unit


def _months(text: str, first: str, last: str) -> int:
    if first == last:
        return int(text) * _UNIT_MONTHS[first]
    years, months = text.split("-")
    return int(years) * 12 + int(months)


def _day_time_ms(text: str, first: str, last: str) -> int:
    if first == last:
        return round(decimal.Decimal(text) * _UNIT_MS[first])
    names = _DAY_TIME_FIELDS[_DAY_TIME_FIELDS.index(first) : _DAY_TIME_FIELDS.index(last) + 1]
    parts = re.split(r"[ :]", text)
    if len(parts) != len(names):
        raise ValueError(text)
    return round(sum(decimal.Decimal(part) * _UNIT_MS[name] for part, name in zip(parts, names, strict=True)))


def integer_of(node: exp.Expr | None, what: str) -> int:
    """The value of a whole number. Raises ``QueryError`` for anything else."""
    if isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit():
        return int(node.this)
    raise query_error(f"{what} takes a whole number, not {node.sql() if node is not None else 'nothing'}", node)
