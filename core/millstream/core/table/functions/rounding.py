"""FLOOR, CEIL, ROUND and TRUNCATE of numbers; the first two also of times, to a unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import refused
from millstream.core.table.functions.coercion import rounded_decimal
from millstream.core.table.functions.columns import column, nulls, per_row
from millstream.core.table.functions.decimal_arithmetic import fitted
from millstream.core.table.functions.function import (
    NOT_LITERAL,
    EvaluationContext,
    ScalarFunction,
    Signature,
    TypeMismatch,
    Value,
)
from millstream.core.table.functions.temporal_parts import ROUNDING, check_unit, round_time
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot
_HALF_UP: Final = "half_towards_infinity"
_DIGITS_MAX: Final = 400


def _whole(name: str, up: bool, summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        if len(types) == 2:
            return _bind_time(name, types, literals)
        if len(types) != 1:
            raise TypeMismatch(f"{name} takes a number, or a time and a unit: {name}(ts TO DAY)")
        kind = lt.DOUBLE if types[0].root is _R.NULL else types[0]
        if kind.root not in lt.NUMERIC:
            raise refused(name, 0, "a number", kind)
        result = lt.decimal(kind.precision, 0).with_nullable(kind.nullable) if kind.root is _R.DECIMAL else kind
        return Signature((kind,), result)

    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        if len(arguments) == 2:
            unit = arguments[1].as_py().upper()
            return round_time(column(arguments[0], context.rows), unit, up, kind, context)
        values = arguments[0]
        if pa.types.is_integer(values.type):
            return values
        return _at_scale(values, kind, 0, "up" if up else "down")

    return ScalarFunction(name, bind, evaluate, summary=summary, examples=examples)


def _bind_time(name: str, types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    kind = lt.timestamp(3) if types[0].root is _R.NULL else types[0]
    if kind.root not in lt.TEMPORAL:
        raise refused(name, 0, "a time or a date", kind)
    check_unit(name, literals[1], kind, tuple(ROUNDING))
    return Signature((kind, types[1]), kind)


def _at_scale(values: Value, kind: LogicalType, digits: int, mode: str) -> Value:
    """Numbers that are not whole, rounded to ``digits`` after the point; DECIMAL as ``kind``."""
    if pa.types.is_decimal(values.type):
        precision, scale = values.type.precision + 1, values.type.scale
        wider = pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
        if digits < scale:
            if -digits > precision - scale:
                return fitted(pc.multiply(values, pa.scalar(0, pa.decimal128(1, 0))), kind)
            values = pc.round(pc.cast(values, wider), ndigits=digits, round_mode=mode)
        return fitted(values, kind)
    return pc.round(values, ndigits=max(-_DIGITS_MAX, min(digits, _DIGITS_MAX)), round_mode=mode)


def _to_digits(name: str, mode: str, summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        if len(types) not in (1, 2):
            raise TypeMismatch(f"{name} takes 1 to 2 arguments, not {len(types)}")
        kind = lt.DOUBLE if types[0].root is _R.NULL else types[0]
        if kind.root not in lt.NUMERIC:
            raise refused(name, 0, "a number", kind)
        if len(types) == 2 and types[1].root not in (*lt.INTEGERS, _R.NULL):
            raise refused(name, 1, "a whole number", types[1])
        digits = literals[1] if len(types) == 2 else 0
        result = kind
        if kind.root is _R.DECIMAL and isinstance(digits, int):
            result = rounded_decimal(kind, digits)
        elif kind.root is _R.DECIMAL and digits is NOT_LITERAL:
            result = lt.decimal(min(38, kind.precision + 1), kind.scale)
        nullable = any(given.nullable for given in types)
        return Signature((kind, *[lt.INT] * (len(types) - 1)), result.with_nullable(nullable))

    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        values = arguments[0]
        digits = arguments[1] if len(arguments) == 2 else pa.scalar(0, pa.int32())
        if not isinstance(digits, pa.Scalar):
            one = _one_row(kind, mode)
            return per_row(one, [column(values, context.rows), digits], kind, context, name=name)
        if not digits.is_valid:
            return nulls(kind)
        if pa.types.is_integer(values.type):
            return _integers(values, digits.as_py(), mode)
        return _at_scale(values, kind, digits.as_py(), mode)

    return ScalarFunction(name, bind, evaluate, summary=summary, examples=examples)


def _one_row(kind: LogicalType, mode: str) -> Callable[[Any, int], Any]:
    def one(value: Any, digits: int) -> Any:
        values = pa.array([value], kind.arrow())
        rounded = _integers(values, digits, mode) if kind.root in lt.INTEGERS else _at_scale(values, kind, digits, mode)
        return rounded[0].as_py()

    return one


def _integers(values: Value, digits: int, mode: str) -> Value:
    if digits >= 0:
        return values
    if digits < -18:
        return pc.multiply(values, pa.scalar(0, values.type))
    unit = 10**-digits
    whole = pc.cast(values, pa.int64())
    size = pc.abs(whole)
    if mode == _HALF_UP:
        size = pc.add(size, unit // 2)
    size = pc.multiply(pc.divide(size, unit), unit)
    return pc.cast(pc.if_else(pc.less(whole, 0), pc.negate(size), size), values.type, safe=False)


FUNCTIONS: Final = (
    _whole(
        "FLOOR",
        False,
        "The greatest whole number not above; of a time the start of a unit.",
        ("FLOOR(2.7)", "2"),
        ("FLOOR(-2.5e0)", "-3.0"),
        ("FLOOR(TIMESTAMP '2024-05-17 10:20:30' TO MONTH)", "2024-05-01 00:00:00"),
        ("FLOOR(DATE '2024-05-17' TO YEAR)", "2024-01-01"),
    ),
    _whole(
        "CEIL",
        True,
        "The least whole number not below; of a time the start of the next unit.",
        ("CEIL(2.1)", "3"),
        ("CEIL(TIMESTAMP '2024-05-17 10:20:30' TO HOUR)", "2024-05-17 11:00:00"),
    ),
    _to_digits(
        "ROUND",
        _HALF_UP,
        "Rounded HALF_UP to so many digits after the point.",
        ("ROUND(2.345, 2)", "2.35"),
        ("ROUND(125, -1)", "130"),
        ("ROUND(-2.5e0)", "-3.0"),
    ),
    _to_digits(
        "TRUNCATE",
        "towards_zero",
        "Cut to so many digits after the point.",
        ("TRUNCATE(42.345, 2)", "42.34"),
        ("TRUNCATE(-42.9)", "-42"),
    ),
)
