"""Expressions as SQL writes them, for ``call_sql`` and for computed columns of a ``Schema``."""

from __future__ import annotations

from sqlglot import exp

from millstream.sql.parser import SqlParseError, parse_statement
from millstream.sql.parser.statements import Query

_BEFORE = "SELECT "


def parse(text: str) -> exp.Expr:
    """The tree of one expression. Raises ``SqlParseError`` at its place in ``SELECT text``."""
    statement = parse_statement(_BEFORE + text)
    if not isinstance(statement, Query) or not isinstance(statement.ast, exp.Select):
        raise SqlParseError.at(statement.source, len(_BEFORE), f"{text!r} is not one expression")
    select = statement.ast
    extra = [key for key, value in select.args.items() if value and key != "expressions"]
    if len(select.expressions) != 1 or extra:
        raise SqlParseError.at(statement.source, len(_BEFORE), f"{text!r} is not one expression")
    found: exp.Expr = select.expressions[0]
    return found
