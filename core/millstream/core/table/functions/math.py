"""Functions of numbers. What is not exact is DOUBLE; where a function is not defined the result is NaN, as in Java."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import INT32, NUMBER, REAL, TEXT, WHOLE, refused, takes
from millstream.core.table.functions.columns import column, nulls, per_row
from millstream.core.table.functions.decimal_arithmetic import fitted
from millstream.core.table.functions.declare import arrow_function, row_function
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Signature, Value
from millstream.core.table.functions.rounding import FUNCTIONS as ROUNDING_FUNCTIONS
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot
_WORD: Final = 2**64


def _real(name: str, compute: Callable[[Any], Any], summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    return arrow_function(name, [REAL], lt.DOUBLE, compute, summary, *examples)


def _numpy(function: Callable[[Any], Any]) -> Callable[[pa.Array], pa.Array]:
    """A function of numpy arrays as one of columns."""

    def compute(values: pa.Array) -> pa.Array:
        with np.errstate(all="ignore"):
            answer = pa.array(function(pc.fill_null(values, 0.0).to_numpy(zero_copy_only=False)))
        return pc.if_else(pc.is_valid(values), answer, pa.scalar(None, pa.float64())) if values.null_count else answer

    return compute


def _cotangent(values: Any) -> Any:
    return 1 / np.tan(values)


def _log(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return pc.ln(arguments[0]) if len(arguments) == 1 else pc.logb(arguments[1], arguments[0])


def _sign(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    values = arguments[0]
    signs = pc.sign(values)  # whole numbers
    if not pa.types.is_decimal(values.type):
        return pc.cast(signs, values.type)
    return fitted(pc.cast(pc.cast(signs, pa.int64()), pa.decimal128(19, 0)), kind)


def _bin(value: int) -> str:
    return f"{value % _WORD:b}"


def _hex(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return per_row(
        lambda value: value.encode().hex().upper() if isinstance(value, str) else f"{value % _WORD:X}",
        arguments,
        kind,
        context,
        name="HEX",
    )


def _bind_hex(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    kind = types[0] if len(types) == 1 and types[0].root is not _R.NULL else lt.STRING
    if len(types) != 1 or kind.root not in (*lt.TEXT, *lt.INTEGERS):
        raise refused("HEX", 0, "a whole number or a STRING", kind)
    return Signature((kind,), lt.STRING.with_nullable(types[0].nullable))


def _unhex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text if len(text) % 2 == 0 else "0" + text)
    except ValueError:
        return None


def random_numbers(context: EvaluationContext) -> np.ndarray[Any, np.dtype[np.float64]]:
    """As many as the batch has rows, in [0, 1)."""
    assert context.random is not None, "the operator gives a source of random numbers"
    return np.asarray(context.random(context.rows), np.float64)


def _rand(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return pa.array(random_numbers(context))


def _rand_integer(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    bound = column(arguments[-1], context.rows)
    numbers = np.floor(random_numbers(context) * pc.fill_null(bound, 1).to_numpy(zero_copy_only=False))
    return pc.if_else(pc.is_valid(bound), pa.array(numbers.astype(np.int32)), nulls(kind))


def _constant(value: float) -> Callable[..., Value]:
    return lambda: pa.scalar(value, pa.float64())


FUNCTIONS: Final = (
    *ROUNDING_FUNCTIONS,
    arrow_function("ABS", [NUMBER], lambda kinds: kinds[0], pc.abs, "The size without the sign.", ("ABS(-3)", "3")),
    ScalarFunction(
        "SIGN",
        takes("SIGN", NUMBER, result=lambda kinds: kinds[0]),
        _sign,
        summary="-1, 0 or 1.",
        examples=(("SIGN(-2.5)", "-1.0"), ("SIGN(3)", "1")),
    ),
    arrow_function(
        "POWER", [REAL, REAL], lt.DOUBLE, pc.power, "The first to the power of the second.", ("POWER(2, 10)", "1024.0")
    ),
    _real("SQRT", pc.sqrt, "The square root.", ("SQRT(9)", "3.0")),
    _real("EXP", pc.exp, "e to the power of the number.", ("EXP(0)", "1.0")),
    _real("LN", pc.ln, "The natural logarithm.", ("LN(1)", "0.0")),
    _real("LOG10", pc.log10, "The logarithm to the base 10.", ("LOG10(1000)", "3.0")),
    _real("LOG2", pc.log2, "The logarithm to the base 2.", ("LOG2(8)", "3.0")),
    ScalarFunction(
        "LOG",
        takes("LOG", REAL, REAL, optional=1, result=lt.DOUBLE),
        _log,
        summary="The natural logarithm, or with two arguments that of the second to the base of the first.",
        examples=(("LOG(2, 8)", "3.0"), ("LOG(1)", "0.0")),
    ),
    _real("SIN", pc.sin, "The sine.", ("SIN(0)", "0.0")),
    _real("COS", pc.cos, "The cosine.", ("COS(0)", "1.0")),
    _real("TAN", pc.tan, "The tangent.", ("TAN(0)", "0.0")),
    _real("COT", _numpy(_cotangent), "The cotangent.", ("COT(0)", "Infinity")),
    _real("ASIN", pc.asin, "The arc sine.", ("ASIN(0)", "0.0")),
    _real("ACOS", pc.acos, "The arc cosine.", ("ACOS(1)", "0.0")),
    _real("ATAN", pc.atan, "The arc tangent.", ("ATAN(0)", "0.0")),
    arrow_function(
        "ATAN2", [REAL, REAL], lt.DOUBLE, pc.atan2, "The angle of the point (second, first).", ("ATAN2(0, 1)", "0.0")
    ),
    _real("SINH", _numpy(np.sinh), "The hyperbolic sine.", ("SINH(0)", "0.0")),
    _real("COSH", _numpy(np.cosh), "The hyperbolic cosine.", ("COSH(0)", "1.0")),
    _real("TANH", _numpy(np.tanh), "The hyperbolic tangent.", ("TANH(0)", "0.0")),
    _real("DEGREES", _numpy(np.degrees), "Radians as degrees.", ("DEGREES(PI())", "180.0")),
    _real("RADIANS", _numpy(np.radians), "Degrees as radians.", ("RADIANS(0)", "0.0")),
    arrow_function("PI", [], lt.DOUBLE, _constant(np.pi), "The ratio of a circle.", ("PI()", "3.141592653589793")),
    arrow_function("E", [], lt.DOUBLE, _constant(np.e), "Euler's number.", ("E()", "2.718281828459045")),
    ScalarFunction(
        "RAND",
        takes("RAND", INT32, optional=1, result=lt.DOUBLE, nullable=False),
        _rand,
        deterministic=False,
        summary="A random number in [0, 1).",
    ),
    ScalarFunction(
        "RAND_INTEGER",
        takes("RAND_INTEGER", INT32, INT32, optional=1, result=lt.INT),
        _rand_integer,
        deterministic=False,
        summary="A random whole number from 0 up to, not including, the last argument.",
    ),
    row_function(
        "BIN",
        [WHOLE],
        lt.STRING,
        _bin,
        "The binary digits; of a negative number its 64 bits.",
        ("BIN(12)", "1100"),
        nullable=None,
    ),
    ScalarFunction(
        "HEX",
        _bind_hex,
        _hex,
        summary="The hexadecimal digits of a number, or of the bytes of a text.",
        examples=(("HEX(20)", "14"), ("HEX('hello')", "68656C6C6F")),
    ),
    row_function(
        "UNHEX",
        [TEXT],
        lt.BYTES,
        _unhex,
        "The bytes that hexadecimal digits stand for; NULL for other texts.",
        ("UNHEX('0A1f')", "x'0a1f'"),
        ("UNHEX('x')", "NULL"),
    ),
)
