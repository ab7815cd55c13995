"""Python values as constants of a query."""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any

from sqlglot import exp

from millstream.core.table import logical_types as lt
from millstream.datastream.call_site import refuse
from millstream.sql.parser.query_nodes import TypedLiteral
from millstream.sql.parser.types import type_node


def literal_node(value: Any) -> exp.Expr:
    """The constant as SQL writes it: int is INT or BIGINT, float DOUBLE, Decimal exact, aware datetimes TIMESTAMP_LTZ.

    Lists are arrays, dicts maps, tuples rows. Raises ``JobGraphError`` for a value that SQL has no constant for.
    """
    match value:
        case None:
            return exp.Null()
        case bool():
            return exp.Boolean(this=value)
        case int():
            return _number(str(abs(value)), value < 0)
        case float():
            return _float(value)
        case decimal.Decimal() if value.is_finite():
            return _number(format(abs(value), "f"), value < 0)
        case str():
            return exp.Literal.string(value)
        case bytes():
            return exp.HexString(this=value.hex())
        case datetime.datetime() | datetime.date() | datetime.time():
            return _time(value)
        case datetime.timedelta():
            seconds = decimal.Decimal(value // datetime.timedelta(milliseconds=1)) / 1000
            return exp.Interval(this=exp.Literal.string(format(seconds, "f")), unit=exp.var("SECOND"))
        case list():
            return exp.Anonymous(this="ARRAY", expressions=[_part(item) for item in value])
        case tuple():
            return exp.Anonymous(this="ROW", expressions=[_part(item) for item in value])
        case dict():
            return exp.Anonymous(this="MAP", expressions=[_part(part) for pair in value.items() for part in pair])
    raise refuse(
        f"{value!r:.60} of type {type(value).__name__} is no constant of a query. Write col('name') for a column; "
        "constants are None, bool, int, float, str, bytes, Decimal, dates and times, lists, tuples and dicts of these."
    )


def _part(value: Any) -> exp.Expr:
    from millstream.table.expression import Expression

    return value._copy() if isinstance(value, Expression) else literal_node(value)


def _number(digits: str, negative: bool) -> exp.Expr:
    number = exp.Literal.number(digits)
    return exp.Neg(this=number) if negative else number


def _float(value: float) -> exp.Expr:
    if not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return exp.Cast(this=exp.Literal.string(name), to=type_node(lt.DOUBLE))
    text = repr(abs(value))
    return _number(text if "e" in text else f"{text}e0", value < 0)


def _time(value: datetime.datetime | datetime.date | datetime.time) -> exp.Expr:
    if isinstance(value, datetime.datetime):
        kind = "TIMESTAMP"
        if value.tzinfo is not None:
            value, kind = value.astimezone(datetime.UTC), "TIMESTAMP_LTZ"
        text = value.isoformat(" ")
    else:
        kind = "DATE" if isinstance(value, datetime.date) else "TIME"
        text = value.isoformat()
    return TypedLiteral(this=exp.Literal.string(text), kind=kind)
