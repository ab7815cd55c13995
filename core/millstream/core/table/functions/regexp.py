"""Regular expressions. Arrow's RE2 searches columns; what RE2 lacks (look-around, back-references) runs in Python,
once a distinct text. A pattern that is none gives NULL, as in Flink.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import TEXT, WHOLE, takes
from millstream.core.table.functions.columns import column, nulls, per_row
from millstream.core.table.functions.declare import row_function
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Value
from millstream.core.table.functions.regexp_extract import extract_group
from millstream.core.table.logical_types import LogicalType


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern in Python's dialect; None for one that cannot be read."""
    try:
        return re.compile(re.sub(r"\(\?<([A-Za-z])", r"(?P<\1", pattern))
    except re.error:
        return None


def group_of(text: str, pattern: str, group: int = 0) -> str | None:
    """What ``group`` matched at the first match; None where there is none."""
    expression = compiled(pattern)
    if expression is None or not 0 <= group <= expression.groups:
        return None
    match = expression.search(text)
    return None if match is None else match.group(group)


def _extract(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    text, pattern = arguments[0], arguments[1]
    group = arguments[2] if len(arguments) > 2 else pa.scalar(0, pa.int64())
    if isinstance(pattern, pa.Scalar) and isinstance(group, pa.Scalar):
        if not pattern.is_valid or not group.is_valid:
            return nulls(kind)
        quick = extract_group(column(text, context.rows), pattern.as_py(), group.as_py())
        if quick is not None:
            return quick
    return per_row(group_of, [text, pattern, group], kind, context, name="REGEXP_EXTRACT")


def _matches(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    text, pattern = arguments
    if isinstance(pattern, pa.Scalar):
        if not pattern.is_valid or not pattern.as_py():
            return pa.scalar(None if not pattern.is_valid else False, pa.bool_())
        try:
            return pc.match_substring_regex(text, pattern.as_py())
        except pa.ArrowInvalid:
            pass  # a construct of Java's dialect: the loop knows more of them

    def one(given: str, source: str) -> bool:
        expression = compiled(source)
        return bool(source) and expression is not None and expression.search(given) is not None

    return per_row(one, arguments, kind, context, name="REGEXP")


def _replace(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    text, pattern, new = arguments
    plain = all(isinstance(value, pa.Scalar) and value.is_valid for value in (pattern, new))
    if plain and "\\" not in new.as_py():
        try:
            return pc.replace_substring_regex(text, pattern.as_py(), new.as_py())
        except pa.ArrowInvalid:
            pass

    def one(given: str, source: str, replacement: str) -> str | None:
        expression = compiled(source)
        return None if expression is None else expression.sub(lambda _: replacement, given)

    return per_row(one, arguments, kind, context, name="REGEXP_REPLACE")


def _count(text: str, pattern: str) -> int | None:
    expression = compiled(pattern)
    return None if expression is None else sum(1 for _ in expression.finditer(text))


def _extract_all(text: str, pattern: str, group: int = 1) -> list[str | None] | None:
    expression = compiled(pattern)
    if expression is None or not 0 <= group <= expression.groups:
        return None
    return [match.group(group) for match in expression.finditer(text)]


def _position(text: str, pattern: str) -> int | None:
    expression = compiled(pattern)
    if expression is None:
        return None
    match = expression.search(text)
    return 0 if match is None else match.start() + 1


FUNCTIONS: Final = (
    ScalarFunction(
        "REGEXP_EXTRACT",
        takes("REGEXP_EXTRACT", TEXT, TEXT, WHOLE, optional=1, result=lt.STRING, nullable=True),
        _extract,
        summary="What a group of the pattern (0: all of it) matched first; NULL where nothing did.",
        examples=(
            ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", "bar"),
            ("REGEXP_EXTRACT('a=1&channel_id=apple&x', '(&|^)channel_id=([^&]*)', 2)", "apple"),
            ("REGEXP_EXTRACT('abc', 'x(y)', 1)", "NULL"),
        ),
    ),
    ScalarFunction(
        "REGEXP",
        takes("REGEXP", TEXT, TEXT, result=lt.BOOLEAN),
        _matches,
        summary="Whether a part of the text matches the pattern.",
        examples=(("REGEXP('abc', 'b.')", "TRUE"), ("REGEXP('abc', '^b')", "FALSE")),
    ),
    ScalarFunction(
        "REGEXP_REPLACE",
        takes("REGEXP_REPLACE", TEXT, TEXT, TEXT, result=lt.STRING, nullable=True),
        _replace,
        summary="The text with every match replaced by a text as it is.",
        examples=(("REGEXP_REPLACE('foobar', 'oo|ar', '')", "fb"), ("REGEXP_REPLACE('abc', '(b)', '[$1]')", "a[$1]c")),
    ),
    row_function(
        "REGEXP_COUNT",
        [TEXT, TEXT],
        lt.INT,
        _count,
        "How often the pattern matches.",
        ("REGEXP_COUNT('aXbX', 'X')", "2"),
    ),
    row_function(
        "REGEXP_EXTRACT_ALL",
        [TEXT, TEXT, WHOLE],
        lt.array(lt.STRING),
        _extract_all,
        "What a group (by default the first) matched at every match.",
        ("REGEXP_EXTRACT_ALL('a1b2', '([a-z])(\\d)', 2)", "[1, 2]"),
        optional=1,
    ),
    row_function(
        "REGEXP_INSTR",
        [TEXT, TEXT],
        lt.INT,
        _position,
        "The position of the first match, 0 for none.",
        ("REGEXP_INSTR('abc', 'c')", "3"),
    ),
    row_function(
        "REGEXP_SUBSTR",
        [TEXT, TEXT],
        lt.STRING,
        group_of,
        "The first match.",
        ("REGEXP_SUBSTR('abc12', '[0-9]+')", "12"),
    ),
)
