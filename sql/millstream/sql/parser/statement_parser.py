"""One statement from its tokens: looks at the first words and hands over to the parser of that kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from millstream.core.config.configuration import nearest
from millstream.sql.parser.alter_parser import parse_alter
from millstream.sql.parser.clauses import read_query, read_value
from millstream.sql.parser.create_parser import parse_create
from millstream.sql.parser.drop_parser import parse_drop
from millstream.sql.parser.errors import SqlParseError
from millstream.sql.parser.relation_parser import FlinkParser
from millstream.sql.parser.show_parser import parse_describe, parse_show, parse_use
from millstream.sql.parser.statement_start import Start
from millstream.sql.parser.statements import (
    BeginStatementSet,
    EndStatementSet,
    Explain,
    ExplainDetail,
    Insert,
    Query,
    Reset,
    Set,
    Statement,
    StatementSet,
    StopJob,
    Truncate,
)
from millstream.sql.parser.token_cursor import TokenCursor

UNSUPPORTED: Final = (
    ("ADD JAR", "Millstream runs no JVM; Python functions are created with CREATE FUNCTION ... LANGUAGE PYTHON."),
    ("REMOVE JAR", ""), ("SHOW JARS", ""), ("LOAD MODULE", ""), ("UNLOAD MODULE", ""), ("USE MODULES", ""),
    ("SHOW MODULES", ""), ("SHOW FULL MODULES", ""), ("SHOW PROCEDURES", ""), ("SHOW MODELS", ""), ("CALL", ""),
    ("ANALYZE TABLE", "Statistics are not collected; the planner needs none."), ("ANALYZE", ""),
    ("COMPILE PLAN", "State is matched operator by operator when a query starts from a savepoint."),
    ("COMPILE AND EXECUTE PLAN", ""), ("EXECUTE PLAN", ""),
    ("UPDATE", "Streams change by inserting into a table with a primary key."),
    ("DELETE", "Streams change by inserting into a table with a primary key."),
    ("MERGE", ""), ("GRANT", ""), ("REVOKE", ""), ("CREATE MODEL", ""), ("CREATE MATERIALIZED TABLE", ""),
    ("CREATE OR ALTER MATERIALIZED TABLE", ""), ("ALTER MODEL", ""), ("ALTER MATERIALIZED TABLE", ""),
    ("DROP MODEL", ""), ("DROP MATERIALIZED TABLE", ""), ("DESCRIBE MODEL", ""), ("DESCRIBE JOB", ""),
    ("SHOW MATERIALIZED TABLES", ""), ("SHOW CREATE MODEL", ""), ("SHOW CREATE MATERIALIZED TABLE", ""),
)  # fmt: skip
"""Statements of Flink that Millstream refuses, with what to do instead."""

_QUERY_WORDS: Final = ("SELECT", "WITH", "VALUES", "TABLE")


def parse_one(cursor: TokenCursor) -> Statement:
    """The statement at the cursor, which must be the whole rest of the tokens."""
    for words, hint in UNSUPPORTED:
        if cursor.peek_words(*words.split()):
            raise cursor.failure(f"{words} is not supported", hint)
    statement = _parse(cursor)
    cursor.expect_end()
    return statement


def _parse(cursor: TokenCursor) -> Statement:
    start = Start(cursor)
    if cursor.peek_sign(TokenType.L_PAREN) or any(cursor.peek_words(word) for word in _QUERY_WORDS):
        ast = read_query(cursor)
        return Query(**start.fields(), ast=ast)
    for words, read in _READERS.items():
        if cursor.match(*words.split()):
            return read(cursor, start)
    word = cursor.current.text.upper() if cursor.current else ""
    near = nearest(word, [words.split()[0] for words in _READERS] + list(_QUERY_WORDS)) if word else None
    raise cursor.failure(f"no statement begins with {cursor.shown()}", f"Did you mean {near}?" if near else "")


def _insert(cursor: TokenCursor, start: Start) -> Insert:
    if cursor.match("OVERWRITE"):
        overwrite = True
        cursor.match("INTO")
    else:
        overwrite = False
        cursor.expect("INTO")
    cursor.match("TABLE")
    path = cursor.path("the name of a table")
    parser = FlinkParser(cursor.source, cursor.tokens, cursor.index)
    hints = tuple(parser.hints())
    cursor.index = parser.index
    partition: tuple[tuple[str, exp.Expr], ...] = ()
    if cursor.match("PARTITION"):
        partition = cursor.in_parentheses(lambda: _partition_value(cursor))
    columns: tuple[str, ...] = ()
    if cursor.peek_sign(TokenType.L_PAREN) and not _parenthesis_holds_query(cursor):
        columns = cursor.in_parentheses(lambda: cursor.identifier("the name of a column"))
    if cursor.peek_words("ON", "CONFLICT"):
        raise cursor.failure("ON CONFLICT is not supported")
    query = read_query(cursor)
    if cursor.peek_words("ON", "CONFLICT"):
        raise cursor.failure("ON CONFLICT is not supported")
    return Insert(
        **start.fields(),
        path=path,
        columns=columns,
        overwrite=overwrite,
        partition=partition,
        hints=hints,
        query=query,
    )


def _partition_value(cursor: TokenCursor) -> tuple[str, exp.Expr]:
    name = cursor.identifier("the name of a partition column")
    cursor.expect_sign(TokenType.EQ, "=")
    return name, read_value(cursor)[0]


def _parenthesis_holds_query(cursor: TokenCursor) -> bool:
    """``INSERT INTO t (SELECT ...)`` against ``INSERT INTO t (a, b) SELECT ...``."""
    ahead = TokenCursor(cursor.source, cursor.tokens, cursor.index)
    while ahead.match_sign(TokenType.L_PAREN):
        pass
    return any(ahead.peek_words(word) for word in _QUERY_WORDS)


def _statement_set(cursor: TokenCursor, start: Start) -> Statement:
    """``[EXECUTE] STATEMENT SET BEGIN insert; ... END``: the semicolons are among the tokens."""
    cursor.expect("STATEMENT", "SET")
    cursor.match("BEGIN")
    if cursor.at_end:
        return BeginStatementSet(**start.fields())
    cursor.match_sign(TokenType.SEMICOLON)
    inserts: list[Insert] = []
    while not cursor.match("END"):
        if not cursor.peek_words("INSERT"):
            raise cursor.expecting("INSERT or END in a statement set")
        end = cursor.index
        while end < len(cursor.tokens) and cursor.tokens[end].token_type is not TokenType.SEMICOLON:
            end += 1
        inner = TokenCursor(cursor.source, cursor.tokens[cursor.index : end])
        insert = parse_one(inner)
        assert isinstance(insert, Insert)
        inserts.append(insert)
        cursor.index = end
        cursor.expect_sign(TokenType.SEMICOLON, ";")
    if not inserts:
        raise SqlParseError.at(cursor.source, start.offset, "a statement set without INSERT")
    return StatementSet(**start.fields(), inserts=tuple(inserts))


def _end(cursor: TokenCursor, start: Start) -> Statement:
    return EndStatementSet(**start.fields())


def _explain(cursor: TokenCursor, start: Start) -> Explain:
    details: list[ExplainDetail] = []
    cursor.match("PLAN", "FOR")
    while True:
        found = next((detail for detail in ExplainDetail if cursor.match(detail.value)), None)
        if found is None:
            if not details:
                break
            raise cursor.expecting("CHANGELOG_MODE, ESTIMATED_COST, JSON_EXECUTION_PLAN, PLAN_ADVICE or STATE_RECOVERY")
        details.append(found)
        if not cursor.match_sign(TokenType.COMMA):
            break
    if cursor.at_end:
        raise cursor.expecting("a query, INSERT or STATEMENT SET to explain")
    inner_start = Start(cursor)
    inner = _statement_set(cursor, inner_start) if cursor.peek_words("STATEMENT", "SET") else _parse(cursor)
    if not isinstance(inner, Query | Insert | StatementSet):
        raise SqlParseError.at(
            cursor.source, inner_start.offset, "only queries, INSERT and STATEMENT SET can be explained"
        )
    return Explain(**start.fields(), details=tuple(details), statement=inner)


def _set(cursor: TokenCursor, start: Start) -> Set:
    if cursor.at_end:
        return Set(**start.fields())
    key = _setting_key(cursor)
    cursor.expect_sign(TokenType.EQ, "=")
    if cursor.peek_sign(TokenType.STRING):
        value = cursor.string("a value")
    else:
        offset = cursor.offset
        if cursor.at_end:
            raise cursor.expecting("a value in single quotes")
        cursor.index = len(cursor.tokens)
        value = cursor.text_since(offset)
    return Set(**start.fields(), key=key, value=value)


def _reset(cursor: TokenCursor, start: Start) -> Reset:
    return Reset(**start.fields(), key="" if cursor.at_end else _setting_key(cursor))


def _setting_key(cursor: TokenCursor) -> str:
    """``'a.b-c'`` or, as the oldest scripts have it, ``a.b-c`` without quotes."""
    if cursor.peek_sign(TokenType.STRING):
        return cursor.string("a setting")
    offset = cursor.offset
    cursor.identifier("a setting in single quotes")
    while cursor.match_sign(TokenType.DOT) or cursor.match_sign(TokenType.DASH):
        cursor.identifier("the rest of the setting")
    return cursor.text_since(offset)


def _truncate(cursor: TokenCursor, start: Start) -> Truncate:
    cursor.expect("TABLE")
    return Truncate(path=cursor.path("the name of a table"), **start.fields())


def _stop_job(cursor: TokenCursor, start: Start) -> StopJob:
    job_id = cursor.string("the id of a job")
    savepoint = drain = False
    while cursor.match("WITH"):
        if cursor.match("SAVEPOINT"):
            savepoint = True
        else:
            cursor.expect("DRAIN")
            drain = True
    return StopJob(**start.fields(), job_id=job_id, with_savepoint=savepoint, with_drain=drain)


_READERS: Final[dict[str, Callable[[TokenCursor, Start], Statement]]] = {
    "INSERT": _insert,
    "CREATE": parse_create,
    "DROP": parse_drop,
    "ALTER": parse_alter,
    "USE": parse_use,
    "SHOW": parse_show,
    "DESCRIBE": parse_describe,
    "DESC": parse_describe,
    "EXPLAIN": _explain,
    "EXECUTE": _statement_set,
    "BEGIN": _statement_set,
    "END": _end,
    "SET": _set,
    "RESET": _reset,
    "TRUNCATE": _truncate,
    "STOP JOB": _stop_job,
}
