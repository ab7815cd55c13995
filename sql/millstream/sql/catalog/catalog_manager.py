"""All catalogs of a session, what is current, temporary objects, and the resolution of names.

A temporary table or view hides the permanent one of the same path until it is dropped. Errors are ``CatalogError``:
the session adds the place in the SQL text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from millstream.core.config import Configuration, options
from millstream.core.config.configuration import nearest
from millstream.core.errors import UserError
from millstream.sql.catalog.catalog import Catalog, MemoryCatalog
from millstream.sql.catalog.catalog_store import CatalogStore, default_database, open_catalog, open_store
from millstream.sql.catalog.objects import (
    CatalogDatabase,
    CatalogDescriptor,
    CatalogFunction,
    CatalogRelation,
    CatalogTable,
)

ObjectPath = tuple[str, ...]
FullPath = tuple[str, str, str]


class CatalogError(UserError):
    """A name that does not exist, exists already, or may not be used so; ``hint`` offers what was meant."""

    def __init__(self, reason: str, hint: str = "") -> None:
        self.reason = reason
        self.hint = hint
        super().__init__(f"{reason}. {hint}".rstrip(" "))


@dataclass(frozen=True)
class ResolvedRelation:
    """A table or view with its whole path."""

    path: FullPath
    relation: CatalogRelation
    temporary: bool = False

    @property
    def name(self) -> str:
        return ".".join(self.path)


class CatalogManager:
    """Not thread-safe; one a session."""

    def __init__(self, configuration: Configuration, store: CatalogStore | None = None) -> None:
        self._store = store or open_store(configuration)
        self.builtin_catalog = configuration[options.TABLE_BUILTIN_CATALOG]
        self._builtin_database = configuration[options.TABLE_BUILTIN_DATABASE]
        self._open: dict[str, Catalog] = {self.builtin_catalog: MemoryCatalog(self._builtin_database)}
        self._temporary_relations: dict[FullPath, CatalogRelation] = {}
        self._temporary_functions: dict[FullPath, CatalogFunction] = {}
        self._system_functions: dict[str, CatalogFunction] = {}
        self.current_catalog = self.builtin_catalog
        self.current_database = self._builtin_database

    # -- catalogs and databases ---------------------------------------------------------------------------------------

    def catalogs(self) -> list[str]:
        return sorted({*self._open, *self._store.names()})

    def catalog(self, name: str) -> Catalog:
        """Opens it if it is only known to the store. Raises ``CatalogError`` if there is none."""
        if name not in self._open:
            self._open[name] = open_catalog(name, self.catalog_descriptor(name))
        return self._open[name]

    def catalog_descriptor(self, name: str) -> CatalogDescriptor:
        if name == self.builtin_catalog:
            return CatalogDescriptor({"type": "generic_in_memory", "default-database": self._builtin_database})
        descriptor = self._store.descriptor(name)
        if descriptor is None:
            raise _unknown("catalog", name, self.catalogs())
        return descriptor

    def create_catalog(self, name: str, descriptor: CatalogDescriptor, *, if_not_exists: bool = False) -> None:
        """Raises ``CatalogError`` if it exists, ``ConfigError`` for options it cannot have."""
        if name in self.catalogs():
            if if_not_exists:
                return
            raise CatalogError(f"a catalog {name} exists already")
        self._open[name] = open_catalog(name, descriptor)
        self._store.put(name, descriptor)

    def drop_catalog(self, name: str, *, if_exists: bool = False) -> None:
        """Forgets it; what a catalog in files holds stays there."""
        if name not in self.catalogs():
            if if_exists:
                return
            raise _unknown("catalog", name, self.catalogs())
        if name in (self.current_catalog, self.builtin_catalog):
            why = "current" if name == self.current_catalog else "the built-in one"
            raise CatalogError(f"the catalog {name} is {why} and cannot be dropped")
        self._open.pop(name, None)
        self._store.remove(name)

    def alter_catalog(self, name: str, descriptor: CatalogDescriptor) -> None:
        """Other options or another comment; it is opened anew."""
        if name == self.builtin_catalog:
            raise CatalogError(f"the catalog {name} is the built-in one and cannot be altered")
        self.catalog_descriptor(name)
        self._open[name] = open_catalog(name, descriptor)
        self._store.put(name, descriptor)

    def use_catalog(self, name: str) -> None:
        """Make it current, with its default database."""
        self.catalog(name)
        self.current_catalog = name
        self.current_database = default_database(self.catalog_descriptor(name))

    def use_database(self, path: ObjectPath) -> None:
        catalog, database = self.database_path(path)
        self.current_catalog, self.current_database = catalog, database

    def database_path(self, path: ObjectPath) -> tuple[str, str]:
        """``(catalog, database)`` of an existing database; the current one for an empty path."""
        if not path:
            return self.current_catalog, self.current_database
        if len(path) > 2:
            raise CatalogError(f"{'.'.join(path)} is no path of a database", "It is catalog.database or database.")
        catalog, database = (self.current_catalog, *path) if len(path) == 1 else path
        opened = self.catalog(catalog)
        if opened.database(database) is None:
            raise _unknown("database", database, opened.databases(), f" in the catalog {catalog}")
        return catalog, database

    def create_database(self, path: ObjectPath, database: CatalogDatabase, *, if_not_exists: bool = False) -> None:
        catalog, name = (self.current_catalog, *path) if len(path) == 1 else path[-2:]
        opened = self.catalog(catalog)
        if opened.database(name) is not None:
            if if_not_exists:
                return
            raise CatalogError(f"a database {name} exists already in the catalog {catalog}")
        opened.put_database(name, database)

    def alter_database(self, path: ObjectPath, database: CatalogDatabase) -> None:
        catalog, name = self.database_path(path)
        self.catalog(catalog).put_database(name, database)

    def drop_database(self, path: ObjectPath, *, if_exists: bool = False, cascade: bool = False) -> None:
        try:
            catalog, name = self.database_path(path)
        except CatalogError:
            if if_exists:
                return
            raise
        opened = self.catalog(catalog)
        held = len(opened.relations(name)) + len(opened.functions(name))
        if (catalog, name) == (self.current_catalog, self.current_database):
            raise CatalogError(f"the database {name} is current and cannot be dropped", "USE another one first.")
        if held and not cascade:
            raise CatalogError(f"the database {name} holds {held} objects", "DROP DATABASE ... CASCADE drops them too.")
        opened.remove_database(name)

    # -- tables and views ---------------------------------------------------------------------------------------------

    def qualify(self, path: ObjectPath) -> FullPath:
        """The whole path of an object in an existing database."""
        catalog, database = self.database_path(path[:-1])
        return catalog, database, path[-1]

    def find(self, path: ObjectPath) -> ResolvedRelation | None:
        """The table or view of that name, a temporary one first; None if there is none."""
        try:
            full = self.qualify(path)
        except CatalogError:
            return None
        temporary = self._temporary_relations.get(full)
        if temporary is not None:
            return ResolvedRelation(full, temporary, temporary=True)
        found = self.catalog(full[0]).relation(full[1], full[2])
        return None if found is None else ResolvedRelation(full, found)

    def resolve(self, path: ObjectPath) -> ResolvedRelation:
        """``find``, or ``CatalogError`` that offers the nearest name."""
        catalog, database, name = self.qualify(path)
        found = self.find(path)
        if found is None:
            raise _unknown("table or view", name, self.relations(catalog, database), f" in {catalog}.{database}")
        return found

    def relations(self, catalog: str, database: str) -> list[str]:
        """Names of tables and views, temporary ones too."""
        temporary = {path[2] for path in self._temporary_relations if path[:2] == (catalog, database)}
        return sorted(temporary.union(self.catalog(catalog).relations(database)))

    def tables(self, catalog: str, database: str) -> list[str]:
        return self._of_kind(catalog, database, tables=True)

    def views(self, catalog: str, database: str) -> list[str]:
        return self._of_kind(catalog, database, tables=False)

    def _of_kind(self, catalog: str, database: str, *, tables: bool) -> list[str]:
        resolved = ((name, self.find((catalog, database, name))) for name in self.relations(catalog, database))
        return [name for name, found in resolved if found and isinstance(found.relation, CatalogTable) == tables]

    def put(
        self,
        path: ObjectPath,
        relation: CatalogRelation,
        *,
        temporary: bool = False,
        if_not_exists: bool = False,
        replace_existing: bool = False,
    ) -> bool:
        """Create a table or view. False if one was there and may stay. Raises ``CatalogError`` if one was there."""
        full = self.qualify(path)
        catalog, database, name = full
        there = full in self._temporary_relations if temporary else self._permanent(full) is not None
        if there and if_not_exists:
            return False
        if there and not replace_existing:
            kind = "temporary table or view" if temporary else "table or view"
            raise CatalogError(f"a {kind} {'.'.join(full)} exists already")
        if temporary:
            self._temporary_relations[full] = relation
        else:
            self.catalog(catalog).put_relation(database, name, relation)
        return True

    def alter(self, path: ObjectPath, relation: CatalogRelation) -> None:
        """Another definition for what ``resolve`` finds."""
        found = self.resolve(path)
        self.put(found.path, relation, temporary=found.temporary, replace_existing=True)

    def rename(self, path: ObjectPath, new: ObjectPath) -> None:
        """Within a catalog."""
        found = self.resolve(path)
        target = self.qualify(new if len(new) > 1 else (*found.path[:2], *new))
        if target[0] != found.path[0]:
            raise CatalogError(f"{found.name} cannot move to another catalog")
        self.put(target, found.relation, temporary=found.temporary)
        self._remove(found)

    def drop(self, path: ObjectPath, *, tables: bool, temporary: bool, if_exists: bool) -> None:
        """A table (``tables``) or a view. One that a temporary one hides cannot be dropped before that."""
        kind = "table" if tables else "view"
        found = self.find(path)
        if found is None or (temporary and not found.temporary):
            if if_exists:
                return
            catalog, database, name = self.qualify(path)
            known = self._of_kind(catalog, database, tables=tables)
            raise _unknown(f"{'temporary ' if temporary else ''}{kind}", name, known, f" in {catalog}.{database}")
        if isinstance(found.relation, CatalogTable) != tables:
            other = "view" if tables else "table"
            raise CatalogError(f"{found.name} is a {other}", f"Use DROP {other.upper()}.")
        if found.temporary and not temporary:
            raise CatalogError(f"a temporary {kind} {found.name} exists", f"DROP TEMPORARY {kind.upper()} it first.")
        self._remove(found)

    def _permanent(self, full: FullPath) -> CatalogRelation | None:
        return self.catalog(full[0]).relation(full[1], full[2])

    def _remove(self, found: ResolvedRelation) -> None:
        if found.temporary:
            del self._temporary_relations[found.path]
        else:
            self.catalog(found.path[0]).remove_relation(found.path[1], found.path[2])

    # -- functions ----------------------------------------------------------------------------------------------------

    def system_function(self, name: str) -> CatalogFunction | None:
        """A temporary system function; it goes before the built-in one of that name."""
        return self._system_functions.get(name.lower())

    def function(self, path: ObjectPath) -> CatalogFunction | None:
        """A function of a catalog, a temporary one first; it goes after built-in ones unless its path is given."""
        try:
            catalog, database, name = self.qualify(path)
        except CatalogError:
            return None
        temporary = self._temporary_functions.get((catalog, database, name.lower()))
        return temporary or self.catalog(catalog).function(database, name)

    def functions(self, catalog: str, database: str) -> list[str]:
        """Names of the users' functions that can be called there without a path."""
        temporary = (path[2] for path in self._temporary_functions if path[:2] == (catalog, database))
        return sorted({*self._system_functions, *temporary, *self.catalog(catalog).functions(database)})

    def put_function(
        self,
        path: ObjectPath,
        function: CatalogFunction,
        *,
        temporary: bool = False,
        system: bool = False,
        if_not_exists: bool = False,
        replace_existing: bool = False,
    ) -> None:
        """Raises ``CatalogError`` if one is there."""
        full = self._function_path(path, system)
        there = self._get_function(full, temporary, system) is not None
        if there and if_not_exists:
            return
        if there != replace_existing:
            reason = f"a function {path[-1]} exists already" if there else f"there is no function {path[-1]}"
            raise CatalogError(reason)
        if system:
            self._system_functions[full[2]] = function
        elif temporary:
            self._temporary_functions[full] = function
        else:
            self.catalog(full[0]).put_function(full[1], full[2], function)

    def drop_function(self, path: ObjectPath, *, temporary: bool, system: bool, if_exists: bool) -> None:
        full = self._function_path(path, system)
        if self._get_function(full, temporary, system) is None:
            if if_exists:
                return
            raise _unknown("function", path[-1], self.functions(self.current_catalog, self.current_database))
        if system:
            del self._system_functions[full[2]]
        elif temporary:
            del self._temporary_functions[full]
        else:
            self.catalog(full[0]).remove_function(full[1], full[2])

    def _function_path(self, path: ObjectPath, system: bool) -> FullPath:
        if system and len(path) > 1:
            raise CatalogError(f"a system function has no path, {'.'.join(path)} has one")
        catalog, database, name = self.qualify(path)
        return catalog, database, name.lower()

    def _get_function(self, full: FullPath, temporary: bool, system: bool) -> CatalogFunction | None:
        if system:
            return self._system_functions.get(full[2])
        if temporary:
            return self._temporary_functions.get(full)
        return self.catalog(full[0]).function(full[1], full[2])


def _unknown(kind: str, name: str, known: Iterable[str], where: str = "") -> CatalogError:
    """There is no such object; offers the nearest name, or the names there are."""
    names = list(known)
    near = nearest(name, names)
    if near:
        hint = f"Did you mean {near}?"
    elif names:
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        hint = f"There {'is' if len(names) == 1 else 'are'} {shown}."
    else:
        hint = "There is none."
    return CatalogError(f"unknown {kind} {name}{where}", hint)
