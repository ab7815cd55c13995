"""Comparisons, IN, BETWEEN, and IS DISTINCT FROM; NULL in, NULL out but for the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import mismatched
from millstream.core.table.functions.coercion import common_type, comparison_type
from millstream.core.table.functions.columns import column
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Signature, TypeMismatch, Value
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot
_KERNELS: Final[dict[str, Any]] = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_PYTHON: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda one, other: bool(one == other),
    "<>": lambda one, other: bool(one != other),
    "<": lambda one, other: bool(one < other),
    "<=": lambda one, other: bool(one <= other),
    ">": lambda one, other: bool(one > other),
    ">=": lambda one, other: bool(one >= other),
}


def compare(name: str, left: Value, right: Value) -> Value:
    """The comparison ``name`` of two values of one type."""
    if pa.types.is_nested(left.type):
        return _compare_nested(name, left, right)
    if pa.types.is_null(left.type) or pa.types.is_null(right.type):
        return pa.scalar(None, pa.bool_())
    if pa.types.is_decimal(left.type) and left.type != right.type:
        scale = max(left.type.scale, right.type.scale)
        if max(left.type.precision - left.type.scale, right.type.precision - right.type.scale) + scale > 38:
            wide = pa.decimal256(76, scale)
            left, right = pc.cast(left, wide), pc.cast(right, wide)
    return _KERNELS[name](left, right)


def _compare_nested(name: str, left: Value, right: Value) -> Value:
    rows = max(len(value) for value in (left, right) if not isinstance(value, pa.Scalar))
    pairs = zip(column(left, rows).to_pylist(), column(right, rows).to_pylist(), strict=True)
    if pa.types.is_map(left.type):
        pairs = ((_as_dict(one), _as_dict(other)) for one, other in pairs)  # type: ignore[assignment]
    decide = _PYTHON[name]
    return pa.array([None if one is None or other is None else decide(one, other) for one, other in pairs], pa.bool_())


def _as_dict(entries: Any) -> Any:
    return None if entries is None else dict(entries)


def _bind_pair(name: str, types: Sequence[LogicalType]) -> Signature:
    if len(types) != 2:
        raise TypeMismatch(f"{name} takes 2 arguments, not {len(types)}")
    left, right = types
    nullable = left.nullable or right.nullable
    exact = left.root in lt.EXACT and right.root in lt.EXACT and _R.DECIMAL in (left.root, right.root)
    result = lt.BOOLEAN.with_nullable(nullable)
    if exact:  # decimals of any digits compare as they are: a common type of 38 digits might round
        one, other = (kind if kind.root is _R.DECIMAL else _decimal_of(kind) for kind in types)
        return Signature((one, other), result)
    common = comparison_type(left, right)
    ordered = name not in ("=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")
    if common is None or (ordered and common.root in lt.COMPOSITE):
        raise mismatched(name, types)
    return Signature((common, common), result)


def _decimal_of(kind: LogicalType) -> LogicalType:
    from millstream.core.table.functions.coercion import as_decimal

    return as_decimal(kind)


def _comparison(name: str, summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        return _bind_pair(name, types)

    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        return compare(name, arguments[0], arguments[1])

    return ScalarFunction(name, bind, evaluate, summary=summary, examples=examples)


def _distinct(name: str, same: bool, summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        signature = _bind_pair(name, types)
        return Signature(signature.parameters, lt.BOOLEAN.with_nullable(False))

    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        equal = same_values(arguments[0], arguments[1])
        return equal if same else pc.invert(equal)

    return ScalarFunction(name, bind, evaluate, summary=summary, examples=examples)


def same_values(left: Value, right: Value) -> Value:
    """Equality in which NULL equals NULL and nothing else."""
    both = pc.and_(_is_null(left), _is_null(right))
    return pc.or_(both, pc.fill_null(compare("=", left, right), False))


def _is_null(value: Value) -> Value:
    return pc.is_null(value)


def _bind_in(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) < 2:
        raise TypeMismatch("IN takes a value and at least one to compare it with")
    common: LogicalType | None = types[0]
    for kind in types[1:]:
        assert common is not None
        merged = comparison_type(common, kind)
        if merged is None:
            raise mismatched("IN", [types[0], kind])
        common = merged
    assert common is not None
    nullable = any(kind.nullable for kind in types)
    return Signature(tuple(common for _ in types), lt.BOOLEAN.with_nullable(nullable))


def _is_in(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    """Three-valued: no match is NULL where the value or a candidate is NULL."""
    value, candidates = arguments[0], arguments[1:]
    constants = all(isinstance(candidate, pa.Scalar) for candidate in candidates)
    if constants and not pa.types.is_nested(value.type) and not isinstance(value, pa.Scalar):
        known = [candidate for candidate in candidates if candidate.is_valid]
        members = pa.array([candidate.as_py() for candidate in known], value.type)
        found = pc.is_in(value, value_set=members)
        unsure = pc.is_null(value)
        if len(known) < len(candidates):
            unsure = pc.or_(unsure, pc.invert(found))
        return pc.if_else(unsure, pa.scalar(None, pa.bool_()), found)
    answer = compare("=", value, candidates[0])
    for candidate in candidates[1:]:
        answer = pc.or_kleene(answer, compare("=", value, candidate))
    return answer


def _not_in(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return pc.invert(_is_in(arguments, kind, context))


def _bind_between(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 3:
        raise TypeMismatch(f"BETWEEN takes 3 arguments, not {len(types)}")
    common: LogicalType | None = comparison_type(types[0], types[1])
    common = None if common is None else comparison_type(common, types[2])
    if common is None or common.root in lt.COMPOSITE:
        raise mismatched("BETWEEN", types)
    return Signature((common,) * 3, lt.BOOLEAN.with_nullable(any(kind.nullable for kind in types)))


def _between(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    value, low, high = arguments
    return pc.and_kleene(compare(">=", value, low), compare("<=", value, high))


def _not_between(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return pc.invert(_between(arguments, kind, context))


def _extreme(name: str, largest: bool, summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        common = common_type(types) if types else None
        if common is None or common.root in lt.COMPOSITE:
            raise mismatched(name, types)
        return Signature(tuple(common for _ in types), common)

    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        best = arguments[0]
        for value in arguments[1:]:
            better = compare(">" if largest else "<", value, best)
            best = pc.if_else(pc.invert(better), best, value)  # NULL where either is
        return best

    return ScalarFunction(name, bind, evaluate, summary=summary, examples=examples)


FUNCTIONS: Final = (
    _comparison("=", "Whether two values are equal.", ("1 = 1", "TRUE"), ("1 = NULL", "NULL"), ("'1' = 1", "TRUE")),
    _comparison("<>", "Whether two values differ.", ("1 <> 2", "TRUE"), ("'a' <> 'a'", "FALSE")),
    _comparison("<", "Whether the left is less.", ("1 < 1.5", "TRUE"), ("'a' < 'b'", "TRUE")),
    _comparison("<=", "Whether the left is not greater.", ("2 <= 2", "TRUE")),
    _comparison(">", "Whether the left is greater.", ("DATE '2024-02-01' > '2024-01-31'", "TRUE")),
    _comparison(">=", "Whether the left is not less.", ("1 >= 2", "FALSE")),
    _distinct(
        "IS DISTINCT FROM",
        False,
        "Whether two values differ, NULL being a value like others.",
        ("1 IS DISTINCT FROM NULL", "TRUE"),
        ("NULL IS DISTINCT FROM NULL", "FALSE"),
    ),
    _distinct(
        "IS NOT DISTINCT FROM",
        True,
        "Whether two values are equal, NULL being a value like others.",
        ("NULL IS NOT DISTINCT FROM NULL", "TRUE"),
        ("1 IS NOT DISTINCT FROM NULL", "FALSE"),
    ),
    ScalarFunction(
        "IN",
        _bind_in,
        _is_in,
        summary="Whether the value equals one of a list.",
        examples=(("2 IN (1, 2)", "TRUE"), ("3 IN (1, NULL)", "NULL"), ("'a' IN ('b')", "FALSE")),
    ),
    ScalarFunction(
        "NOT IN",
        _bind_in,
        _not_in,
        summary="Whether the value equals none of a list.",
        examples=(("2 NOT IN (1, 3)", "TRUE"), ("2 NOT IN (1, NULL)", "NULL")),
    ),
    ScalarFunction(
        "BETWEEN",
        _bind_between,
        _between,
        summary="Whether the value is at least the second and at most the third.",
        examples=(("2 BETWEEN 1 AND 2", "TRUE"), ("2 BETWEEN 3 AND NULL", "FALSE")),
    ),
    ScalarFunction(
        "NOT BETWEEN",
        _bind_between,
        _not_between,
        summary="Whether the value is less than the second or greater than the third.",
        examples=(("2 NOT BETWEEN 1 AND 2", "FALSE"),),
    ),
    _extreme(
        "GREATEST",
        True,
        "The greatest of its arguments; NULL where one is.",
        ("GREATEST(1, 3, 2)", "3"),
        ("GREATEST(1, NULL)", "NULL"),
    ),
    _extreme("LEAST", False, "The least of its arguments; NULL where one is.", ("LEAST(4, 3.5)", "3.5")),
)
