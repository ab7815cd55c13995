"""The contract of catalogs, and the one in memory.

Names are case-sensitive, those of functions are kept in lower case. A catalog stores and finds; whether an object may
be created, replaced or dropped is decided by ``CatalogManager``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from millstream.sql.catalog.objects import CatalogDatabase, CatalogFunction, CatalogRelation


class Catalog(Protocol):
    """Databases with their relations (tables and views) and functions. Lists are sorted."""

    def databases(self) -> list[str]: ...

    def database(self, name: str) -> CatalogDatabase | None: ...

    def put_database(self, name: str, database: CatalogDatabase) -> None:
        """Create or replace it; what it holds stays."""
        ...

    def remove_database(self, name: str) -> None:
        """With all it holds."""
        ...

    def relations(self, database: str) -> list[str]: ...

    def relation(self, database: str, name: str) -> CatalogRelation | None: ...

    def put_relation(self, database: str, name: str, relation: CatalogRelation) -> None: ...

    def remove_relation(self, database: str, name: str) -> None: ...

    def functions(self, database: str) -> list[str]: ...

    def function(self, database: str, name: str) -> CatalogFunction | None: ...

    def put_function(self, database: str, name: str, function: CatalogFunction) -> None: ...

    def remove_function(self, database: str, name: str) -> None: ...


@dataclass
class _Contents:
    """Of one database."""

    database: CatalogDatabase
    relations: dict[str, CatalogRelation] = field(default_factory=dict)
    functions: dict[str, CatalogFunction] = field(default_factory=dict)


class MemoryCatalog:
    """Ends with the session."""

    def __init__(self, default_database: str) -> None:
        self._databases = {default_database: _Contents(CatalogDatabase())}

    def databases(self) -> list[str]:
        return sorted(self._databases)

    def database(self, name: str) -> CatalogDatabase | None:
        contents = self._databases.get(name)
        return contents.database if contents else None

    def put_database(self, name: str, database: CatalogDatabase) -> None:
        if name in self._databases:
            self._databases[name].database = database
        else:
            self._databases[name] = _Contents(database)

    def remove_database(self, name: str) -> None:
        del self._databases[name]

    def relations(self, database: str) -> list[str]:
        return sorted(self._databases[database].relations)

    def relation(self, database: str, name: str) -> CatalogRelation | None:
        contents = self._databases.get(database)
        return contents.relations.get(name) if contents else None

    def put_relation(self, database: str, name: str, relation: CatalogRelation) -> None:
        self._databases[database].relations[name] = relation

    def remove_relation(self, database: str, name: str) -> None:
        del self._databases[database].relations[name]

    def functions(self, database: str) -> list[str]:
        return sorted(self._databases[database].functions)

    def function(self, database: str, name: str) -> CatalogFunction | None:
        contents = self._databases.get(database)
        return contents.functions.get(name.lower()) if contents else None

    def put_function(self, database: str, name: str, function: CatalogFunction) -> None:
        self._databases[database].functions[name.lower()] = function

    def remove_function(self, database: str, name: str) -> None:
        del self._databases[database].functions[name.lower()]
