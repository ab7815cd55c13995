"""Flink SQL for sqlglot: its words, its quotes, and hints that are tokens instead of comments."""

from __future__ import annotations

from typing import ClassVar, Final

from sqlglot import Dialect, tokens
from sqlglot.dialects.dialect import NormalizationStrategy
from sqlglot.tokenizer_core import TokenType

HINT_START: Final = "/*+"
_SIGNS: Final = ("||", ">=", "<=", "<>", "!=", "=>", HINT_START)
_WORDS: Final = (
    "ALL", "AND", "ANTI", "ANY", "ASC", "AS", "ASOF", "BETWEEN", "CASE", "CROSS", "CUBE", "DESC", "DISTINCT", "ELSE",
    "END", "ESCAPE", "EXCEPT", "EXISTS", "FALSE", "FETCH", "FILTER", "FIRST", "FULL", "FOR", "FROM", "GROUP BY",
    "GROUPING SETS", "HAVING", "ILIKE", "IN", "INNER", "INTERVAL", "INTERSECT", "INTO", "IS", "JOIN", "LATERAL", "LEFT",
    "LIKE", "LIMIT", "NATURAL", "NEXT", "NOT", "NULL", "OFFSET", "ON", "OR", "ORDER BY", "ORDINALITY", "OUTER", "OVER",
    "OVERLAPS", "PARTITION BY", "QUALIFY", "RANGE", "RECURSIVE", "RIGHT", "ROLLUP", "ROW", "ROWS", "SELECT", "SEMI",
    "SIMILAR TO", "SOME", "TABLE", "TABLESAMPLE", "THEN", "TRUE", "UNION", "UNNEST", "USING", "VALUES", "WHEN", "WHERE",
    "WINDOW", "WITH", "PIVOT", "UNPIVOT",
)  # fmt: skip
"""Words that mean something in queries; all others, names of types and functions too, are plain names to the parser."""
KEYWORDS: Final = frozenset(word for words in _WORDS for word in words.split())
"""The words one by one."""


class FlinkTokenizer(tokens.Tokenizer):
    """Backticks quote identifiers, single quotes strings (doubled inside); double quotes are an error."""

    IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`"]
    QUOTES: ClassVar[list[tuple[str, str] | str]] = ["'"]
    STRING_ESCAPES: ClassVar[list[str]] = ["'"]
    HEX_STRINGS: ClassVar[list[str | tuple[str, str]]] = [("x'", "'"), ("X'", "'")]
    UNICODE_STRINGS: ClassVar[list[str | tuple[str, str]]] = [("u&'", "'"), ("U&'", "'")]
    NESTED_COMMENTS = False
    COMMANDS: ClassVar[set[TokenType]] = set()
    KEYWORDS: ClassVar[dict[str, TokenType]] = {
        **{word: tokens.Tokenizer.KEYWORDS[word] for word in (*_SIGNS, *_WORDS)},
        "MATCH_RECOGNIZE": TokenType.MATCH_RECOGNIZE,
    }


# sqlglot reads "/*+ ... */" as a comment and drops it where it expects no hint. A hint that is dropped in silence would
# change what a query does, so here its parts are tokens and the parser decides whether they may stand there.
FlinkTokenizer._COMMENTS.pop(HINT_START, None)


class FlinkDialect(Dialect):
    """The dialect: names are case-sensitive, NULLs sort as the smallest values."""

    NORMALIZATION_STRATEGY = NormalizationStrategy.CASE_SENSITIVE
    NULL_ORDERING = "nulls_are_small"
    Tokenizer = FlinkTokenizer
