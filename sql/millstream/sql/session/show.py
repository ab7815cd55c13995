"""``SHOW`` and ``DESCRIBE``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from millstream.core.table.row_type import Column
from millstream.sql.catalog import ddl_text
from millstream.sql.catalog.catalog_manager import CatalogError, CatalogManager, ResolvedRelation
from millstream.sql.catalog.objects import CatalogTable, CatalogView
from millstream.sql.parser.statements import (
    ColumnDefinition,
    ComputedColumn,
    Describe,
    MetadataColumn,
    ObjectKind,
    ObjectPath,
    Show,
    Shown,
)
from millstream.sql.session.results import Rows, one_text, text_rows
from millstream.sql.session.view_types import RelationTypes

_HEADERS = ("name", "type", "null", "key", "extras", "watermark")


def show(statement: Show, catalogs: CatalogManager, types: RelationTypes, built_in: Sequence[str]) -> Rows:
    """Raises ``CatalogError`` for a name that does not exist."""
    what, path = statement.what, statement.path
    match what:
        case Shown.CURRENT_CATALOG:
            return text_rows(["current catalog name"], [[catalogs.current_catalog]])
        case Shown.CURRENT_DATABASE:
            return text_rows(["current database name"], [[catalogs.current_database]])
        case Shown.CREATE_TABLE | Shown.CREATE_VIEW:
            return one_text("result", _create_text(catalogs.resolve(path), table=what is Shown.CREATE_TABLE))
        case Shown.CREATE_CATALOG:
            return one_text("result", ddl_text.create_catalog(path[-1], catalogs.catalog_descriptor(path[-1])))
        case Shown.COLUMNS:
            return _columns(catalogs, types, path, statement)
    header = what.value.lower().removesuffix("s").removeprefix("user ") + " name"
    return text_rows([header], [[name] for name in _names(what, path, catalogs, built_in) if _matches(statement, name)])


def _names(what: Shown, path: ObjectPath, catalogs: CatalogManager, built_in: Sequence[str]) -> list[str]:
    if what in (Shown.JOBS, Shown.PARTITIONS):
        hint = "Use the command 'millstream list'." if what is Shown.JOBS else ""
        raise CatalogError(f"SHOW {what.value} is not supported", hint)
    if what is Shown.CATALOGS:
        return catalogs.catalogs()
    if what is Shown.DATABASES:
        return catalogs.catalog(path[0] if path else catalogs.current_catalog).databases()
    scope = catalogs.database_path(path)
    match what:
        case Shown.TABLES:
            return catalogs.relations(*scope)
        case Shown.VIEWS:
            return catalogs.views(*scope)
        case Shown.USER_FUNCTIONS:
            return catalogs.functions(*scope)
        case Shown.FUNCTIONS:
            return sorted({*(name.lower() for name in built_in), *catalogs.functions(*scope)})
    raise AssertionError(f"SHOW {what.value} has no names")


def _matches(statement: Show, name: str) -> bool:
    """LIKE with ``%`` and ``_``."""
    if not statement.pattern:
        return True
    expression = re.escape(statement.pattern).replace("%", ".*").replace("_", ".")
    flags = re.DOTALL | (re.IGNORECASE if statement.ignore_case else 0)
    return (re.fullmatch(expression, name, flags) is not None) != statement.negated


def _create_text(found: ResolvedRelation, *, table: bool) -> str:
    relation = found.relation
    if isinstance(relation, CatalogTable) != table:
        kind, other = ("view", "VIEW") if table else ("table", "TABLE")
        raise CatalogError(f"{found.name} is a {kind}", f"Use SHOW CREATE {other}.")
    if isinstance(relation, CatalogTable):
        return ddl_text.create_table(found.path, relation, temporary=found.temporary)
    return ddl_text.create_view(found.path, relation, temporary=found.temporary)


def _columns(catalogs: CatalogManager, types: RelationTypes, path: ObjectPath, statement: Show) -> Rows:
    header, rows = _described(catalogs.resolve(path), types)
    return text_rows(header, [row for row in rows if _matches(statement, row[0] or "")])


def describe(statement: Describe, catalogs: CatalogManager, types: RelationTypes) -> Rows:
    """Raises ``CatalogError`` for a name that does not exist."""
    path = statement.path
    match statement.kind:
        case ObjectKind.CATALOG:
            descriptor = catalogs.catalog_descriptor(path[-1])
            rows = [["name", path[-1]], ["type", descriptor.options.get("type", "")], ["comment", descriptor.comment]]
            if statement.extended:
                rows += [[f"option:{key}", value] for key, value in descriptor.options.items() if key != "type"]
            return text_rows(["info name", "info value"], rows)
        case ObjectKind.DATABASE:
            catalog, name = catalogs.database_path(path)
            database = catalogs.catalog(catalog).database(name)
            assert database is not None
            rows = [["catalog", catalog], ["name", name], ["comment", database.comment]]
            if statement.extended:
                rows += [[f"option:{key}", value] for key, value in database.options.items()]
            return text_rows(["info name", "info value"], rows)
        case ObjectKind.FUNCTION:
            function = (catalogs.system_function(path[0]) if len(path) == 1 else None) or catalogs.function(path)
            if function is None:
                raise CatalogError(f"unknown function {'.'.join(path)}", "DESCRIBE FUNCTION is for functions of users.")
            rows = [["name", path[-1]], ["language", "PYTHON"], ["definition", function.target]]
            return text_rows(["info name", "info value"], rows)
    header, cells = _described(catalogs.resolve(path), types)
    return text_rows(header, cells)


def _described(found: ResolvedRelation, types: RelationTypes) -> tuple[list[str], list[list[str | None]]]:
    """Flink's six columns, and ``comment`` where a column has one."""
    relation = found.relation
    kinds = {column.name: column for column in types.columns_of(found)}
    if isinstance(relation, CatalogView):
        return list(_HEADERS), [_row(column, None, None) for column in kinds.values()]
    rows = [_row(kinds[column.name], column, relation) for column in relation.columns]
    comments = [column.comment for column in relation.columns]
    if not any(comments):
        return list(_HEADERS), rows
    return [*_HEADERS, "comment"], [[*row, comment] for row, comment in zip(rows, comments, strict=True)]


def _row(column: Column, definition: ColumnDefinition | None, table: CatalogTable | None) -> list[str | None]:
    shown = column.type.text() + (f" {column.time.value}" if column.time.value else "")
    key = extras = watermark = None
    if isinstance(definition, ComputedColumn):
        extras = f"AS {definition.text}"
    elif isinstance(definition, MetadataColumn):
        extras = "METADATA" + (f" FROM '{definition.key}'" if definition.key else "")
        extras += " VIRTUAL" if definition.virtual else ""
    if table is not None:
        if column.name in table.primary_key:
            key = f"PRI({', '.join(table.primary_key)})"
        if table.watermark is not None and table.watermark.column == column.name:
            watermark = table.watermark.text
    return [column.name, shown, "TRUE" if column.type.nullable else "FALSE", key, extras, watermark]
