"""All built-in functions by name, and the binding of a call: signature, casts, errors with the nearest name."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence
from typing import Final

from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Call, Expression, Literal
from millstream.core.table.functions import (
    arithmetic,
    cast,
    clock,
    collection,
    comparison,
    conditional,
    construct,
    hash,
    json_make,
    json_read,
    like,
    logic,
    math,
    regexp,
    string,
    temporal,
    temporal_parts,
    text_more,
    type_of,
    url,
)
from millstream.core.table.functions.cast import castable, refuse_cast
from millstream.core.table.functions.function import NOT_LITERAL, ScalarFunction, TypeMismatch
from millstream.core.table.logical_types import LogicalType

_THEMES: Final = (
    ("Comparison", comparison.FUNCTIONS),
    ("Logic", logic.FUNCTIONS),
    ("Conditional", conditional.FUNCTIONS),
    ("Arithmetic", arithmetic.FUNCTIONS),
    ("Mathematics", math.FUNCTIONS),
    ("String", (*string.FUNCTIONS, *text_more.FUNCTIONS, *like.FUNCTIONS)),
    ("Regular expressions", regexp.FUNCTIONS),
    ("Temporal", (*temporal_parts.FUNCTIONS, *temporal.FUNCTIONS, *clock.FUNCTIONS)),
    ("Conversion", (*cast.FUNCTIONS, *type_of.FUNCTIONS)),
    ("Collections", (*construct.FUNCTIONS, *collection.FUNCTIONS)),
    ("JSON", (*json_read.FUNCTIONS, *json_make.FUNCTIONS)),
    ("Hashes", hash.FUNCTIONS),
    ("URLs and addresses", url.FUNCTIONS),
)
ALIASES: Final = {
    "!=": "<>",
    "CHARACTER_LENGTH": "CHAR_LENGTH",
    "LENGTH": "CHAR_LENGTH",
    "LEN": "CHAR_LENGTH",
    "LCASE": "LOWER",
    "UCASE": "UPPER",
    "SUBSTR": "SUBSTRING",
    "CEILING": "CEIL",
    "MOD": "%",
    "DAY": "DAYOFMONTH",
    "TRUNC": "TRUNCATE",
    "POW": "POWER",
    "REGEXP_LIKE": "REGEXP",
    "RLIKE": "REGEXP",
    "AT": "ITEM",
    "GET": "FIELD",
    "NVL": "IFNULL",
}
"""Other names; a call gets the name on the right."""
MISSPELLING_CUTOFF: Final = 0.6


class UnknownFunction(TypeMismatch):
    """No built-in function has the name."""


def themes() -> tuple[tuple[str, tuple[ScalarFunction, ...]], ...]:
    """All functions, theme by theme, for the reference page."""
    return _THEMES


@functools.cache
def _by_name() -> dict[str, ScalarFunction]:
    return {function.name: function for _, functions in _THEMES for function in functions}


def canonical_name(name: str) -> str:
    """The upper-case name under which the registry has a function, resolving other names."""
    upper = name.upper()
    return ALIASES.get(upper, upper)


def scalar_function(name: str) -> ScalarFunction | None:
    """The function of that name, in any case; None when there is none."""
    return _by_name().get(canonical_name(name))


def function_names() -> tuple[str, ...]:
    """All names, other names included, in order."""
    return tuple(sorted({*_by_name(), *(alias for alias, name in ALIASES.items() if name in _by_name())}))


def bind_call(name: str, arguments: Sequence[Expression]) -> Expression:
    """A typed call of a built-in function, its arguments cast to what it takes.

    Raises ``UnknownFunction`` naming the nearest function, and ``TypeMismatch`` naming the types.
    """
    function = scalar_function(name)
    if function is None:
        near = difflib.get_close_matches(name.upper(), function_names(), n=1, cutoff=MISSPELLING_CUTOFF)
        hint = f" Did you mean {near[0]}?" if near else " SHOW FUNCTIONS lists all."
        raise UnknownFunction(f"there is no function {name.upper()}.{hint}")
    if function.name == "TYPEOF" and arguments:
        return type_of.type_of(arguments)
    if function.name in json_make.NESTING:
        arguments = json_make.marked(arguments)
    types = [argument.type for argument in arguments]
    literals = [argument.value if isinstance(argument, Literal) else NOT_LITERAL for argument in arguments]
    signature = function.bind(types, literals)
    bound = [implicit_cast(argument, kind) for argument, kind in zip(arguments, signature.parameters, strict=True)]
    return Call(signature.result, function.name, tuple(bound))


def implicit_cast(value: Expression, target: LogicalType) -> Expression:
    """``value`` as ``target`` with its own nullability; as it is where the columns are the same."""
    source = value.type
    if source.same_kind(target) or target.root is lt.TypeRoot.NULL:
        return value
    for family in (lt.TEXT, lt.BYTES_ROOTS):
        if source.root in family and target.root in family:
            return value
    if isinstance(value, Literal) and (value.value is None or _widens(source, target)):
        return Literal(target.with_nullable(source.nullable), value.value)
    return Call(target.with_nullable(source.nullable), "CAST", (value,))


def cast_call(value: Expression, target: LogicalType, *, attempt: bool = False) -> Expression:
    """``CAST`` or, with ``attempt``, ``TRY_CAST``; unchanged where it is that type already.

    Raises ``TypeMismatch`` for types that do not convert.
    """
    if value.type.same_kind(target):
        return value
    name = "TRY_CAST" if attempt else "CAST"
    if not castable(value.type, target):
        raise refuse_cast(value.type, target, name)
    return Call(target.with_nullable(attempt or _result_nullable(value.type, target)), name, (value,))


def _result_nullable(source: LogicalType, target: LogicalType) -> bool:
    """A DECIMAL that does not fit is NULL."""
    return source.nullable or (target.root is lt.TypeRoot.DECIMAL and source.root is not lt.TypeRoot.BOOLEAN)


def _widens(source: LogicalType, target: LogicalType) -> bool:
    roots = lt.INTEGERS
    return source.root in roots and target.root in roots and roots.index(source.root) <= roots.index(target.root)
