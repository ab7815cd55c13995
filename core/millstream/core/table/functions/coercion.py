"""Which type two types meet in: for arithmetic, comparison, CASE and set operations; Flink's rules for DECIMAL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from millstream.core.table import logical_types as lt
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot
_DIGITS: Final = {_R.TINYINT: 3, _R.SMALLINT: 5, _R.INTEGER: 10, _R.BIGINT: 19}
_MIN_SCALE: Final = 6
"""Digits after the point that DECIMAL keeps when a result has more than 38 digits."""


def as_decimal(kind: LogicalType) -> LogicalType:
    """The DECIMAL that holds every value of an exact type; nullability is kept."""
    if kind.root is _R.DECIMAL:
        return kind
    return lt.decimal(_DIGITS[kind.root], 0).with_nullable(kind.nullable)


def bounded_decimal(precision: int, scale: int) -> LogicalType:
    """DECIMAL of at most 38 digits: digits after the point give way, down to six."""
    if precision <= lt.MAX_DECIMAL_PRECISION:
        return lt.decimal(precision, scale)
    whole = precision - scale
    return lt.decimal(lt.MAX_DECIMAL_PRECISION, max(lt.MAX_DECIMAL_PRECISION - whole, min(scale, _MIN_SCALE)))


def sum_decimal(left: LogicalType, right: LogicalType) -> LogicalType:
    """Of ``+`` and ``-``."""
    scale = max(left.scale, right.scale)
    whole = max(left.precision - left.scale, right.precision - right.scale)
    return bounded_decimal(whole + scale + 1, scale)


def product_decimal(left: LogicalType, right: LogicalType) -> LogicalType:
    """Of ``*``."""
    return bounded_decimal(left.precision + right.precision + 1, left.scale + right.scale)


def quotient_decimal(left: LogicalType, right: LogicalType) -> LogicalType:
    """Of ``/``."""
    scale = max(_MIN_SCALE, left.scale + right.precision + 1)
    return bounded_decimal(left.precision - left.scale + right.scale + scale, scale)


def remainder_decimal(left: LogicalType, right: LogicalType) -> LogicalType:
    """Of ``%`` and MOD."""
    scale = max(left.scale, right.scale)
    return bounded_decimal(min(left.precision - left.scale, right.precision - right.scale) + scale, scale)


def rounded_decimal(kind: LogicalType, digits: int) -> LogicalType:
    """Of ROUND to ``digits`` after the point; negative digits round before it."""
    if digits >= kind.scale:
        return kind
    whole = kind.precision - kind.scale
    if digits < 0:
        return lt.decimal(min(lt.MAX_DECIMAL_PRECISION, 1 + whole), 0)
    return lt.decimal(min(lt.MAX_DECIMAL_PRECISION, 1 + whole + digits), digits)


def common_type(types: Sequence[LogicalType]) -> LogicalType | None:
    """The narrowest type that holds the values of all; nullable where one is. None where there is none."""
    nullable = any(kind.nullable or kind.root is _R.NULL for kind in types)
    known = [kind for kind in types if kind.root is not _R.NULL]
    if not known:
        return lt.NULL
    merged: LogicalType | None = known[0]
    for kind in known[1:]:
        assert merged is not None
        merged = _merge(merged, kind)
        if merged is None:
            return None
    assert merged is not None
    return merged.with_nullable(nullable)


def comparison_type(left: LogicalType, right: LogicalType) -> LogicalType | None:
    """The type in which two values compare; a text is read as the type of the other. None where they do not."""
    if left.root in lt.TEXT and right.root in _READ_FROM_TEXT:
        return right.with_nullable(True)
    if right.root in lt.TEXT and left.root in _READ_FROM_TEXT:
        return left.with_nullable(True)
    return common_type([left, right])


_READ_FROM_TEXT: Final = (*lt.NUMERIC, *lt.TEMPORAL, _R.BOOLEAN)


def _merge(left: LogicalType, right: LogicalType) -> LogicalType | None:
    if left.same_kind(right):
        return left
    if left.root in lt.NUMERIC and right.root in lt.NUMERIC:
        return _merge_numbers(left, right)
    for family, varying in ((lt.TEXT, _R.VARCHAR), (lt.BYTES_ROOTS, _R.VARBINARY)):
        if left.root in family and right.root in family:
            return LogicalType(varying, precision=max(left.precision, right.precision))
    if left.root in (_R.DATE, *lt.TIMESTAMPS) and right.root in (_R.DATE, *lt.TIMESTAMPS):
        zoned = _R.TIMESTAMP_LTZ in (left.root, right.root)
        return LogicalType(_R.TIMESTAMP_LTZ if zoned else _R.TIMESTAMP, precision=max(left.precision, right.precision))
    if left.root is not right.root:
        return None
    if left.root is _R.TIME:
        return LogicalType(_R.TIME, precision=max(left.precision, right.precision))
    if left.root is _R.ROW:
        return _merge_rows(left, right)
    if left.root in (_R.ARRAY, _R.MULTISET, _R.MAP):
        assert left.element is not None and right.element is not None
        element = common_type([left.element, right.element])
        key = None if left.key is None or right.key is None else common_type([left.key, right.key])
        if element is None or (key is None and left.root is _R.MAP):
            return None
        return LogicalType(left.root, element=element, key=key)
    return None


def _merge_numbers(left: LogicalType, right: LogicalType) -> LogicalType:
    roots = (left.root, right.root)
    if _R.DOUBLE in roots or (_R.FLOAT in roots and _R.DECIMAL in roots):
        return lt.DOUBLE
    if _R.FLOAT in roots:
        return lt.FLOAT
    if _R.DECIMAL in roots:
        left, right = as_decimal(left), as_decimal(right)
        scale = max(left.scale, right.scale)
        whole = max(left.precision - left.scale, right.precision - right.scale)
        return bounded_decimal(whole + scale, scale)
    return LogicalType(max(roots, key=lt.INTEGERS.index))


def _merge_rows(left: LogicalType, right: LogicalType) -> LogicalType | None:
    if len(left.fields) != len(right.fields):
        return None
    merged = []
    for (name, one), (_, other) in zip(left.fields, right.fields, strict=True):
        kind = common_type([one, other])
        if kind is None:
            return None
        merged.append((name, kind))
    return lt.row(*merged)
