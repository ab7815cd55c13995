"""``+ - * / %`` of numbers, and of times and intervals.

Whole numbers wrap around silently, like Java's; dividing one by zero fails the job. FLOAT and DOUBLE follow IEEE 754.
DECIMAL is exact (``decimal_arithmetic``). Times and intervals are in ``time_arithmetic``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions import coercion, decimal_arithmetic, time_arithmetic
from millstream.core.table.functions.binding import mismatched, refused
from millstream.core.table.functions.columns import failed
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Signature, TypeMismatch, Value
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot
_DECIMAL_RULES: Final = {
    "+": coercion.sum_decimal,
    "-": coercion.sum_decimal,
    "*": coercion.product_decimal,
    "/": coercion.quotient_decimal,
    "%": coercion.remainder_decimal,
}
_DECIMAL_KERNELS: Final = {
    "+": decimal_arithmetic.add,
    "-": decimal_arithmetic.subtract,
    "*": decimal_arithmetic.multiply,
    "/": decimal_arithmetic.divide,
    "%": decimal_arithmetic.remainder,
}
_KERNELS: Final = {"+": pc.add, "-": pc.subtract, "*": pc.multiply}


def _binder(name: str) -> Callable[[Sequence[LogicalType], Sequence[object]], Signature]:
    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        if name == "-" and len(types) == 1:
            return _bind_negative(types[0])
        if len(types) != 2:
            raise TypeMismatch(f"{name} takes 2 arguments, not {len(types)}")
        left, right = types
        timed = time_arithmetic.bind(name, left, right)
        if timed is not None:
            return timed
        left = right if left.root is _R.NULL else left
        right = left if right.root is _R.NULL else right
        if left.root is _R.NULL:
            left = right = lt.INT
        if left.root not in lt.NUMERIC or right.root not in lt.NUMERIC:
            raise mismatched(name, types)
        nullable = any(kind.nullable for kind in types)
        return _bind_numbers(name, left.with_nullable(nullable), right.with_nullable(nullable), nullable)

    return bind


def _bind_numbers(name: str, left: LogicalType, right: LogicalType, nullable: bool) -> Signature:
    roots = (left.root, right.root)
    if _R.DECIMAL in roots and not any(root in lt.APPROXIMATE for root in roots):
        result = _DECIMAL_RULES[name](coercion.as_decimal(left), coercion.as_decimal(right))
        return Signature((left, right), result.with_nullable(nullable))
    common = coercion.common_type([left, right])
    assert common is not None
    result = right if name == "%" and common.root in lt.INTEGERS else common
    return Signature((common, common), result.with_nullable(nullable))


def _bind_negative(kind: LogicalType) -> Signature:
    kind = lt.INT if kind.root is _R.NULL else kind
    if kind.root not in (*lt.NUMERIC, *lt.INTERVALS):
        raise refused("-", 0, "a number or an interval", kind)
    return Signature((kind,), kind)


def _evaluator(name: str) -> Callable[[Sequence[Value], LogicalType, EvaluationContext], Value]:
    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        if len(arguments) == 1:
            return pc.negate(arguments[0])
        left, right = arguments
        if time_arithmetic.concerns(kind):
            return time_arithmetic.evaluate(name, left, right, kind, context)
        if kind.root is _R.DECIMAL:
            if name in "/%":
                _refuse_zero(name, left, right)
            return _DECIMAL_KERNELS[name](left, right, kind)
        if name in _KERNELS:
            return _KERNELS[name](left, right)
        if kind.root in lt.APPROXIMATE:
            return pc.divide(left, right) if name == "/" else float_remainder(left, right)
        quotient = integer_quotient(name, left, right)
        if name == "/":
            return quotient
        return pc.cast(pc.subtract(left, pc.multiply(quotient, right)), kind.arrow(), safe=False)

    return evaluate


def integer_quotient(name: str, left: Value, right: Value) -> Value:
    """Truncated division for ``name``, ``/`` or ``%``. The least number divided by -1 is itself, as in Java.

    Raises for a zero.
    """
    _refuse_zero(name, left, right)
    if isinstance(right, pa.Scalar):
        return pc.negate(left) if right.as_py() == -1 else pc.divide(left, right)
    minus = pc.equal(right, pa.scalar(-1, right.type))
    if not pc.any(minus).as_py():
        return pc.divide(left, right)
    safe = pc.if_else(minus, pa.scalar(1, right.type), right)
    return pc.if_else(minus, pc.negate(left), pc.divide(left, safe))


def float_remainder(left: Value, right: Value) -> Value:
    """Java's ``%``: truncated, with the sign of the dividend."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        one = left.as_py() if isinstance(left, pa.Scalar) else left.to_numpy(zero_copy_only=False)
        other = right.as_py() if isinstance(right, pa.Scalar) else right.to_numpy(zero_copy_only=False)
        if one is None or other is None:
            return pa.scalar(None, left.type)
        answer = pa.array(np.fmod(one, other), left.type)
    known = pc.and_(pc.is_valid(left), pc.is_valid(right))
    return pc.if_else(known, answer, pa.scalar(None, left.type))


def _refuse_zero(name: str, left: Value, right: Value) -> None:
    zero = pa.scalar(0, right.type)
    if isinstance(right, pa.Scalar):
        if right.is_valid and right == zero and len(left) and left.null_count < len(left):
            raise _zero_error(name, next(value for value in left.to_pylist() if value is not None))
        return
    zeros = pc.and_(pc.equal(right, zero), pc.is_valid(left))
    place = pc.index(zeros, pa.scalar(True)).as_py()
    if place >= 0:
        raise _zero_error(name, left.as_py() if isinstance(left, pa.Scalar) else left[place].as_py())


def _zero_error(name: str, value: object) -> Exception:
    return failed(name, [value, 0], "division by zero. Guard it: CASE WHEN b <> 0 THEN a / b END, or NULLIF(b, 0)")


def _may_divide_by_zero(types: Sequence[LogicalType], result: LogicalType) -> bool:
    return result.root in lt.EXACT


def _operator(name: str, summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    fails = _may_divide_by_zero if name in "/%" else None
    return ScalarFunction(name, _binder(name), _evaluator(name), can_fail=fails, summary=summary, examples=examples)


FUNCTIONS: Final = (
    _operator(
        "+",
        "The sum of two numbers or intervals, or a time moved by an interval.",
        ("1 + 2", "3"),
        ("2147483647 + 1", "-2147483648"),
        ("1.5 + 1", "2.5"),
        ("0.1 + 0.2", "0.3"),
        ("DATE '2024-01-31' + INTERVAL '1' MONTH", "2024-02-29"),
    ),
    _operator(
        "-",
        "The difference of two numbers, times or intervals, or a time moved back; with one argument its negative.",
        ("1 - 2", "-1"),
        ("-(3)", "-3"),
        ("TIMESTAMP '2024-01-01 00:00:00' - INTERVAL '1' SECOND", "2023-12-31 23:59:59"),
    ),
    _operator("*", "The product of two numbers.", ("6 * 7", "42"), ("0.908 * 100", "90.800"), ("2 * 1.5e0", "3.0")),
    _operator(
        "/",
        "The quotient; of whole numbers truncated, of DECIMAL rounded HALF_UP. Zero as divisor fails the job.",
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("1.0 / 3", "0.333333333333"),
        ("1e0 / 0", "Infinity"),
    ),
    _operator("%", "What division leaves, with the sign of the dividend.", ("7 % 3", "1"), ("-7 % 3", "-1")),
)
