"""LIKE and SIMILAR TO."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import TEXT, takes
from millstream.core.table.functions.columns import nulls, per_row
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Value
from millstream.core.table.logical_types import LogicalType


@functools.lru_cache(maxsize=1024)
def like_expression(pattern: str, escape: str | None = None) -> re.Pattern[str]:
    """LIKE as a regular expression. Without ``escape`` no character is one. Raises ``ValueError``."""
    pieces: list[str] = []
    letters = iter(pattern)
    for letter in letters:
        if letter == escape:
            following = next(letters, None)
            if following is None or following not in ("%", "_", escape):
                raise ValueError(f"in the pattern {pattern!r} {escape!r} must stand before %, _ or itself")
            pieces.append(re.escape(following))
        else:
            pieces.append({"%": ".*", "_": "."}.get(letter) or re.escape(letter))
    return re.compile("".join(pieces), re.DOTALL)


@functools.lru_cache(maxsize=1024)
def similar_expression(pattern: str, escape: str | None = None) -> re.Pattern[str]:
    """SIMILAR TO as a regular expression: % and _ of LIKE beside | * + ? {} () []. Raises ``ValueError``."""
    pieces: list[str] = []
    letters = iter(pattern)
    in_class = False
    for letter in letters:
        if letter == escape:
            pieces.append(re.escape(next(letters, "")))
        elif in_class:
            in_class = letter != "]"
            pieces.append(letter)
        elif letter == "[":
            in_class = True
            pieces.append(letter)
        else:
            pieces.append({"%": ".*", "_": ".", ".": r"\.", "^": r"\^", "$": r"\$", "\\": r"\\"}.get(letter, letter))
    try:
        return re.compile("".join(pieces), re.DOTALL)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is none of SIMILAR TO: {error}") from error


def _like(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    text, pattern = arguments[0], arguments[1]
    if isinstance(pattern, pa.Scalar) and not pattern.is_valid:
        return nulls(kind)
    if isinstance(pattern, pa.Scalar) and len(arguments) == 2 and "\\" not in pattern.as_py():
        return pc.match_like(text, pattern.as_py())
    return per_row(_matcher(like_expression), arguments, kind, context, name="LIKE")


def _similar(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return per_row(_matcher(similar_expression), arguments, kind, context, name="SIMILAR TO")


def _matcher(compile_pattern: Callable[..., re.Pattern[str]]) -> Callable[..., bool]:
    def matches(text: str, pattern: str, escape: str | None = None) -> bool:
        return compile_pattern(pattern, escape).fullmatch(text) is not None

    return matches


def _declared(name: str, evaluate: Callable[..., Value], summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    negated = name.startswith("NOT ")

    def run(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        answer = evaluate(arguments, kind, context)
        return pc.invert(answer) if negated else answer

    rule = takes(name, TEXT, TEXT, TEXT, optional=1, result=lt.BOOLEAN)
    return ScalarFunction(name, rule, run, can_fail=lambda types, kind: True, summary=summary, examples=examples)


FUNCTIONS: Final = (
    _declared(
        "LIKE",
        _like,
        "Whether the text is like a pattern: _ is any character, % any number of them; third, an escape character.",
        ("'abc' LIKE 'a%'", "TRUE"),
        ("'abc' LIKE 'a_'", "FALSE"),
        ("'a%c' LIKE 'a!%c' ESCAPE '!'", "TRUE"),
    ),
    _declared("NOT LIKE", _like, "Whether the text is not like a pattern.", ("'abc' NOT LIKE '%b%'", "FALSE")),
    _declared(
        "SIMILAR TO",
        _similar,
        "Whether the text matches a pattern with | * + ? {} () [] beside _ and %.",
        ("'abc' SIMILAR TO '(a|x)b%'", "TRUE"),
        ("'abc' SIMILAR TO 'b'", "FALSE"),
    ),
    _declared("NOT SIMILAR TO", _similar, "Whether the text does not match.", ("'abc' NOT SIMILAR TO 'b'", "TRUE")),
)
