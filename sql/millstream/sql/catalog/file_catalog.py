"""A catalog in a directory, for people to read and version::

    <database>/database.json
    <database>/<table>.table.sql      CREATE TABLE
    <database>/<view>.view.json
    <database>/<function>.function.json

Each file is written whole. Several processes may use one directory; the last to write a name wins.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from millstream.core.errors import ExternalError
from millstream.sql.catalog.catalog_files import decoded, encoded, read_text, write_whole
from millstream.sql.catalog.ddl_text import create_table
from millstream.sql.catalog.objects import CatalogDatabase, CatalogFunction, CatalogRelation, CatalogTable, CatalogView
from millstream.sql.catalog.table_definition import table_of
from millstream.sql.parser import SqlError, parse_statement
from millstream.sql.parser.statements import CreateTable

_TABLE, _VIEW, _FUNCTION = ".table.sql", ".view.json", ".function.json"
_DATABASE = "database.json"


class FileCatalog:
    """Reads and writes the directory at every call, so that what others write is seen."""

    def __init__(self, directory: Path, default_database: str) -> None:
        self._directory = directory
        if self.database(default_database) is None:
            self.put_database(default_database, CatalogDatabase())

    def databases(self) -> list[str]:
        return sorted(decoded(path.parent.name) for path in self._directory.glob(f"*/{_DATABASE}"))

    def database(self, name: str) -> CatalogDatabase | None:
        found = _read_json(self._folder(name) / _DATABASE)
        return None if found is None else CatalogDatabase(found["options"], found["comment"])

    def put_database(self, name: str, database: CatalogDatabase) -> None:
        document = {"options": dict(database.options), "comment": database.comment}
        write_whole(self._folder(name) / _DATABASE, json.dumps(document, indent=2))

    def remove_database(self, name: str) -> None:
        folder = self._folder(name)
        (folder / _DATABASE).unlink(missing_ok=True)  # first: without it the rest is no database
        shutil.rmtree(folder, ignore_errors=True)

    def relations(self, database: str) -> list[str]:
        return sorted([*self._names(database, _TABLE), *self._names(database, _VIEW)])

    def relation(self, database: str, name: str) -> CatalogRelation | None:
        path = self._path(database, name, _TABLE)
        text = read_text(path)
        if text is not None:
            return _read_table(path, text)
        document = _read_json(self._path(database, name, _VIEW))
        return None if document is None else CatalogView(**{**document, "columns": tuple(document["columns"])})

    def put_relation(self, database: str, name: str, relation: CatalogRelation) -> None:
        if isinstance(relation, CatalogTable):
            write_whole(self._path(database, name, _TABLE), create_table((name,), relation) + ";\n")
        else:
            document = {
                "query": relation.query,
                "columns": list(relation.columns),
                "catalog": relation.catalog,
                "database": relation.database,
                "comment": relation.comment,
            }
            write_whole(self._path(database, name, _VIEW), json.dumps(document, indent=2))

    def remove_relation(self, database: str, name: str) -> None:
        for kind in (_TABLE, _VIEW):
            self._path(database, name, kind).unlink(missing_ok=True)

    def functions(self, database: str) -> list[str]:
        return self._names(database, _FUNCTION)

    def function(self, database: str, name: str) -> CatalogFunction | None:
        document = _read_json(self._path(database, name.lower(), _FUNCTION))
        return None if document is None else CatalogFunction(document["target"])

    def put_function(self, database: str, name: str, function: CatalogFunction) -> None:
        write_whole(self._path(database, name.lower(), _FUNCTION), json.dumps({"target": function.target}, indent=2))

    def remove_function(self, database: str, name: str) -> None:
        self._path(database, name.lower(), _FUNCTION).unlink(missing_ok=True)

    def _folder(self, database: str) -> Path:
        return self._directory / encoded(database)

    def _path(self, database: str, name: str, kind: str) -> Path:
        return self._folder(database) / (encoded(name) + kind)

    def _names(self, database: str, kind: str) -> list[str]:
        files = self._folder(database).glob(f"*{kind}")
        return sorted(decoded(path.name.removesuffix(kind)) for path in files if not path.name.startswith("."))


def _read_json(path: Path) -> dict[str, Any] | None:
    text = read_text(path)
    if text is None:
        return None
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise ExternalError(f"{path} of a catalog is not JSON: {error}. Repair or remove the file.") from error
    return document


def _read_table(path: Path, text: str) -> CatalogTable:
    try:
        statement = parse_statement(text)
    except SqlError as error:
        raise ExternalError(f"{path} of a catalog does not parse: {error}") from error
    if not isinstance(statement, CreateTable):
        raise ExternalError(f"{path} of a catalog holds no CREATE TABLE. Repair or remove the file.")
    return table_of(statement, defined_at=str(path))
