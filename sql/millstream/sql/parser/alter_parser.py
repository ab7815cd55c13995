"""``ALTER ...``."""

from __future__ import annotations

from sqlglot.tokenizer_core import TokenType

from millstream.sql.parser.clauses import (
    read_column,
    read_names,
    read_primary_key,
    read_properties,
    read_query,
    read_watermark,
)
from millstream.sql.parser.statement_start import Start
from millstream.sql.parser.statements import (
    AddColumns,
    Alter,
    AlterAction,
    ColumnChange,
    DropColumns,
    DropPrimaryKey,
    DropWatermark,
    ModifyColumns,
    ObjectKind,
    RenameColumn,
    RenameTo,
    ResetOptions,
    SetComment,
    SetFunction,
    SetOptions,
    SetQuery,
    Watermark,
)
from millstream.sql.parser.token_cursor import TokenCursor


def parse_alter(cursor: TokenCursor, start: Start) -> Alter:
    """What follows ALTER."""
    temporary = cursor.match("TEMPORARY")
    if temporary:
        cursor.match("SYSTEM")
    kind = next((kind for kind in ObjectKind if cursor.match(kind.value)), None)
    if kind is None:
        raise cursor.expecting("TABLE, VIEW, FUNCTION, DATABASE or CATALOG")
    if_exists = cursor.match("IF", "EXISTS")
    path = cursor.path(f"the name of a {kind.value.lower()}")
    action = _ACTIONS[kind](cursor)
    return Alter(**start.fields(), kind=kind, path=path, action=action, if_exists=if_exists, temporary=temporary)


def _table_action(cursor: TokenCursor) -> AlterAction:
    if cursor.match("RENAME", "TO"):
        return RenameTo(cursor.path("the new name"))
    if cursor.match("RENAME"):
        old = cursor.identifier("the name of a column")
        cursor.expect("TO")
        return RenameColumn(old, cursor.identifier("the new name of the column"))
    if cursor.match("ADD"):
        return AddColumns(*_changes(cursor))
    if cursor.match("MODIFY"):
        return ModifyColumns(*_changes(cursor))
    if cursor.match("DROP"):
        return _drop_action(cursor)
    if cursor.match("SET"):
        return SetOptions(read_properties(cursor))
    if cursor.match("RESET"):
        return ResetOptions(cursor.in_parentheses(lambda: cursor.string("the name of an option")))
    raise cursor.expecting("RENAME, ADD, MODIFY, DROP, SET or RESET")


def _changes(cursor: TokenCursor) -> tuple[tuple[ColumnChange, ...], Watermark | None, tuple[str, ...]]:
    """One element, or several in parentheses."""
    changes: list[ColumnChange] = []
    watermark: Watermark | None = None
    key: tuple[str, ...] = ()

    def one() -> None:
        nonlocal watermark, key
        if cursor.peek_words("PARTITION") or cursor.peek_words("DISTRIBUTION"):
            raise cursor.failure(f"changing the {cursor.shown()} of a table is not supported")
        if cursor.peek_words("WATERMARK", "FOR"):
            cursor.match("WATERMARK")
            watermark = read_watermark(cursor)
        elif cursor.match("PRIMARY", "KEY"):
            key = read_primary_key(cursor)
        elif cursor.match("CONSTRAINT"):
            cursor.identifier("the name of a constraint")
            cursor.expect("PRIMARY", "KEY")
            key = read_primary_key(cursor)
        else:
            column, is_key = read_column(cursor)
            if is_key:
                key = (column.name,)
            first = cursor.match("FIRST")
            after = cursor.identifier("the name of a column") if not first and cursor.match("AFTER") else ""
            changes.append(ColumnChange(column, first, after))

    if cursor.match_sign(TokenType.L_PAREN):
        cursor.listed(one)
        cursor.expect_sign(TokenType.R_PAREN, ")")
    else:
        one()
    return tuple(changes), watermark, key


def _drop_action(cursor: TokenCursor) -> AlterAction:
    if cursor.match("WATERMARK"):
        return DropWatermark()
    if cursor.match("PRIMARY", "KEY"):
        return DropPrimaryKey()
    if cursor.match("CONSTRAINT"):
        cursor.identifier("the name of a constraint")
        return DropPrimaryKey()
    if cursor.peek_words("PARTITION") or cursor.peek_words("DISTRIBUTION"):
        raise cursor.failure(f"dropping the {cursor.shown()} of a table is not supported")
    if cursor.peek_sign(TokenType.L_PAREN):
        return DropColumns(read_names(cursor))
    return DropColumns((cursor.identifier("the name of a column"),))


def _view_action(cursor: TokenCursor) -> AlterAction:
    if cursor.match("RENAME", "TO"):
        return RenameTo(cursor.path("the new name"))
    if cursor.match("AS"):
        offset = cursor.offset
        query = read_query(cursor)
        return SetQuery(query, cursor.text_since(offset))
    raise cursor.expecting("RENAME TO or AS")


def _function_action(cursor: TokenCursor) -> AlterAction:
    cursor.expect("AS")
    target = cursor.string("the function as 'module.attribute'")
    if cursor.match("LANGUAGE") and not cursor.match("PYTHON"):
        raise cursor.expecting("PYTHON")
    return SetFunction(target)


def _options_action(cursor: TokenCursor) -> AlterAction:
    if cursor.match("SET"):
        return SetOptions(read_properties(cursor))
    if cursor.match("RESET"):
        return ResetOptions(cursor.in_parentheses(lambda: cursor.string("the name of an option")))
    if cursor.match("COMMENT"):
        return SetComment(cursor.string("a comment"))
    raise cursor.expecting("SET, RESET or COMMENT")


_ACTIONS = {
    ObjectKind.TABLE: _table_action,
    ObjectKind.VIEW: _view_action,
    ObjectKind.FUNCTION: _function_action,
    ObjectKind.DATABASE: _options_action,
    ObjectKind.CATALOG: _options_action,
}
