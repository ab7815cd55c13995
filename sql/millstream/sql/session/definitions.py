"""``CREATE``, ``DROP`` and ``USE``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from millstream.core.table.row_type import Column
from millstream.sql.catalog.catalog_manager import CatalogManager
from millstream.sql.catalog.objects import (
    CatalogDatabase,
    CatalogDescriptor,
    CatalogFunction,
    CatalogTable,
    CatalogView,
)
from millstream.sql.catalog.table_definition import table_of
from millstream.sql.parser.errors import SqlValidationError
from millstream.sql.parser.statements import (
    CreateCatalog,
    CreateDatabase,
    CreateFunction,
    CreateTable,
    CreateView,
    Drop,
    ObjectKind,
    PhysicalColumn,
    Statement,
    Use,
)

Check = Callable[[CatalogTable, Statement], None]
"""Raises ``SqlError`` for a table whose computed columns or watermark mean nothing."""


def create_table(
    statement: CreateTable,
    catalogs: CatalogManager,
    defined_at: str,
    query_columns: tuple[Column, ...],
    check: Check,
) -> bool:
    """Create it; for ``AS query`` with the columns ``query_columns``. False if one was there and may stay."""
    like = None
    if statement.like is not None:
        found = catalogs.resolve(statement.like.path)
        if not isinstance(found.relation, CatalogTable):
            raise _error(statement, f"{found.name} is a view, LIKE needs a table")
        like = found.relation
    table = table_of(_with_query_columns(statement, query_columns), defined_at=defined_at, like=like)
    check(table, statement)
    return catalogs.put(
        statement.path,
        table,
        temporary=statement.temporary,
        if_not_exists=statement.if_not_exists,
        replace_existing=statement.or_replace,
    )


def _with_query_columns(statement: CreateTable, query_columns: tuple[Column, ...]) -> CreateTable:
    """``AS query``: its columns behind those that the statement declares, or in the order of ``column_names``."""
    if statement.as_query is None:
        return statement
    by_name = {column.name: column for column in query_columns}
    names = statement.column_names or tuple(by_name)
    unknown = next((name for name in names if name not in by_name), None)
    if unknown is not None:
        raise _error(statement, f"the query has no column {unknown}", f"Its columns are {', '.join(by_name)}.")
    if statement.column_names and set(names) != set(by_name):
        missing = ", ".join(name for name in by_name if name not in names)
        raise _error(statement, f"the columns of the table lack {missing} of the query")
    declared = {column.name for column in statement.columns}
    taken = tuple(PhysicalColumn(name, by_name[name].type) for name in names if name not in declared)
    return replace(statement, columns=(*statement.columns, *taken), column_names=())


def create_view(
    statement: CreateView, catalogs: CatalogManager, defined_at: str, query_columns: tuple[Column, ...] | None
) -> None:
    """``query_columns`` are those of the query; None when there is no planner to ask."""
    if statement.columns and query_columns is not None and len(statement.columns) != len(query_columns):
        raise _error(statement, f"the view names {len(statement.columns)} columns, its query has {len(query_columns)}")
    view = CatalogView(
        query=statement.query_text,
        columns=statement.columns,
        catalog=catalogs.current_catalog,
        database=catalogs.current_database,
        comment=statement.comment,
        defined_at=defined_at,
    )
    catalogs.put(statement.path, view, temporary=statement.temporary, if_not_exists=statement.if_not_exists)


def create_function(statement: CreateFunction, catalogs: CatalogManager) -> None:
    module, dot, attribute = statement.target.rpartition(".")
    if not dot or not all(part.isidentifier() for part in (*module.split("."), attribute)):
        raise _error(
            statement, f"'{statement.target}' is no Python function", "It is written 'package.module.function'."
        )
    catalogs.put_function(
        statement.path,
        CatalogFunction(statement.target),
        temporary=statement.temporary,
        system=statement.system,
        if_not_exists=statement.if_not_exists,
    )


def create_catalog(statement: CreateCatalog, catalogs: CatalogManager) -> None:
    descriptor = CatalogDescriptor(dict(statement.options), statement.comment)
    catalogs.create_catalog(statement.name, descriptor, if_not_exists=statement.if_not_exists)


def create_database(statement: CreateDatabase, catalogs: CatalogManager) -> None:
    database = CatalogDatabase(dict(statement.options), statement.comment)
    catalogs.create_database(statement.path, database, if_not_exists=statement.if_not_exists)


def drop(statement: Drop, catalogs: CatalogManager) -> None:
    match statement.kind:
        case ObjectKind.TABLE | ObjectKind.VIEW:
            catalogs.drop(
                statement.path,
                tables=statement.kind is ObjectKind.TABLE,
                temporary=statement.temporary,
                if_exists=statement.if_exists,
            )
        case ObjectKind.FUNCTION:
            catalogs.drop_function(
                statement.path,
                temporary=statement.temporary,
                system=statement.system,
                if_exists=statement.if_exists,
            )
        case ObjectKind.DATABASE:
            catalogs.drop_database(statement.path, if_exists=statement.if_exists, cascade=statement.cascade)
        case ObjectKind.CATALOG:
            catalogs.drop_catalog(statement.path[-1], if_exists=statement.if_exists)


def use(statement: Use, catalogs: CatalogManager) -> None:
    if statement.kind is ObjectKind.CATALOG:
        catalogs.use_catalog(statement.path[0])
    else:
        catalogs.use_database(statement.path)


def _error(statement: Statement, message: str, hint: str = "") -> SqlValidationError:
    return SqlValidationError.at(statement.source, statement.position.offset, message, hint)
