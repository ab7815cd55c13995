"""``CREATE ...``."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot.tokenizer_core import TokenType

from millstream.sql.parser.clauses import (
    read_column,
    read_comment,
    read_names,
    read_primary_key,
    read_properties,
    read_query,
    read_watermark,
)
from millstream.sql.parser.errors import SqlParseError
from millstream.sql.parser.statement_start import Start
from millstream.sql.parser.statements import (
    ColumnDefinition,
    CreateCatalog,
    CreateDatabase,
    CreateFunction,
    CreateTable,
    CreateView,
    Distribution,
    LikeClause,
    Statement,
    Watermark,
)
from millstream.sql.parser.token_cursor import TokenCursor

LIKE_STRATEGIES = ("INCLUDING", "EXCLUDING", "OVERWRITING")
LIKE_FEATURES = (
    "ALL", "CONSTRAINTS", "DISTRIBUTION", "GENERATED", "METADATA", "OPTIONS", "PARTITIONS", "WATERMARKS",
)  # fmt: skip


def parse_create(cursor: TokenCursor, start: Start) -> Statement:
    """What follows CREATE."""
    or_replace = cursor.match("OR", "REPLACE") or cursor.match("REPLACE")
    temporary = cursor.match("TEMPORARY")
    system = temporary and cursor.match("SYSTEM")
    if or_replace and not cursor.peek_words("TABLE"):
        raise cursor.failure("OR REPLACE is supported for tables only")
    if cursor.match("TABLE"):
        return _table(cursor, start, temporary, or_replace)
    if cursor.match("FUNCTION"):
        return _function(cursor, start, temporary, system)
    if cursor.match("VIEW"):
        return _view(cursor, start, temporary)
    if not temporary and cursor.match("CATALOG"):
        return _catalog(cursor, start)
    if not temporary and cursor.match("DATABASE"):
        return _database(cursor, start)
    raise cursor.expecting("TABLE, VIEW or FUNCTION" if temporary else "TABLE, VIEW, FUNCTION, DATABASE or CATALOG")


def _if_not_exists(cursor: TokenCursor) -> bool:
    return cursor.match("IF", "NOT", "EXISTS")


@dataclass
class _Elements:
    """What stands in the parentheses of CREATE TABLE."""

    columns: list[ColumnDefinition] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    watermark: Watermark | None = None
    primary_key: tuple[str, ...] = ()


def _table(cursor: TokenCursor, start: Start, temporary: bool, or_replace: bool) -> CreateTable:
    if_not_exists = _if_not_exists(cursor)
    path = cursor.path("the name of a table")
    elements = _Elements()
    if cursor.match_sign(TokenType.L_PAREN) and not cursor.match_sign(TokenType.R_PAREN):
        cursor.listed(lambda: _table_element(cursor, elements))
        cursor.expect_sign(TokenType.R_PAREN, ")")
    comment = read_comment(cursor)
    distribution = _distribution(cursor)
    partition_keys = read_names(cursor) if cursor.match("PARTITIONED", "BY") else ()
    distribution = distribution or _distribution(cursor)
    options = read_properties(cursor) if cursor.match("WITH") else ()
    like = _like(cursor) if cursor.match("LIKE") else None
    as_query, query_text = None, ""
    if cursor.match("AS"):
        offset = cursor.offset
        as_query = read_query(cursor)
        query_text = cursor.text_since(offset)
    if or_replace and as_query is None:
        raise cursor.failure("CREATE OR REPLACE TABLE needs AS and a query")
    if elements.names and as_query is None:
        raise cursor.failure(
            f"the column {elements.names[0]} has no type", "Only a table AS a query takes types from it."
        )
    if not elements.columns and as_query is None and like is None:
        raise cursor.failure("a table needs columns, LIKE another table, or AS a query")
    return CreateTable(
        **start.fields(),
        path=path,
        columns=tuple(elements.columns),
        watermark=elements.watermark,
        primary_key=elements.primary_key,
        partition_keys=partition_keys,
        distribution=distribution,
        options=options,
        comment=comment,
        like=like,
        as_query=as_query,
        query_text=query_text,
        column_names=tuple(elements.names),
        temporary=temporary,
        if_not_exists=if_not_exists,
        or_replace=or_replace,
    )


def _table_element(cursor: TokenCursor, elements: _Elements) -> None:
    offset = cursor.offset
    if cursor.peek_words("WATERMARK", "FOR"):
        cursor.match("WATERMARK")
        if elements.watermark is not None:
            raise SqlParseError.at(cursor.source, offset, "a table has one watermark, this is the second")
        elements.watermark = read_watermark(cursor)
        return
    if cursor.match("CONSTRAINT"):
        cursor.identifier("the name of a constraint")
        cursor.expect("PRIMARY", "KEY")
        _set_key(cursor, elements, read_primary_key(cursor), offset)
        return
    if cursor.match("PRIMARY", "KEY"):
        _set_key(cursor, elements, read_primary_key(cursor), offset)
        return
    if cursor.peek_words("UNIQUE"):
        raise cursor.failure("UNIQUE is not supported", "PRIMARY KEY (...) NOT ENFORCED is.")
    if _is_bare_name(cursor):
        elements.names.append(cursor.identifier("the name of a column"))
        return
    column, is_key = read_column(cursor)
    if any(known.name == column.name for known in elements.columns):
        raise SqlParseError.at(cursor.source, offset, f"the column {column.name} is defined twice")
    elements.columns.append(column)
    if is_key:
        _set_key(cursor, elements, (column.name,), offset)


def _is_bare_name(cursor: TokenCursor) -> bool:
    ahead = TokenCursor(cursor.source, cursor.tokens, cursor.index + 1)
    return ahead.peek_sign(TokenType.COMMA) or ahead.peek_sign(TokenType.R_PAREN)


def _set_key(cursor: TokenCursor, elements: _Elements, key: tuple[str, ...], offset: int) -> None:
    if elements.primary_key:
        raise SqlParseError.at(cursor.source, offset, "a table has one primary key, this is the second")
    elements.primary_key = key


def _distribution(cursor: TokenCursor) -> Distribution | None:
    if not cursor.match("DISTRIBUTED"):
        return None
    kind, buckets = "", 0
    columns: tuple[str, ...] = ()
    if cursor.match("BY"):
        kind = next((word for word in ("HASH", "RANGE") if cursor.match(word)), "")
        columns = read_names(cursor)
    if cursor.match("INTO"):
        buckets = cursor.number("the number of buckets")
        cursor.expect("BUCKETS")
    return Distribution(kind, columns, buckets)


def _like(cursor: TokenCursor) -> LikeClause:
    path = cursor.path("the name of a table")
    rules: list[tuple[str, str]] = []
    if cursor.match_sign(TokenType.L_PAREN):
        while not cursor.match_sign(TokenType.R_PAREN):
            strategy = next((word for word in LIKE_STRATEGIES if cursor.match(word)), None)
            if strategy is None:
                raise cursor.expecting("INCLUDING, EXCLUDING, OVERWRITING or ')'")
            feature = next((word for word in LIKE_FEATURES if cursor.match(word)), None)
            if feature is None:
                raise cursor.expecting(f"one of {', '.join(LIKE_FEATURES)}")
            rules.append((strategy, feature))
    return LikeClause(path, tuple(rules))


def _view(cursor: TokenCursor, start: Start, temporary: bool) -> CreateView:
    if_not_exists = _if_not_exists(cursor)
    path = cursor.path("the name of a view")
    columns = read_names(cursor) if cursor.peek_sign(TokenType.L_PAREN) else ()
    comment = read_comment(cursor)
    cursor.expect("AS")
    offset = cursor.offset
    query = read_query(cursor)
    return CreateView(
        **start.fields(),
        path=path,
        columns=columns,
        comment=comment,
        query=query,
        query_text=cursor.text_since(offset),
        temporary=temporary,
        if_not_exists=if_not_exists,
    )


def _function(cursor: TokenCursor, start: Start, temporary: bool, system: bool) -> CreateFunction:
    if_not_exists = _if_not_exists(cursor)
    path = cursor.path("the name of a function")
    target = ""
    if cursor.match("AS"):
        target = cursor.string("the function as 'module.attribute'")
    if not cursor.match("LANGUAGE"):
        raise cursor.failure(
            f"expected LANGUAGE PYTHON, found {cursor.shown()}",
            "Functions are Python: CREATE FUNCTION f AS 'module.attribute' LANGUAGE PYTHON.",
        )
    if not cursor.match("PYTHON"):
        raise cursor.failure(
            f"functions in {cursor.shown()} are not supported", "Functions are Python: LANGUAGE PYTHON."
        )
    if not target:
        cursor.expect("AS")
        target = cursor.string("the function as 'module.attribute'")
    if cursor.peek_words("USING"):
        raise cursor.failure(
            "USING JAR is not supported", "The module is imported where the query is planned, and shipped."
        )
    return CreateFunction(
        **start.fields(),
        path=path,
        target=target,
        temporary=temporary,
        system=system,
        if_not_exists=if_not_exists,
    )


def _catalog(cursor: TokenCursor, start: Start) -> CreateCatalog:
    if_not_exists = _if_not_exists(cursor)
    name = cursor.identifier("the name of a catalog")
    comment = read_comment(cursor)
    options = read_properties(cursor) if cursor.match("WITH") else ()
    return CreateCatalog(**start.fields(), name=name, options=options, comment=comment, if_not_exists=if_not_exists)


def _database(cursor: TokenCursor, start: Start) -> CreateDatabase:
    if_not_exists = _if_not_exists(cursor)
    path = cursor.path("the name of a database")
    comment = read_comment(cursor)
    options = read_properties(cursor) if cursor.match("WITH") else ()
    return CreateDatabase(**start.fields(), path=path, options=options, comment=comment, if_not_exists=if_not_exists)
