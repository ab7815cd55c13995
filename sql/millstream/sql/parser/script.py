"""A script is statements separated by semicolons."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot.tokenizer_core import Token, TokenType

from millstream.sql.parser.errors import SqlParseError
from millstream.sql.parser.statement_parser import parse_one
from millstream.sql.parser.statements import Statement
from millstream.sql.parser.token_cursor import TokenCursor, tokenize


def parse_script(source: str) -> list[Statement]:
    """All statements of a text. Raises ``SqlParseError`` for the first that is wrong."""
    return list(iterate_script(source))


def iterate_script(source: str) -> Iterator[Statement]:
    """The statements one by one, so that those before a wrong one can run, as Flink's client does."""
    for tokens in split_statements(tokenize(source)):
        yield parse_one(TokenCursor(source, tokens))


def parse_statement(source: str) -> Statement:
    """The only statement of a text."""
    statements = parse_script(source)
    if len(statements) == 1:
        return statements[0]
    if not statements:
        raise SqlParseError.at(source, 0, "there is no statement here")
    raise SqlParseError.at(source, statements[1].position.offset, "expected one statement, here a second begins")


def split_statements(tokens: list[Token]) -> Iterator[list[Token]]:
    """Tokens of one statement at a time; a statement set is one statement with its semicolons.

    ``BEGIN STATEMENT SET;`` whose END is not in ``tokens`` stands alone: an interactive session collects what follows.
    """
    current: list[Token] = []
    inside = False
    for index, token in enumerate(tokens):
        if token.token_type is not TokenType.SEMICOLON:
            current.append(token)
            continue
        inside = inside or (_opens_set(current) and _is_closed(tokens, index))
        if inside and not _closes_set(current):
            current.append(token)
            continue
        inside = False
        if current:
            yield current
        current = []
    if current:
        yield current


def _opens_set(tokens: list[Token]) -> bool:
    """``BEGIN STATEMENT SET``, ``[EXPLAIN ... | EXECUTE] STATEMENT SET BEGIN ...``."""
    words = [token.text.upper() for token in tokens[:8]]
    if not words or words[0] not in ("BEGIN", "EXECUTE", "EXPLAIN"):
        return False
    return any(words[at : at + 2] == ["STATEMENT", "SET"] for at in range(len(words)))


def _is_closed(tokens: list[Token], index: int) -> bool:
    """An END after a semicolon follows the token at ``index``."""
    return any(_closes_set(tokens[at : at + 2]) for at in range(index, len(tokens)))


def _closes_set(tokens: list[Token]) -> bool:
    """The last two are ``; END``; the END of a CASE stands behind something else."""
    if len(tokens) < 2 or tokens[-2].token_type is not TokenType.SEMICOLON:
        return False
    return tokens[-1].token_type is not TokenType.IDENTIFIER and tokens[-1].text.upper() == "END"
