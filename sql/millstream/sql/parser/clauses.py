"""Parts that several statements share: queries, expressions, options, columns, watermarks, keys."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from millstream.sql.parser.allowed_syntax import refuse_unsupported
from millstream.sql.parser.errors import SqlParseError
from millstream.sql.parser.relation_parser import FlinkParser
from millstream.sql.parser.statements import ColumnDefinition, ComputedColumn, MetadataColumn, PhysicalColumn, Watermark
from millstream.sql.parser.token_cursor import TokenCursor
from millstream.sql.parser.types import read_type


def read_query(cursor: TokenCursor) -> exp.Expr:
    """A query; Flink's syntax only."""
    start = cursor.offset
    parser = FlinkParser(cursor.source, cursor.tokens, cursor.index)
    ast = parser.query()
    cursor.index = parser.index
    refuse_unsupported(cursor.source, ast, start)
    return ast


def read_value(cursor: TokenCursor) -> tuple[exp.Expr, str]:
    """An expression and its text."""
    start = cursor.offset
    parser = FlinkParser(cursor.source, cursor.tokens, cursor.index)
    ast = parser.value()
    cursor.index = parser.index
    refuse_unsupported(cursor.source, ast, start)
    return ast, cursor.text_since(start)


def read_properties(cursor: TokenCursor) -> tuple[tuple[str, str], ...]:
    """``('key' = 'value', ...)``; a key that comes twice is an error."""
    seen: dict[str, str] = {}

    def one() -> None:
        offset = cursor.offset
        key = cursor.string("the name of an option")
        cursor.expect_sign(TokenType.EQ, "=")
        if key in seen:
            raise SqlParseError.at(cursor.source, offset, f"the option '{key}' is given twice")
        seen[key] = cursor.string("the value of an option")

    cursor.expect_sign(TokenType.L_PAREN, "(")
    if not cursor.match_sign(TokenType.R_PAREN):
        cursor.listed(one)
        cursor.expect_sign(TokenType.R_PAREN, ")")
    return tuple(seen.items())


def read_comment(cursor: TokenCursor) -> str:
    """``COMMENT '...'`` if it comes next."""
    return cursor.string("a comment") if cursor.match("COMMENT") else ""


def read_names(cursor: TokenCursor, what: str = "the name of a column") -> tuple[str, ...]:
    """``(a, b)``."""
    return cursor.in_parentheses(lambda: cursor.identifier(what))


def read_column(cursor: TokenCursor) -> tuple[ColumnDefinition, bool]:
    """A column, and whether PRIMARY KEY stood behind it."""
    name = cursor.identifier("the name of a column")
    if cursor.match("AS"):
        expression, text = read_value(cursor)
        return ComputedColumn(name, expression, text, read_comment(cursor)), False
    kind = read_type(cursor)
    if cursor.match("METADATA"):
        key = cursor.string("the connector's key") if cursor.match("FROM") else ""
        virtual = cursor.match("VIRTUAL")
        return MetadataColumn(name, kind, key, virtual, read_comment(cursor)), False
    is_key = False
    if cursor.match("PRIMARY", "KEY"):
        is_key = True
        read_not_enforced(cursor)
        kind = kind.with_nullable(False)
    return PhysicalColumn(name, kind, read_comment(cursor)), is_key


def read_watermark(cursor: TokenCursor) -> Watermark:
    """After ``WATERMARK``: ``FOR column AS expression``."""
    cursor.expect("FOR")
    name = [cursor.identifier("the name of a column")]
    while cursor.match_sign(TokenType.DOT):
        name.append(cursor.identifier("the name of a field"))
    cursor.expect("AS")
    expression, text = read_value(cursor)
    return Watermark(".".join(name), expression, text)


def read_primary_key(cursor: TokenCursor) -> tuple[str, ...]:
    """After ``PRIMARY KEY``: ``(columns) NOT ENFORCED``."""
    names = read_names(cursor)
    read_not_enforced(cursor)
    return names


def read_not_enforced(cursor: TokenCursor) -> None:
    if not cursor.match("NOT", "ENFORCED"):
        raise cursor.failure(
            f"expected NOT ENFORCED after PRIMARY KEY, found {cursor.shown()}",
            "A stream cannot check a key: say PRIMARY KEY (...) NOT ENFORCED and see to it that it holds.",
        )
