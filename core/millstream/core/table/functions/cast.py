"""CAST and TRY_CAST: which types convert, and how whole columns do.

Whole numbers wrap when narrowed, like Java's; a DECIMAL with too many digits is NULL; a text that cannot be read fails
the job, naming the text, and is NULL under TRY_CAST.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.arrow_types import logical_type
from millstream.core.table.functions.cast_nested import cast_nested
from millstream.core.table.functions.cast_text import bytes_of_text, fitted_text, from_text, text_from_bytes
from millstream.core.table.functions.columns import column
from millstream.core.table.functions.decimal_arithmetic import fitted
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Signature, TypeMismatch, Value
from millstream.core.table.functions.zones import to_instant, to_local
from millstream.core.table.logical_types import LogicalType, TypeRoot
from millstream.core.table.text_format import text_column
from millstream.core.table.time_patterns import TICKS, of_day

_R = TypeRoot
_DATES: Final = (_R.DATE, *lt.TIMESTAMPS)


def castable(source: LogicalType, target: LogicalType) -> bool:
    """Whether CAST takes the first to the second."""
    one, other = source.root, target.root
    if one is _R.NULL or other in lt.TEXT:
        return True
    if one in lt.TEXT:
        return other not in lt.COMPOSITE
    if one in lt.NUMERIC:
        return other in (*lt.NUMERIC, _R.BOOLEAN) or (one in lt.INTEGERS and other in lt.INTERVALS)
    if one is _R.BOOLEAN:
        return other is _R.BOOLEAN or other in lt.NUMERIC
    if one in lt.BYTES_ROOTS:
        return other in lt.BYTES_ROOTS
    if one in lt.TEMPORAL:
        if one is _R.TIME or other is _R.TIME:
            return (other is _R.TIME and one is not _R.DATE) or other in lt.TIMESTAMPS
        return other in _DATES
    if one in lt.INTERVALS:
        return one is other or other in lt.INTEGERS
    if one is not other:
        return one is _R.MULTISET and other is _R.MAP
    if one is _R.ROW:
        pairs = list(zip(source.fields, target.fields, strict=False))
        return len(source.fields) == len(target.fields) and all(castable(a[1], b[1]) for a, b in pairs)
    assert source.element is not None and target.element is not None
    keys = source.key is None or target.key is None or castable(source.key, target.key)
    return keys and castable(source.element, target.element)


def refuse_cast(source: LogicalType, target: LogicalType, name: str = "CAST") -> TypeMismatch:
    return TypeMismatch(f"{name} does not convert {source.text()} to {target.text()}")


def cast_can_fail(source: LogicalType, target: LogicalType) -> bool:
    """Whether some value of ``source`` makes a CAST to ``target`` fail."""
    if source.root in lt.TEXT:
        return target.root not in (*lt.TEXT, *lt.BYTES_ROOTS)
    if source.root in lt.COMPOSITE:
        return target.root not in lt.TEXT
    return source.root in lt.BYTES_ROOTS and target.root in lt.TEXT


def cast_value(
    value: Value, source: LogicalType, target: LogicalType, context: EvaluationContext, *, attempt: bool = False
) -> Value:
    """``value`` as ``target``; a constant stays one. ``attempt``: NULL instead of ``RecordTypeError``."""
    if source.root is _R.NULL:
        return pa.scalar(None, target.arrow())
    if isinstance(value, pa.Scalar):
        return _cast(column(value, 1), source, target, context, attempt)[0]
    return _cast(column(value, 0), source, target, context, attempt)


def _cast(values: pa.Array, source: LogicalType, target: LogicalType, context: EvaluationContext, attempt: bool) -> Any:
    one, other = source.root, target.root
    if source.same_kind(target):
        return values
    if other in lt.TEXT:
        if one in lt.BYTES_ROOTS:
            return fitted_text(text_from_bytes(values, attempt), target)
        return fitted_text(text_column(values, source, context.time_zone), target)
    if one in lt.TEXT:
        if other in lt.BYTES_ROOTS:
            return bytes_of_text(values, target)
        return from_text(values, target, context, attempt)
    if other is _R.BOOLEAN:
        return pc.not_equal(values, pa.scalar(0, values.type))
    if other in lt.NUMERIC and one not in lt.INTERVALS:
        return _to_number(values, target)
    if one in lt.INTERVALS or other in lt.INTERVALS:
        return _between_intervals(values, target)
    if one in lt.TEMPORAL:
        return _between_times(values, source, target, context)
    if one in lt.BYTES_ROOTS:
        return bytes_of_text(values, target)
    return cast_nested(values, source, target, lambda v, s, t: cast_value(v, s, t, context, attempt=attempt))


def _to_number(values: pa.Array, target: LogicalType) -> pa.Array:
    arrow = target.arrow()
    kind = values.type
    if pa.types.is_boolean(kind):
        whole = pc.cast(values, pa.int8())
        return _to_number(whole, target) if target.root is _R.DECIMAL else pc.cast(whole, arrow)
    if target.root is _R.DECIMAL:
        return _to_decimal(values, target)
    if pa.types.is_decimal(kind):
        return _from_decimal(values, target)
    if pa.types.is_floating(kind) and target.root in lt.INTEGERS:
        return _truncated(values, target)
    return pc.cast(values, arrow, safe=False)


def _to_decimal(values: pa.Array, target: LogicalType) -> pa.Array:
    kind = values.type
    if pa.types.is_floating(kind):
        finite = pc.and_(pc.is_finite(values), pc.less(pc.abs(values), 10.0 ** (target.precision - target.scale)))
        kept = pc.if_else(pc.fill_null(finite, False), values, pa.scalar(None, kind))
        texts = pc.cast(kept, pa.string())
        return from_text(texts, target, EvaluationContext(rows=len(values)), True)
    if pa.types.is_integer(kind):
        digits = {1: 3, 2: 5, 4: 10, 8: 19}[kind.byte_width]
        if target.precision - target.scale >= digits:
            return pc.cast(values, target.arrow())
        values = pc.cast(values, pa.decimal128(digits, 0))
    return fitted(values, target)


def _from_decimal(values: pa.Array, target: LogicalType) -> pa.Array:
    if target.root in lt.APPROXIMATE:
        return pc.cast(values, target.arrow())
    whole = pc.cast(pc.trunc(values), pa.decimal128(38, 0), safe=False) if values.type.scale else values
    words = np.frombuffer(whole.buffers()[1], np.int64)[2 * whole.offset :: 2][: len(whole)]
    validity = pc.is_valid(whole).buffers()[1] if whole.null_count else None
    low = pa.Array.from_buffers(pa.int64(), len(whole), [validity, pa.py_buffer(np.ascontiguousarray(words))])
    return pc.cast(low, target.arrow(), safe=False)


def _truncated(values: pa.Array, target: LogicalType) -> pa.Array:
    """Java's: towards zero, the nearest bound where it does not fit, NaN as 0; TINYINT and SMALLINT wrap from INT."""
    numbers = pc.fill_null(values, 0).to_numpy(zero_copy_only=False).astype(np.float64)
    bounds = np.iinfo(np.int64 if target.root is _R.BIGINT else np.int32)
    numbers = np.nan_to_num(numbers, nan=0.0, posinf=np.inf, neginf=-np.inf)
    inside = (numbers > float(bounds.min)) & (numbers < float(bounds.max))
    whole = np.where(inside, numbers, 0).astype(np.int64)
    whole = np.where(inside, whole, np.where(numbers > 0, bounds.max, bounds.min))
    answer = pa.array(whole)
    if values.null_count:
        answer = pc.if_else(pc.is_valid(values), answer, pa.scalar(None, pa.int64()))
    return pc.cast(answer, target.arrow(), safe=False)


def _between_intervals(values: pa.Array, target: LogicalType) -> pa.Array:
    whole = pc.cast(values, pa.int64())
    return pc.cast(whole, target.arrow(), safe=not target.is_a(*lt.INTEGERS))


def _between_times(values: pa.Array, source: LogicalType, target: LogicalType, context: EvaluationContext) -> pa.Array:
    one, other = source.root, target.root
    if one is _R.TIME and other in lt.TIMESTAMPS:
        ms = of_day(values)
        return _to_timestamp(ms, target, context)
    if one is _R.DATE:
        return _to_timestamp(pc.cast(values, pa.timestamp("ms")), target, context)
    if one is other and one in lt.TIMESTAMPS:
        return with_precision(values, target)
    local = to_local(values, context) if one is _R.TIMESTAMP_LTZ else values
    if other is _R.DATE:
        return pc.cast(pc.floor_temporal(local, unit="day"), pa.date32())
    if other is _R.TIME:
        if one is _R.TIME:
            ms = pc.cast(values, pa.int32())
        else:
            within = pc.cast(pc.subtract(local, pc.floor_temporal(local, unit="day")), pa.int64())
            ms = pc.cast(pc.divide(within, TICKS[local.type.unit] // 1000), pa.int32())
        grain = 10 ** (3 - min(target.precision, 3))
        return pc.cast(
            pc.multiply(pc.divide(ms, pa.scalar(grain, pa.int32())), pa.scalar(grain, pa.int32())), pa.time32("ms")
        )
    return _to_timestamp(local, target, context)


def _to_timestamp(local: pa.Array, target: LogicalType, context: EvaluationContext) -> pa.Array:
    """Wall-clock times as TIMESTAMP or TIMESTAMP_LTZ."""
    plain = with_precision(local, lt.timestamp(target.precision))
    return to_instant(plain, context) if target.root is _R.TIMESTAMP_LTZ else plain


def with_precision(values: pa.Array, target: LogicalType) -> pa.Array:
    """Timestamps in the unit of ``target``, the digits beyond its precision cut."""
    arrow = target.arrow()
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[arrow.unit]
    if {"s": 0, "ms": 3, "us": 6, "ns": 9}[values.type.unit] > digits:
        values = pc.floor_temporal(values, unit={"ms": "millisecond", "us": "microsecond"}[arrow.unit])
    values = pc.cast(values, arrow)
    if target.precision == digits:
        return values
    step = 10 ** (digits - target.precision)
    ticks = pc.cast(values, pa.int64())
    from millstream.core.table.functions.time_arithmetic import floor_divide

    return pc.cast(pc.multiply(floor_divide(ticks, step), step), arrow)


def _bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    raise TypeMismatch("CAST needs a type: CAST(value AS INT)")


def _evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return cast_value(arguments[0], logical_type(arguments[0].type), kind, context)


def _attempt(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return cast_value(arguments[0], logical_type(arguments[0].type), kind, context, attempt=True)


FUNCTIONS: Final = (
    ScalarFunction(
        "CAST",
        _bind,
        _evaluate,
        can_fail=lambda types, result: cast_can_fail(types[0], result),
        summary="The value as another type; fails the job where it cannot be read as that.",
        examples=(
            ("CAST('12' AS INT)", "12"),
            ("CAST(300 AS TINYINT)", "44"),
            ("CAST(2.55 AS DECIMAL(3, 1))", "2.6"),
            ("CAST(123.4 AS DECIMAL(3, 1))", "NULL"),
            ("CAST(1.9 AS INT)", "1"),
            ("CAST(TRUE AS STRING)", "TRUE"),
            ("CAST(1e10 AS STRING)", "1.0E10"),
            ("CAST('2024-01-31' AS DATE)", "2024-01-31"),
            ("CAST(TIMESTAMP '2024-01-31 10:20:30.123' AS DATE)", "2024-01-31"),
        ),
    ),
    ScalarFunction(
        "TRY_CAST",
        _bind,
        _attempt,
        summary="The value as another type; NULL where it cannot be read as that.",
        examples=(("TRY_CAST('x' AS INT)", "NULL"), ("TRY_CAST('7' AS BIGINT)", "7")),
    ),
)
