"""Data types as SQL writes them, read into ``LogicalType``."""

from __future__ import annotations

from typing import Final

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from millstream.core.config.configuration import nearest
from millstream.core.table import logical_types as t
from millstream.core.table.logical_types import LogicalType, TypeRoot
from millstream.sql.parser.errors import SqlParseError
from millstream.sql.parser.token_cursor import TokenCursor, tokenize

_SIMPLE: Final[dict[str, LogicalType]] = {
    "NULL": t.NULL, "BOOLEAN": t.BOOLEAN, "TINYINT": t.TINYINT, "SMALLINT": t.SMALLINT, "INT": t.INT,
    "INTEGER": t.INT, "BIGINT": t.BIGINT, "FLOAT": t.FLOAT, "DOUBLE": t.DOUBLE, "STRING": t.STRING, "BYTES": t.BYTES,
    "DATE": t.DATE,
}  # fmt: skip
_UNSUPPORTED: Final = ("RAW", "VARIANT", "BITMAP", "STRUCTURED", "DESCRIPTOR", "SYMBOL", "ANY", "JSON", "UUID")
_YEAR_MONTH: Final = ("YEAR", "MONTH", "QUARTER")
_DAY_TIME: Final = ("DAY", "HOUR", "MINUTE", "SECOND", "WEEK")
MAX_FRACTION_DIGITS: Final = 9


def parse_type(source: str | exp.Expr) -> LogicalType:
    """The type that a text, or the ``to`` of a parsed CAST, names. Raises ``SqlParseError``."""
    text = source if isinstance(source, str) else source.args["kind"]
    cursor = TokenCursor(text, tokenize(text))
    found = read_type(cursor)
    cursor.expect_end()
    return found


def type_node(kind: LogicalType) -> exp.DataType:
    """How a type stands in a parsed query; ``parse_type`` reads it back."""
    return exp.DataType(this=exp.DType.USERDEFINED, kind=str(kind))


def read_type(cursor: TokenCursor, *, nullability: bool = True) -> LogicalType:
    """The type at the cursor, with ``ARRAY`` and ``MULTISET`` behind it and (if wanted) its nullability."""
    if not nullability:
        return _read_base(cursor)
    found = _read_nullability(cursor, _read_base(cursor))
    while cursor.peek_words("ARRAY") or cursor.peek_words("MULTISET"):
        found = t.array(found) if cursor.match("ARRAY") else t.multiset(found)
        cursor.match("MULTISET")
        found = _read_nullability(cursor, found)
    return found


def _read_nullability(cursor: TokenCursor, kind: LogicalType) -> LogicalType:
    if cursor.match("NOT", "NULL"):
        return kind.with_nullable(False)
    cursor.match("NULL")
    return kind


def _read_base(cursor: TokenCursor) -> LogicalType:
    start = cursor.offset
    name = cursor.identifier("a data type").upper()
    if name in _SIMPLE:
        if name == "DOUBLE":
            cursor.match("PRECISION")
        return _SIMPLE[name]
    match name:
        case "DECIMAL" | "DEC" | "NUMERIC":
            return _decimal(cursor, start)
        case "CHAR" | "CHARACTER" if not cursor.match("VARYING"):
            return t.char(_length(cursor, 1))
        case "CHAR" | "CHARACTER" | "VARCHAR":
            return t.varchar(_length(cursor, 1))
        case "BINARY" if not cursor.match("VARYING"):
            return LogicalType(TypeRoot.BINARY, precision=_length(cursor, 1))
        case "BINARY" | "VARBINARY":
            return LogicalType(TypeRoot.VARBINARY, precision=_length(cursor, 1))
        case "TIME":
            kind = LogicalType(TypeRoot.TIME, precision=_fraction(cursor, 0))
            cursor.match("WITHOUT", "TIME", "ZONE")
            return kind
        case "TIMESTAMP" | "TIMESTAMP_LTZ":
            return _timestamp(cursor, name, start)
        case "INTERVAL":
            return _interval(cursor)
        case "ARRAY" | "MULTISET":
            (element,) = _in_angles(cursor, 1)
            return t.array(element) if name == "ARRAY" else t.multiset(element)
        case "MAP":
            key, value = _in_angles(cursor, 2)
            return t.map_of(key, value)
        case "ROW":
            return _row(cursor, start)
    if name in _UNSUPPORTED:
        raise SqlParseError.at(cursor.source, start, f"the type {name} is not supported")
    near = nearest(name, [*_SIMPLE, *(root.value for root in TypeRoot)])
    hint = f"Did you mean {near}?" if near else "Types are those of Flink SQL: INT, STRING, TIMESTAMP(3), ROW<...>, ..."
    raise SqlParseError.at(cursor.source, start, f"unknown data type {name}", hint)


def _decimal(cursor: TokenCursor, start: int) -> LogicalType:
    precision, scale = t.DEFAULT_DECIMAL_PRECISION, 0
    if cursor.match_sign(TokenType.L_PAREN):
        precision = cursor.number("the number of digits")
        if cursor.match_sign(TokenType.COMMA):
            scale = cursor.number("the number of digits after the point")
        cursor.expect_sign(TokenType.R_PAREN, ")")
    if not 1 <= precision <= t.MAX_DECIMAL_PRECISION or scale > precision:
        raise SqlParseError.at(
            cursor.source,
            start,
            f"DECIMAL({precision}, {scale}) does not exist",
            f"The precision is 1 to {t.MAX_DECIMAL_PRECISION}, the scale 0 to the precision.",
        )
    return t.decimal(precision, scale)


def _length(cursor: TokenCursor, default: int) -> int:
    if not cursor.match_sign(TokenType.L_PAREN):
        return default
    start = cursor.offset
    length = cursor.number("a length")
    cursor.expect_sign(TokenType.R_PAREN, ")")
    if not 1 <= length <= t.UNBOUNDED_LENGTH:
        raise SqlParseError.at(cursor.source, start, f"a length of {length}", "Lengths are 1 to 2147483647.")
    return length


def _fraction(cursor: TokenCursor, default: int) -> int:
    """``(p)`` of a time: digits of the fraction of a second."""
    if not cursor.match_sign(TokenType.L_PAREN):
        return default
    start = cursor.offset
    digits = cursor.number("the digits of the fraction of a second")
    cursor.expect_sign(TokenType.R_PAREN, ")")
    if digits > MAX_FRACTION_DIGITS:
        raise SqlParseError.at(cursor.source, start, f"a precision of {digits}", "The precision of a time is 0 to 9.")
    return digits


def _timestamp(cursor: TokenCursor, name: str, start: int) -> LogicalType:
    digits = _fraction(cursor, t.DEFAULT_TIMESTAMP_PRECISION)
    if name == "TIMESTAMP_LTZ" or cursor.match("WITH", "LOCAL", "TIME", "ZONE"):
        return t.timestamp_ltz(digits)
    if cursor.match("WITH", "TIME", "ZONE"):
        raise SqlParseError.at(
            cursor.source,
            start,
            "the type TIMESTAMP WITH TIME ZONE is not supported",
            "Use TIMESTAMP_LTZ for instants.",
        )
    cursor.match("WITHOUT", "TIME", "ZONE")
    return t.timestamp(digits)


def _interval(cursor: TokenCursor) -> LogicalType:
    unit = _interval_unit(cursor)
    last = _interval_unit(cursor) if cursor.match("TO") else unit
    if (unit in _YEAR_MONTH) != (last in _YEAR_MONTH):
        raise cursor.failure(f"an interval from {unit} to {last} does not exist")
    return t.INTERVAL_YEAR_MONTH if unit in _YEAR_MONTH else t.INTERVAL_DAY_TIME


def _interval_unit(cursor: TokenCursor) -> str:
    for unit in (*_YEAR_MONTH, *_DAY_TIME):
        if cursor.match(unit):
            if cursor.match_sign(TokenType.L_PAREN):
                cursor.listed(lambda: cursor.number("a precision"))
                cursor.expect_sign(TokenType.R_PAREN, ")")
            return unit
    raise cursor.expecting("YEAR, MONTH, DAY, HOUR, MINUTE or SECOND")


def _in_angles(cursor: TokenCursor, count: int) -> tuple[LogicalType, ...]:
    cursor.expect_sign(TokenType.LT, "<")
    found = [read_type(cursor)]
    while len(found) < count:
        cursor.expect_sign(TokenType.COMMA, ",")
        found.append(read_type(cursor))
    cursor.expect_sign(TokenType.GT, ">")
    return tuple(found)


def _row(cursor: TokenCursor, start: int) -> LogicalType:
    if cursor.match_sign(TokenType.LT):
        closing, shown = TokenType.GT, ">"
    else:
        cursor.expect_sign(TokenType.L_PAREN, "<")
        closing, shown = TokenType.R_PAREN, ")"
    if cursor.match_sign(closing):
        return t.row()
    fields = cursor.listed(lambda: _row_field(cursor))
    cursor.expect_sign(closing, shown)
    names = [name for name, _ in fields]
    if len(set(names)) < len(names):
        raise SqlParseError.at(cursor.source, start, f"fields of a ROW have different names, not {', '.join(names)}")
    return t.row(*fields)


def _row_field(cursor: TokenCursor) -> tuple[str, LogicalType]:
    name = cursor.identifier("the name of a field")
    kind = read_type(cursor)
    if cursor.peek_sign(TokenType.STRING):
        cursor.string("a comment")
    return name, kind
