"""What a table environment does with names: tables, views, functions, databases, catalogs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from millstream.datastream.call_site import call_site, refuse
from millstream.sql.catalog.catalog_manager import CatalogManager
from millstream.sql.catalog.objects import CatalogFunction, CatalogTable, ProgramView
from millstream.sql.plan.nodes import Node
from millstream.table.binding import placed, services_of
from millstream.table.paths import path_of
from millstream.table.table_descriptor import TableDescriptor
from millstream.table.user_functions import as_user_function

if TYPE_CHECKING:
    from millstream.sql.session.sql_session import SqlSession
    from millstream.table.table import Table

_OF_THE_PROGRAM = "a table of the program"


class CatalogMethods:
    """Mixed into ``TableEnvironment``. All raise ``JobGraphError`` with the user's line for names that are wrong."""

    _session: SqlSession

    def __init__(self, catalogs: CatalogManager) -> None:
        self._catalogs = catalogs

    # -- tables and views ---------------------------------------------------------------------------------------------

    def create_temporary_view(self, view_path: str, table: Table) -> None:
        """Give a table of the program a name for SQL; it ends with the environment."""
        self._put_view(path_of(view_path, "create_temporary_view"), self._node_of(table, "create_temporary_view"))

    def create_view(self, view_path: str, table: Table, ignore_if_exists: bool = False) -> bool:
        """The same: a table of the program cannot outlive it. False if one was there and may stay."""
        path, node = path_of(view_path, "create_view"), self._node_of(table, "create_view")
        return self._put_view(path, node, if_not_exists=ignore_if_exists)

    def create_temporary_table(self, path: str, descriptor: TableDescriptor, ignore_if_exists: bool = False) -> bool:
        """A table that ends with the environment. False if one was there and may stay."""
        return self._put_table(path, descriptor, ignore_if_exists, temporary=True)

    def create_table(self, path: str, descriptor: TableDescriptor, ignore_if_exists: bool = False) -> bool:
        """A table of the catalog. False if one was there and may stay."""
        return self._put_table(path, descriptor, ignore_if_exists, temporary=False)

    def drop_temporary_view(self, view_path: str) -> bool:
        """Whether there was one."""
        return self._drop(view_path, tables=False, temporary=True)

    def drop_view(self, view_path: str, ignore_if_not_exists: bool = True) -> bool:
        return self._drop(view_path, tables=False, temporary=False, required=not ignore_if_not_exists)

    def drop_temporary_table(self, table_path: str) -> bool:
        """Whether there was one."""
        return self._drop(table_path, tables=True, temporary=True)

    def drop_table(self, table_path: str, ignore_if_not_exists: bool = True) -> bool:
        return self._drop(table_path, tables=True, temporary=False, required=not ignore_if_not_exists)

    def list_tables(self, catalog_name: str | None = None, database_name: str | None = None) -> list[str]:
        """Tables and views of a database, by default the current one."""
        return placed(lambda: self._catalogs.relations(*self._database(catalog_name, database_name)))

    def list_views(self) -> list[str]:
        return placed(lambda: self._catalogs.views(*self._database()))

    def list_temporary_tables(self) -> list[str]:
        """Temporary tables and views."""
        return [name for name in self.list_tables() if self._is_temporary(name)]

    def list_temporary_views(self) -> list[str]:
        return [name for name in self.list_views() if self._is_temporary(name)]

    # -- functions ----------------------------------------------------------------------------------------------------

    def create_temporary_system_function(self, name: str, function: Any) -> None:
        """A function that SQL and ``call`` find by ``name`` everywhere; it goes before built-in ones."""
        found = _function(name, function)
        placed(lambda: self._catalogs.put_function((name,), found, temporary=True, system=True))

    def create_temporary_function(self, path: str, function: Any) -> None:
        """A function of a database; it ends with the environment."""
        parts = path_of(path, "create_temporary_function")
        found = _function(parts[-1], function)
        placed(lambda: self._catalogs.put_function(parts, found, temporary=True))

    register_function = create_temporary_system_function

    def drop_temporary_system_function(self, name: str) -> bool:
        """Whether there was one."""
        return self._drop_function((name,), temporary=True, system=True)

    def drop_temporary_function(self, path: str) -> bool:
        """Whether there was one."""
        return self._drop_function(path_of(path, "drop_temporary_function"), temporary=True, system=False)

    def drop_function(self, path: str) -> bool:
        """Whether there was one."""
        return self._drop_function(path_of(path, "drop_function"), temporary=False, system=False)

    def list_user_defined_functions(self) -> list[str]:
        return placed(lambda: self._catalogs.functions(*self._database()))

    def list_functions(self) -> list[str]:
        """Built-in ones and those of users."""
        runner = self._session.runner
        built_in = [name.lower() for name in runner.built_in_functions()] if runner is not None else []
        return sorted({*built_in, *self.list_user_defined_functions()})

    # -- catalogs and databases ---------------------------------------------------------------------------------------

    def use_catalog(self, catalog_name: str) -> None:
        placed(lambda: self._catalogs.use_catalog(catalog_name))

    def use_database(self, database_name: str) -> None:
        placed(lambda: self._catalogs.use_database(path_of(database_name, "use_database")))

    def get_current_catalog(self) -> str:
        return self._catalogs.current_catalog

    def get_current_database(self) -> str:
        return self._catalogs.current_database

    def list_catalogs(self) -> list[str]:
        return self._catalogs.catalogs()

    def list_databases(self) -> list[str]:
        """Those of the current catalog."""
        return placed(lambda: list(self._catalogs.catalog(self._catalogs.current_catalog).databases()))

    # -- inner --------------------------------------------------------------------------------------------------------

    def _relation(self, path: str) -> Node:
        parts = path_of(path, "from_path")
        services = services_of(self._session)
        return placed(lambda: services.table(parts, exp.null(), {}))

    def _put_view(
        self, path: tuple[str, ...], node: Node, *, if_not_exists: bool = False, temporary: bool = True
    ) -> bool:
        view = ProgramView(_OF_THE_PROGRAM, defined_at=call_site(), node=node)
        return placed(lambda: self._catalogs.put(path, view, temporary=temporary, if_not_exists=if_not_exists))

    def _put_table(self, path: str, descriptor: TableDescriptor, ignore: bool, *, temporary: bool) -> bool:
        if not isinstance(descriptor, TableDescriptor):
            raise refuse(f"a table is created of a TableDescriptor, not of {descriptor!r:.60}.")
        parts = path_of(path, "create_table")
        table = placed(descriptor.catalog_table)
        return placed(lambda: self._catalogs.put(parts, table, temporary=temporary, if_not_exists=ignore))

    def _drop(self, path: str, *, tables: bool, temporary: bool, required: bool = False) -> bool:
        parts = path_of(path, "drop")
        found = self._catalogs.find(parts)
        there = (
            found is not None
            and isinstance(found.relation, CatalogTable) == tables
            and (found.temporary or not temporary)
        )
        if there or required:
            placed(lambda: self._catalogs.drop(parts, tables=tables, temporary=temporary, if_exists=False))
        return there

    def _drop_function(self, path: tuple[str, ...], *, temporary: bool, system: bool) -> bool:
        before = self.list_user_defined_functions()
        placed(lambda: self._catalogs.drop_function(path, temporary=temporary, system=system, if_exists=True))
        return self.list_user_defined_functions() != before

    def _is_temporary(self, name: str) -> bool:
        found = self._catalogs.find((*self._database(), name))
        return found is not None and found.temporary

    def _database(self, catalog: str | None = None, database: str | None = None) -> tuple[str, str]:
        return catalog or self._catalogs.current_catalog, database or self._catalogs.current_database

    def _node_of(self, table: Table, method: str) -> Node:
        from millstream.table.table import Table

        if not isinstance(table, Table):
            raise refuse(f"{method} takes a Table, not {table!r:.60}.")
        if table._environment._session is not self._session:
            raise refuse(f"{method}: the table belongs to another environment.")
        return table._node


def _function(name: str, given: Any) -> CatalogFunction:
    found = as_user_function(name, given)
    return CatalogFunction(f"a function of the program ({call_site()})", function=found)
