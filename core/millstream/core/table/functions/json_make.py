"""Making JSON: JSON_STRING, JSON_OBJECT, JSON_ARRAY."""

from __future__ import annotations

import base64
import datetime
import decimal
from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa

from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Call, Expression, Literal
from millstream.core.table.functions.binding import ANY, TEXT, refused, takes
from millstream.core.table.functions.columns import column, per_row, rows_of
from millstream.core.table.functions.declare import row_function
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Signature, TypeMismatch, Value
from millstream.core.table.functions.json_read import encode
from millstream.core.table.logical_types import LogicalType
from millstream.core.table.text_format import java_double

_RAW: Final = "J"
_PLAIN: Final = "V"
NESTING: Final = ("JSON_OBJECT", "JSON_ARRAY", "JSON_OBJECT_ABSENT_ON_NULL", "JSON_ARRAY_NULL_ON_NULL")
_MAKERS: Final = (*NESTING, "JSON")


def json_of(value: Any) -> str:
    """The JSON of a Python value of a column: times in ISO 8601, bytes in base64, maps as objects."""
    if isinstance(value, bool) or value is None or isinstance(value, int | str):
        return encode(value)
    if isinstance(value, float):
        return java_double(value) if value == value and abs(value) != float("inf") else encode(java_double(value))
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        return encode(base64.b64encode(value).decode())
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode(str(key))}:{json_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return json_of(dict(value))
    if isinstance(value, list):
        return "[" + ",".join(map(json_of, value)) + "]"
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return encode(value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat() + "Z")
    if isinstance(value, datetime.date | datetime.time | datetime.datetime):
        return encode(value.isoformat())
    return encode(str(value))


def marked(arguments: Sequence[Expression]) -> list[Expression]:
    """The arguments after a constant that tells which of them are JSON already, being made by these functions."""
    if arguments and isinstance(arguments[0], Literal) and str(arguments[0].value).startswith(f"{_RAW}:"):
        return list(arguments)
    marks = "".join(_RAW if isinstance(item, Call) and item.name in _MAKERS else _PLAIN for item in arguments)
    text = f"{_RAW}:{marks}"
    return [Literal(lt.char(len(text)).with_nullable(False), text), *arguments]


def _bind_object(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) % 2 == 0:
        raise TypeMismatch("JSON_OBJECT takes keys and values in pairs: JSON_OBJECT('a' VALUE 1, 'b' VALUE 2)")
    for position in range(1, len(types), 2):
        if types[position].root not in lt.TEXT:
            raise refused("JSON_OBJECT", position - 1, "a STRING, a key", types[position])
    return Signature(tuple(types), lt.STRING.with_nullable(False))


def _bind_array(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    return Signature(tuple(types), lt.STRING.with_nullable(False))


def _texts(marks: str, values: Sequence[Any]) -> list[str | None]:
    return [
        None if value is None else value if mark == _RAW else json_of(value)
        for mark, value in zip(marks, values, strict=True)
    ]


def _object(absent: bool) -> Callable[..., str]:
    def make(marks: str, *values: Any) -> str:
        texts = _texts(marks[2:], values)
        pairs = [(values[place], texts[place + 1]) for place in range(0, len(values), 2)]
        kept = [f"{encode(key)}:{text or 'null'}" for key, text in pairs if text is not None or not absent]
        return "{" + ",".join(kept) + "}"

    return make


def _array(absent: bool) -> Callable[..., str]:
    def make(marks: str, *values: Any) -> str:
        return (
            "[" + ",".join(text or "null" for text in _texts(marks[2:], values) if text is not None or not absent) + "]"
        )

    return make


def _maker(
    name: str, bind: Callable[..., Signature], make: Callable[..., str], summary: str, *examples: tuple[str, str]
) -> ScalarFunction:
    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        rows = rows_of(arguments, context)
        spread = [column(arguments[0], rows), *arguments[1:]]
        return per_row(make, spread, kind, context, strict=False, name=name)

    return ScalarFunction(name, bind, evaluate, summary=summary, examples=examples)


def _json(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return arguments[0] if not isinstance(arguments[0], pa.Scalar) else column(arguments[0], context.rows)


FUNCTIONS: Final = (
    row_function(
        "JSON_STRING",
        [ANY],
        lt.STRING,
        json_of,
        "The JSON of any value.",
        ("JSON_STRING(1)", "1"),
        ("JSON_STRING(ARRAY[1, NULL])", "[1,null]"),
        ("JSON_STRING('a')", '"a"'),
        nullable=None,
    ),
    ScalarFunction(
        "JSON",
        takes("JSON", TEXT, result=lt.STRING),
        _json,
        summary="A text that is JSON, to stand as such in JSON_OBJECT and JSON_ARRAY.",
        examples=(("JSON_ARRAY(JSON('{\"a\":1}'))", '[{"a":1}]'),),
    ),
    _maker(
        "JSON_OBJECT",
        _bind_object,
        _object(False),
        "A JSON object of keys and values; NULL as null.",
        ("JSON_OBJECT('a' VALUE 1, 'b' VALUE NULL)", '{"a":1,"b":null}'),
        ("JSON_OBJECT('a' VALUE JSON_ARRAY(1, 'x'))", '{"a":[1,"x"]}'),
    ),
    _maker(
        "JSON_OBJECT_ABSENT_ON_NULL",
        _bind_object,
        _object(True),
        "JSON_OBJECT(... ABSENT ON NULL).",
        ("JSON_OBJECT_ABSENT_ON_NULL('a', 1, 'b', NULL)", '{"a":1}'),
    ),
    _maker(
        "JSON_ARRAY", _bind_array, _array(True), "A JSON array; NULLs are left out.", ("JSON_ARRAY(1, NULL)", "[1]")
    ),
    _maker(
        "JSON_ARRAY_NULL_ON_NULL",
        _bind_array,
        _array(False),
        "JSON_ARRAY(... NULL ON NULL).",
        ("JSON_ARRAY_NULL_ON_NULL(1, NULL)", "[1,null]"),
    ),
)
