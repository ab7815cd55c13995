"""Arithmetic of DECIMAL columns: exact where 38 digits suffice, through 256 bits and HALF_UP rounding where not.

A result with more digits than its type has room for is NULL, as in Flink.
"""

from __future__ import annotations

import decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table.functions.columns import column
from millstream.core.table.functions.function import Value
from millstream.core.table.logical_types import MAX_DECIMAL_PRECISION, LogicalType

_WIDE_MAX: Final = 76
_HALF_UP: Final = "half_towards_infinity"


def add(left: Value, right: Value, kind: LogicalType) -> Value:
    return _exact("add", left, right, kind)


def subtract(left: Value, right: Value, kind: LogicalType) -> Value:
    return _exact("subtract", left, right, kind)


def multiply(left: Value, right: Value, kind: LogicalType) -> Value:
    fast = _multiply_by_constant(left, right, kind)
    return _exact("multiply", left, right, kind) if fast is None else fast


def divide(left: Value, right: Value, kind: LogicalType) -> Value:
    """The quotient, HALF_UP at the scale of ``kind``; the divisor holds no zero.

    Arrow truncates, so one digit more than wanted is asked for: it decides the rounding.
    """
    left, right = _wide_enough(left), _wide_enough(right)
    scale = max(0, kind.scale - right.type.precision + right.type.scale)
    precision = left.type.precision - left.type.scale + scale
    arrow_scale = max(4, scale + right.type.precision - right.type.scale + 1)
    if precision + right.type.scale - scale + arrow_scale <= _WIDE_MAX and scale >= left.type.scale:
        left = pc.cast(left, pa.decimal256(precision, scale))
        return fitted(pc.divide(left, pc.cast(right, pa.decimal256(right.type.precision, right.type.scale))), kind)
    return _slow("divide", left, right, kind)


def remainder(left: Value, right: Value, kind: LogicalType) -> Value:
    """What is left of ``left`` after whole divisors, with its sign; the divisor holds no zero."""
    return _slow("remainder", left, right, kind)


def fitted(values: Value, kind: LogicalType) -> Value:
    """A column of decimals as ``kind``: rounded HALF_UP, NULL where its digits do not suffice."""
    wanted = pa.decimal128(kind.precision, kind.scale)
    if values.type == wanted:
        return values
    digits, scale = values.type.precision, values.type.scale
    if scale > kind.scale:  # rounding may carry into one digit more
        digits += 1
        wider = pa.decimal128(digits, scale) if digits <= MAX_DECIMAL_PRECISION else pa.decimal256(digits, scale)
        values = pc.round(pc.cast(values, wider), ndigits=kind.scale, round_mode=_HALF_UP)
    if digits - scale > kind.precision - kind.scale:
        limit = pa.scalar(decimal.Decimal(10) ** (kind.precision - kind.scale), values.type)
        values = pc.if_else(pc.less(pc.abs(values), limit), values, pa.scalar(None, values.type))
    return pc.cast(values, wanted)


def _exact(name: str, left: Value, right: Value, kind: LogicalType) -> Value:
    """Add, subtract, multiply: Arrow's digits are those of the exact result."""
    left, right = _wide_enough(left), _wide_enough(right)
    if name == "multiply":
        digits = left.type.precision + right.type.precision + 1
    else:
        whole = max(left.type.precision - left.type.scale, right.type.precision - right.type.scale)
        digits = whole + max(left.type.scale, right.type.scale) + 1
    if digits > _WIDE_MAX:
        return _slow(name, left, right, kind)
    if digits > MAX_DECIMAL_PRECISION:
        left = pc.cast(left, pa.decimal256(left.type.precision, left.type.scale))
        right = pc.cast(right, pa.decimal256(right.type.precision, right.type.scale))
    return fitted(pc.call_function(name, [left, right]), kind)


def _multiply_by_constant(left: Value, right: Value, kind: LogicalType) -> Value | None:
    """A column of whole numbers times a constant, in 64 bits; None where those may not do."""
    values, factor = (left, right) if isinstance(right, pa.Scalar) else (right, left)
    if not isinstance(factor, pa.Scalar) or not factor.is_valid or isinstance(values, pa.Scalar):
        return None
    exact = factor.as_py()
    scale = factor.type.scale if pa.types.is_decimal(factor.type) else 0
    unscaled = int(exact.scaleb(scale)) if isinstance(exact, decimal.Decimal) else int(exact)
    if not pa.types.is_integer(values.type) or unscaled == 0 or kind.scale != scale:
        return None
    from millstream.core.kernels.decimals import multiply_by_constant  # with numba, which planning must not load

    plain = pc.fill_null(values, 0) if values.null_count else values
    numbers = np.asarray(plain.to_numpy(zero_copy_only=False), np.int64)
    words = np.empty((len(numbers), 2), np.int64)
    if not multiply_by_constant(numbers, unscaled, words):
        return None
    validity = pc.is_valid(values).buffers()[1] if values.null_count else None
    return pa.Array.from_buffers(kind.arrow(), len(numbers), [validity, pa.py_buffer(words)])


def _wide_enough(value: Value) -> Value:
    """Whole numbers as decimals."""
    if pa.types.is_decimal(value.type):
        return value
    digits = {1: 3, 2: 5, 4: 10, 8: 19}[value.type.byte_width]
    return pc.cast(value, pa.decimal128(digits, 0))


def _slow(name: str, left: Value, right: Value, kind: LogicalType) -> Value:
    """Row by row with Python's decimals, for more digits than 256 bits hold."""
    rows = max(len(value) for value in (left, right) if not isinstance(value, pa.Scalar))
    answers: list[Any] = []
    compute = _SLOW[name]
    with decimal.localcontext(decimal.Context(prec=2 * _WIDE_MAX + 2, rounding=decimal.ROUND_HALF_UP)):
        unit = decimal.Decimal(1).scaleb(-kind.scale)
        limit = decimal.Decimal(10) ** (kind.precision - kind.scale)
        pairs = zip(column(left, rows).to_pylist(), column(right, rows).to_pylist(), strict=True)
        for one, other in pairs:
            answer = None if one is None or other is None else compute(one, other).quantize(unit)
            answers.append(None if answer is None or abs(answer) >= limit else answer)
    return pa.array(answers, kind.arrow())


_SLOW: Final[dict[str, Any]] = {
    "add": lambda one, other: one + other,
    "subtract": lambda one, other: one - other,
    "multiply": lambda one, other: one * other,
    "divide": lambda one, other: one / other,
    "remainder": lambda one, other: one % other,
}
