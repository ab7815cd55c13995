"""``ALTER``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp

from millstream.core.config.configuration import nearest
from millstream.sql.catalog.catalog_manager import CatalogError, CatalogManager
from millstream.sql.catalog.objects import CatalogFunction, CatalogTable, CatalogView
from millstream.sql.catalog.table_definition import checked
from millstream.sql.parser.errors import SqlValidationError
from millstream.sql.parser.statements import (
    AddColumns,
    Alter,
    ColumnChange,
    ColumnDefinition,
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
)
from millstream.sql.session.definitions import Check


def alter(statement: Alter, catalogs: CatalogManager, check: Check) -> None:
    """Raises ``CatalogError`` and ``SqlValidationError`` for what does not exist or does not fit."""
    match statement.kind:
        case ObjectKind.TABLE | ObjectKind.VIEW:
            _alter_relation(statement, catalogs, check)
        case ObjectKind.FUNCTION:
            assert isinstance(statement.action, SetFunction)
            catalogs.put_function(
                statement.path,
                CatalogFunction(statement.action.target),
                temporary=statement.temporary,
                replace_existing=True,
            )
        case ObjectKind.DATABASE:
            catalog, name = catalogs.database_path(statement.path)
            database = catalogs.catalog(catalog).database(name)
            assert database is not None
            options, comment = _changed(database.options, database.comment, statement)
            catalogs.alter_database((catalog, name), replace(database, options=options, comment=comment))
        case ObjectKind.CATALOG:
            descriptor = catalogs.catalog_descriptor(statement.path[-1])
            options, comment = _changed(descriptor.options, descriptor.comment, statement)
            catalogs.alter_catalog(statement.path[-1], replace(descriptor, options=options, comment=comment))


def _changed(options: Mapping[str, str], comment: str, statement: Alter) -> tuple[dict[str, str], str]:
    match statement.action:
        case SetOptions(given):
            return {**options, **dict(given)}, comment
        case ResetOptions(keys):
            return {key: value for key, value in options.items() if key not in keys}, comment
        case SetComment(text):
            return dict(options), text
    raise AssertionError(f"{statement.action} of a {statement.kind}")


def _alter_relation(statement: Alter, catalogs: CatalogManager, check: Check) -> None:
    if statement.if_exists and catalogs.find(statement.path) is None:
        return
    found = catalogs.resolve(statement.path)
    is_table = isinstance(found.relation, CatalogTable)
    if is_table != (statement.kind is ObjectKind.TABLE):
        kind = "table" if is_table else "view"
        raise CatalogError(f"{found.name} is a {kind}", f"Use ALTER {kind.upper()}.")
    if isinstance(statement.action, RenameTo):
        catalogs.rename(found.path, statement.action.path)
    elif isinstance(found.relation, CatalogView):
        assert isinstance(statement.action, SetQuery)
        view = replace(
            found.relation,
            query=statement.action.text,
            columns=(),
            catalog=catalogs.current_catalog,
            database=catalogs.current_database,
        )
        catalogs.alter(found.path, view)
    else:
        altered = _TableChange(statement, found.relation).altered()
        altered = checked(altered, statement.source, statement.position.offset)
        if isinstance(statement.action, AddColumns | ModifyColumns):
            check(altered, statement)
        catalogs.alter(found.path, altered)


class _TableChange:
    """One ALTER TABLE of one table."""

    def __init__(self, statement: Alter, table: CatalogTable) -> None:
        self._statement = statement
        self._table = table

    def altered(self) -> CatalogTable:
        table = self._table
        match self._statement.action:
            case SetOptions(given):
                return replace(table, options={**table.options, **dict(given)})
            case ResetOptions(keys):
                return replace(table, options={key: value for key, value in table.options.items() if key not in keys})
            case DropWatermark():
                self._require(table.watermark is not None, "the table has no watermark")
                return replace(table, watermark=None)
            case DropPrimaryKey():
                self._require(bool(table.primary_key), "the table has no primary key")
                return replace(table, primary_key=())
            case RenameColumn(old, new):
                return self._renamed(old, new)
            case DropColumns(names):
                return self._without(names)
            case AddColumns():
                return self._added(self._statement.action)
            case ModifyColumns():
                return self._modified(self._statement.action)
        raise AssertionError(f"{self._statement.action} of a table")

    def _require(self, holds: bool, message: str, hint: str = "") -> None:
        if not holds:
            raise SqlValidationError.at(self._statement.source, self._statement.position.offset, message, hint)

    def _require_column(self, name: str) -> None:
        near = nearest(name, list(self._table.names))
        hint = f"Did you mean {near}?" if near else f"The columns are {', '.join(self._table.names)}."
        self._require(name in self._table.names, f"the table has no column {name}", hint)

    def _require_unused(self, name: str, dropped: tuple[str, ...] = ()) -> None:
        """No computed column, watermark or key reads it, but for columns that are ``dropped`` with it."""
        for column in self._table.computed_columns():
            if column.name in dropped:
                continue
            self._require(
                not any(node.name == name for node in column.expression.find_all(exp.Column)),
                f"the computed column {column.name} reads {name}",
            )
        watermark = self._table.watermark
        if watermark is not None:
            reads = {node.name for node in watermark.expression.find_all(exp.Column)} | {watermark.column}
            self._require(name not in reads, f"the watermark reads {name}")
        self._require(name not in self._table.partition_keys, f"{name} is a partition key")

    def _renamed(self, old: str, new: str) -> CatalogTable:
        self._require_column(old)
        self._require(new not in self._table.names, f"the table has a column {new} already")
        self._require_unused(old)
        columns = tuple(replace(column, name=new) if column.name == old else column for column in self._table.columns)
        key = tuple(new if name == old else name for name in self._table.primary_key)
        return replace(self._table, columns=columns, primary_key=key)

    def _without(self, names: tuple[str, ...]) -> CatalogTable:
        for name in names:
            self._require_column(name)
            self._require_unused(name, names)
            self._require(name not in self._table.primary_key, f"{name} is part of the primary key")
        columns = tuple(column for column in self._table.columns if column.name not in names)
        self._require(bool(columns), "a table needs at least one column")
        return replace(self._table, columns=columns)

    def _added(self, action: AddColumns) -> CatalogTable:
        table = self._table
        self._require(not (action.watermark and table.watermark), "the table has a watermark", "MODIFY changes it.")
        self._require(
            not (action.primary_key and table.primary_key), "the table has a primary key", "MODIFY changes it."
        )
        columns = list(table.columns)
        for change in action.changes:
            name = change.column.name
            self._require(all(name != column.name for column in columns), f"the table has a column {name} already")
            self._place(columns, change, len(columns))
        return replace(
            table,
            columns=tuple(columns),
            watermark=action.watermark or table.watermark,
            primary_key=action.primary_key or table.primary_key,
        )

    def _modified(self, action: ModifyColumns) -> CatalogTable:
        table = self._table
        self._require(action.watermark is None or table.watermark is not None, "the table has no watermark", "ADD it.")
        self._require(not action.primary_key or bool(table.primary_key), "the table has no primary key", "ADD it.")
        columns = list(table.columns)
        for change in action.changes:
            self._require_column(change.column.name)
            at = next(at for at, column in enumerate(columns) if column.name == change.column.name)
            del columns[at]
            self._place(columns, change, at)
        return replace(
            table,
            columns=tuple(columns),
            watermark=action.watermark or table.watermark,
            primary_key=action.primary_key or table.primary_key,
        )

    def _place(self, columns: list[ColumnDefinition], change: ColumnChange, otherwise: int) -> None:
        at = 0 if change.first else otherwise
        if change.after:
            found = [at for at, column in enumerate(columns) if column.name == change.after]
            self._require(bool(found), f"the table has no column {change.after} to put one after")
            at = found[0] + 1
        columns.insert(at, change.column)
