"""CASE, IF, COALESCE, IFNULL, NULLIF.

The evaluation of expressions runs them branch by branch where a branch may fail, so that it sees only its own rows;
what is here works on whole columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.errors import RecordTypeError
from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import mismatched, refused
from millstream.core.table.functions.coercion import common_type, comparison_type
from millstream.core.table.functions.columns import column, rows_of
from millstream.core.table.functions.comparison import compare
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Signature, TypeMismatch, Value
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot


def _bind_case(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    """WHEN, THEN, ..., ELSE: an odd number; the binder adds ELSE NULL."""
    if len(types) < 3 or len(types) % 2 == 0:
        raise TypeMismatch(f"CASE takes WHEN and THEN in pairs and an ELSE, not {len(types)} arguments")
    for position in range(0, len(types) - 1, 2):
        if types[position].root not in (_R.BOOLEAN, _R.NULL):
            raise refused("CASE", position, "a BOOLEAN", types[position])
    results = [*types[1::2], types[-1]]
    common = common_type(results)
    if common is None:
        raise mismatched("CASE", results, "all THEN and ELSE need one type: CAST them")
    parameters = [lt.BOOLEAN if position % 2 == 0 else common for position in range(len(types) - 1)]
    return Signature((*parameters, common), common)


def choose(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    """CASE over whole columns, from the last branch to the first."""
    answer = arguments[-1]
    for position in range(len(arguments) - 3, -1, -2):
        condition, value = arguments[position], arguments[position + 1]
        if isinstance(condition, pa.Scalar):
            answer = value if condition.as_py() else answer
        else:
            answer = pick(condition, value, answer)
    return answer


def pick(condition: Value, value: Value, otherwise: Value) -> Value:
    """``value`` where ``condition`` is true, ``otherwise`` where it is false or NULL."""
    known = pc.fill_null(condition, False) if condition.null_count else condition
    if pa.types.is_map(value.type):  # Arrow's if_else takes no maps: choose by position
        rows = len(known)
        both = pa.concat_arrays([column(value, rows), column(otherwise, rows)])
        places = pa.array(range(rows), pa.int64())
        return both.take(pc.if_else(known, places, pc.add(places, rows)))
    return pc.if_else(known, value, otherwise)


def _bind_if(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 3:
        raise TypeMismatch(f"IF takes 3 arguments, not {len(types)}")
    if types[0].root not in (_R.BOOLEAN, _R.NULL):
        raise refused("IF", 0, "a BOOLEAN", types[0])
    common = common_type(types[1:])
    if common is None:
        raise mismatched("IF", types[1:])
    return Signature((lt.BOOLEAN, common, common), common)


def _bind_single(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 2:
        raise TypeMismatch(f"SINGLE_VALUE takes 2 arguments, not {len(types)}")
    return Signature((types[0], lt.BIGINT), types[0].with_nullable(True))


def _single(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    value, rows = arguments
    most = rows.as_py() if isinstance(rows, pa.Scalar) else pc.max(rows).as_py()
    if most is not None and most > 1:
        raise RecordTypeError(
            f"a subquery that stands for one value has {most} rows. Aggregate it (MAX, COUNT, ...), or add a condition "
            "that leaves one row"
        )
    return value


def _bind_coalesce(name: str, types: Sequence[LogicalType]) -> Signature:
    if not types or (name == "IFNULL" and len(types) != 2):
        raise TypeMismatch(f"{name} takes {'2' if name == 'IFNULL' else 'at least 1'} arguments, not {len(types)}")
    common = common_type(types)
    if common is None:
        raise mismatched(name, types)
    return Signature(tuple(common for _ in types), common.with_nullable(all(kind.nullable for kind in types)))


def coalesce(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    """The first that is not NULL, row by row."""
    if pa.types.is_nested(arguments[0].type):
        answer = arguments[-1]
        for value in reversed(arguments[:-1]):
            answer = pick(pc.is_valid(column(value, rows_of(arguments, context))), value, answer)
        return answer
    return pc.coalesce(*arguments)


def _bind_nullif(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 2:
        raise TypeMismatch(f"NULLIF takes 2 arguments, not {len(types)}")
    common = comparison_type(types[0], types[1])
    if common is None:
        raise mismatched("NULLIF", types)
    kind = types[0] if types[0].root is not _R.NULL else common
    return Signature((kind, common if common.root is not _R.DECIMAL else types[1]), kind.with_nullable(True))


def _nullif(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    value, other = arguments
    compared = value if value.type == other.type or pa.types.is_decimal(other.type) else pc.cast(value, other.type)
    if pa.types.is_decimal(other.type) and not pa.types.is_decimal(value.type) and not pa.types.is_floating(value.type):
        compared = pc.cast(value, pa.decimal128(19, 0))
    return pick(compare("=", compared, other), pa.scalar(None, value.type), value)


FUNCTIONS: Final = (
    ScalarFunction(
        "CASE",
        _bind_case,
        choose,
        summary="The value after the first WHEN that is true, or after ELSE.",
        examples=(
            ("CASE WHEN 1 = 2 THEN 'a' ELSE 'bc' END", "bc"),
            ("CASE WHEN 1 = 2 THEN 1 END", "NULL"),
            ("CASE WHEN 1 = 1 THEN 1 ELSE 2.5 END", "1.0"),
        ),
    ),
    ScalarFunction(
        "IF",
        _bind_if,
        choose,
        summary="The second argument where the first is true, else the third.",
        examples=(("IF(1 < 2, 'yes', 'no')", "yes"),),
    ),
    ScalarFunction(
        "COALESCE",
        lambda types, literals: _bind_coalesce("COALESCE", types),
        coalesce,
        summary="The first argument that is not NULL.",
        examples=(("COALESCE(NULL, 2, 3)", "2"), ("COALESCE(NULL, 'a')", "a")),
    ),
    ScalarFunction(
        "IFNULL",
        lambda types, literals: _bind_coalesce("IFNULL", types),
        coalesce,
        summary="The first argument, or the second where it is NULL.",
        examples=(("IFNULL(NULL, 5)", "5"),),
    ),
    ScalarFunction(
        "SINGLE_VALUE",
        _bind_single,
        _single,
        can_fail=lambda types, kind: True,
        summary="The first argument, of as many rows as the second says: 1 at most, else the job fails. "
        "It stands around subqueries that are used as a value.",
        examples=(("SINGLE_VALUE('a', 1)", "a"),),
    ),
    ScalarFunction(
        "NULLIF",
        _bind_nullif,
        _nullif,
        summary="NULL where both are equal, else the first.",
        examples=(("NULLIF(5, 5)", "NULL"), ("NULLIF(5, 0)", "5")),
    ),
)
