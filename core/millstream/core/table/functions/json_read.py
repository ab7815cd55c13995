"""Reading JSON: IS JSON, JSON_EXISTS, JSON_VALUE, JSON_QUERY, once a distinct text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa

from millstream.core.errors import JobGraphError
from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import TEXT, refused, takes
from millstream.core.table.functions.cast import cast_value, castable
from millstream.core.table.functions.columns import column, per_row
from millstream.core.table.functions.declare import row_function
from millstream.core.table.functions.function import (
    NOT_LITERAL,
    EvaluationContext,
    ScalarFunction,
    Signature,
    TypeMismatch,
    Value,
)
from millstream.core.table.functions.json_path import PathMissing, find, json_path
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot


class _Number(float):
    """A number with a fraction that remembers how it was written."""

    def __new__(cls, text: str) -> _Number:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str


_DECODER: Final = msgspec.json.Decoder(float_hook=_Number)


def decode(text: str) -> Any:
    """Raises ``msgspec.DecodeError``, a ``ValueError``."""
    return _DECODER.decode(text)


def encode(value: Any) -> str:
    """Compact JSON; numbers as they were written."""
    if isinstance(value, _Number):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode(str(key))}:{encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encode, value)) + "]"
    return msgspec.json.encode(value).decode()


def _is_json(name: str, accept: Callable[[Any], bool], summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    negated = " NOT " in name

    def check(text: str | None) -> bool:
        if text is None:
            return negated
        try:
            return accept(decode(text)) is not negated
        except ValueError:
            return negated

    return row_function(name, [TEXT], lt.BOOLEAN, check, summary, *examples, nullable=False, strict=False)


def _kinds() -> tuple[ScalarFunction, ...]:
    made = []
    for kind, accept in (
        ("", lambda value: True),
        (" VALUE", lambda value: True),
        (" OBJECT", lambda value: isinstance(value, dict)),
        (" ARRAY", lambda value: isinstance(value, list)),
        (" SCALAR", lambda value: not isinstance(value, dict | list)),
    ):
        what = f"JSON{kind}"
        example = (("'{\"a\": 1}' IS JSON", "TRUE"),) if not kind else ()
        made.append(_is_json(f"IS {what}", accept, f"Whether the text is a {what}.", *example))
        made.append(_is_json(f"IS NOT {what}", accept, f"Whether the text is no {what}."))
    return tuple(made)


def _check_path(name: str, literal: object) -> None:
    if literal is not NOT_LITERAL and literal is not None:
        try:
            json_path(str(literal))
        except JobGraphError as error:
            raise TypeMismatch(f"{name}: {error.message}") from error


def _with_path(rule: Callable[..., Signature], name: str) -> Callable[..., Signature]:
    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        signature = rule(types, literals)
        _check_path(name, literals[1])
        return signature

    return bind


def _exists(text: str, path: str, on_error: str = "FALSE") -> bool | None:
    try:
        return bool(find(json_path(path), decode(text)))
    except PathMissing:
        return {"TRUE": True, "FALSE": False, "UNKNOWN": None}.get(on_error, False)
    except ValueError:
        if on_error == "ERROR":
            raise
        return {"TRUE": True, "FALSE": False, "UNKNOWN": None}[on_error]


def _bind_value(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    """(json, path[, NULL of the RETURNING type[, on empty, its default, on error, its default]])."""
    if len(types) not in (2, 3, 7):
        raise TypeMismatch(
            f"JSON_VALUE takes a text, a path, RETURNING, ON EMPTY and ON ERROR, not {len(types)} arguments"
        )
    for position in (0, 1):
        if types[position].root not in (*lt.TEXT, _R.NULL):
            raise refused("JSON_VALUE", position, "a STRING", types[position])
    _check_path("JSON_VALUE", literals[1])
    result = types[2] if len(types) > 2 and types[2].root is not _R.NULL else lt.STRING
    if result.root not in (*lt.TEXT, _R.BOOLEAN, *lt.NUMERIC, *lt.TEMPORAL):
        raise refused("JSON_VALUE", 2, "a plain type to return", result)
    parameters = [lt.STRING, lt.STRING, *types[2:3]]
    if len(types) == 7:
        parameters += [lt.STRING, _default(types[4], result), lt.STRING, _default(types[6], result)]
    return Signature(tuple(parameters), result.with_nullable(True))


def _default(given: LogicalType, result: LogicalType) -> LogicalType:
    if given.root is not _R.NULL and not castable(given, lt.STRING):
        raise refused("JSON_VALUE", 4, result.text(), given)
    return lt.STRING


def _value(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    text, path = arguments[:2]
    actions = [*arguments[3:], *[pa.scalar("NULL"), pa.scalar(None, pa.string())] * 2][:4]

    def one(
        document: str | None, steps: str | None, empty: str, empty_default: Any, error: str, error_default: Any
    ) -> str | None:
        if document is None or steps is None:
            return None
        try:
            found = find(json_path(steps), decode(document))
        except (ValueError, PathMissing) as cause:
            return _acted(error, error_default, f"{cause}")
        if not found or found[0] is None:
            return None if found else _acted(empty, empty_default, f"the path {steps!r} finds nothing")
        if len(found) > 1 or isinstance(found[0], dict | list):
            return _acted(error, error_default, f"the path {steps!r} finds no single plain value; use JSON_QUERY")
        value: Any = found[0]
        return str(value) if isinstance(value, str) else encode(value)

    texts = per_row(one, [text, path, *actions], lt.STRING, context, strict=False, name="JSON_VALUE")
    if kind.root in lt.TEXT:
        return texts
    strict = isinstance(actions[2], pa.Scalar) and actions[2].as_py() == "ERROR"
    return cast_value(column(texts, context.rows), lt.STRING, kind, context, attempt=not strict)


def _acted(action: str, default: str | None, why: str) -> str | None:
    if action == "ERROR":
        raise ValueError(why)
    return default if action == "DEFAULT" else None


def _query(
    text: str, path: str, wrapper: str = "WITHOUT", on_empty: str = "NULL", on_error: str = "NULL"
) -> str | None:
    try:
        parsed = json_path(path)
        found = find(parsed, decode(text))
    except (ValueError, PathMissing) as error:
        return _instead(on_error, str(error))
    if wrapper == "UNCONDITIONAL" or (wrapper == "CONDITIONAL" and not _is_composite(found)):
        return encode(found) if found else _instead(on_empty, "the path finds nothing")
    if not found or found[0] is None:
        return _instead(on_empty, "the path finds nothing")
    value: Any = found if not parsed.definite else found[0]
    if not isinstance(value, dict | list):
        return _instead(on_error, "the path finds a plain value; use JSON_VALUE, or WITH WRAPPER")
    return encode(value)


def _is_composite(found: list[Any]) -> bool:
    return len(found) == 1 and isinstance(found[0], dict | list)


def _instead(action: str, why: str) -> str | None:
    if action == "ERROR":
        raise ValueError(why)
    return {"EMPTY ARRAY": "[]", "EMPTY OBJECT": "{}"}.get(action)


def _unquote(text: str) -> str:
    """The text that a JSON string stands for; another text as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        value = decode(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _quote(text: str) -> str:
    quoted = msgspec.json.encode(text).decode()
    return re.sub(r"[^\x00-\x7f]", lambda match: _escaped(match[0]), quoted)


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


_DOCUMENT: Final = '\'{"a": {"b": [1, 2.50]}, "c": "x"}\''

FUNCTIONS: Final = (
    *_kinds(),
    ScalarFunction(
        "JSON_EXISTS",
        _with_path(takes("JSON_EXISTS", TEXT, TEXT, TEXT, optional=1, result=lt.BOOLEAN, nullable=True), "JSON_EXISTS"),
        lambda arguments, kind, context: per_row(_exists, arguments, kind, context, name="JSON_EXISTS"),
        can_fail=lambda types, kind: True,
        summary="Whether a path finds something; third: TRUE, FALSE, UNKNOWN or ERROR on error.",
        examples=((f"JSON_EXISTS({_DOCUMENT}, '$.a.b')", "TRUE"), ("JSON_EXISTS('{}', '$.a')", "FALSE")),
    ),
    ScalarFunction(
        "JSON_VALUE",
        _bind_value,
        _value,
        can_fail=lambda types, kind: True,
        summary="The plain value that a path finds, as STRING or the RETURNING type.",
        examples=(
            (f"JSON_VALUE({_DOCUMENT}, '$.c')", "x"),
            (f"JSON_VALUE({_DOCUMENT}, 'lax $.a.b[1]')", "2.50"),
            (f"JSON_VALUE({_DOCUMENT}, '$.a')", "NULL"),
            ("JSON_VALUE('{\"a\": true}', '$.a', CAST(NULL AS BOOLEAN))", "TRUE"),
        ),
    ),
    ScalarFunction(
        "JSON_QUERY",
        _with_path(
            takes("JSON_QUERY", TEXT, TEXT, TEXT, TEXT, TEXT, optional=3, result=lt.STRING, nullable=True), "JSON_QUERY"
        ),
        lambda arguments, kind, context: per_row(_query, arguments, kind, context, name="JSON_QUERY"),
        can_fail=lambda types, kind: True,
        summary="The object or array that a path finds, as JSON; then WITHOUT, CONDITIONAL or UNCONDITIONAL wrapper, "
        "on empty, on error.",
        examples=(
            (f"JSON_QUERY({_DOCUMENT}, '$.a')", '{"b":[1,2.50]}'),
            (f"JSON_QUERY({_DOCUMENT}, '$.c', 'CONDITIONAL')", '["x"]'),
            (f"JSON_QUERY({_DOCUMENT}, '$.z', 'WITHOUT', 'EMPTY ARRAY', 'NULL')", "[]"),
        ),
    ),
    row_function(
        "JSON_QUOTE", [TEXT], lt.STRING, _quote, "The text as a JSON string.", ("JSON_QUOTE('a\"b')", '"a\\"b"')
    ),
    row_function(
        "JSON_UNQUOTE",
        [TEXT],
        lt.STRING,
        _unquote,
        "The text that a JSON string stands for.",
        ("JSON_UNQUOTE('\"a\"')", "a"),
    ),
)
