"""AND, OR, NOT in three values, and the IS predicates, which are never NULL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import ANY, CONDITION, Kind
from millstream.core.table.functions.declare import arrow_function
from millstream.core.table.functions.function import ScalarFunction, Value


def _predicate(
    name: str, kind: Kind, count: int, compute: Callable[..., Any], summary: str, *examples: tuple[str, str]
) -> ScalarFunction:
    return arrow_function(
        name,
        [kind] * count,
        lt.BOOLEAN,
        compute,
        summary,
        *examples,
        rest=kind if count == 2 else None,
        nullable=False if name.startswith("IS ") else None,
    )


def all_true(*values: Value) -> Value:
    answer = values[0]
    for value in values[1:]:
        answer = pc.and_kleene(answer, value)
    return answer


def any_true(*values: Value) -> Value:
    answer = values[0]
    for value in values[1:]:
        answer = pc.or_kleene(answer, value)
    return answer


def _is(value: Value, wanted: bool) -> Value:
    return pc.fill_null(value if wanted else pc.invert(value), False)


def _null(value: Value) -> Value:
    """NULL is not NaN: Arrow's kernel keeps them apart."""
    return pc.is_null(value) if not pa.types.is_null(value.type) else pa.scalar(True)


FUNCTIONS: Final = (
    _predicate(
        "AND",
        CONDITION,
        2,
        all_true,
        "True where both are; false where one is false, also beside NULL.",
        ("TRUE AND FALSE", "FALSE"),
        ("FALSE AND NULL", "FALSE"),
        ("TRUE AND NULL", "NULL"),
    ),
    _predicate(
        "OR",
        CONDITION,
        2,
        any_true,
        "True where one is, also beside NULL.",
        ("TRUE OR NULL", "TRUE"),
        ("FALSE OR NULL", "NULL"),
    ),
    _predicate("NOT", CONDITION, 1, pc.invert, "The contrary; NULL of NULL.", ("NOT TRUE", "FALSE")),
    _predicate(
        "IS NULL", ANY, 1, _null, "Whether the value is NULL.", ("NULL IS NULL", "TRUE"), ("1 IS NULL", "FALSE")
    ),
    _predicate(
        "IS NOT NULL",
        ANY,
        1,
        lambda value: pc.invert(_null(value)),
        "Whether there is a value.",
        ("1 IS NOT NULL", "TRUE"),
    ),
    _predicate(
        "IS TRUE", CONDITION, 1, lambda value: _is(value, True), "Whether it is true.", ("(1 = 2) IS TRUE", "FALSE")
    ),
    _predicate(
        "IS FALSE", CONDITION, 1, lambda value: _is(value, False), "Whether it is false.", ("(1 = 2) IS FALSE", "TRUE")
    ),
    _predicate(
        "IS NOT TRUE",
        CONDITION,
        1,
        lambda value: pc.invert(_is(value, True)),
        "Whether it is false or NULL.",
        ("(1 = NULL) IS NOT TRUE", "TRUE"),
    ),
    _predicate(
        "IS NOT FALSE",
        CONDITION,
        1,
        lambda value: pc.invert(_is(value, False)),
        "Whether it is true or NULL.",
        ("(1 = NULL) IS NOT FALSE", "TRUE"),
    ),
    _predicate("IS UNKNOWN", CONDITION, 1, _null, "Whether a BOOLEAN is NULL.", ("(1 = NULL) IS UNKNOWN", "TRUE")),
    _predicate(
        "IS NOT UNKNOWN",
        CONDITION,
        1,
        lambda value: pc.invert(_null(value)),
        "Whether a BOOLEAN is not NULL.",
        ("(1 = NULL) IS NOT UNKNOWN", "FALSE"),
    ),
)
