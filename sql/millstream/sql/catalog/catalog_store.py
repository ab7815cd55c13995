"""Where the definitions of catalogs are kept: for the session, or in files for the next one.

``table.catalog-store.kind`` decides. What a catalog holds is its own business; this is about which catalogs there are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from millstream.core.config import Configuration, options
from millstream.core.config.configuration import nearest
from millstream.core.errors import ConfigError, ExternalError
from millstream.sql.catalog.catalog import Catalog, MemoryCatalog
from millstream.sql.catalog.catalog_files import decoded, encoded, read_text, write_whole
from millstream.sql.catalog.file_catalog import FileCatalog
from millstream.sql.catalog.objects import CatalogDescriptor

CATALOG_TYPES = ("generic_in_memory", "file")
DEFAULT_DATABASE_OPTION = "default-database"
_SUFFIX = ".catalog.json"


class CatalogStore(Protocol):
    """Definitions by name."""

    def names(self) -> list[str]: ...

    def descriptor(self, name: str) -> CatalogDescriptor | None: ...

    def put(self, name: str, descriptor: CatalogDescriptor) -> None: ...

    def remove(self, name: str) -> None: ...


class MemoryCatalogStore:
    """Forgets with the session."""

    def __init__(self) -> None:
        self._descriptors: dict[str, CatalogDescriptor] = {}

    def names(self) -> list[str]:
        return sorted(self._descriptors)

    def descriptor(self, name: str) -> CatalogDescriptor | None:
        return self._descriptors.get(name)

    def put(self, name: str, descriptor: CatalogDescriptor) -> None:
        self._descriptors[name] = descriptor

    def remove(self, name: str) -> None:
        del self._descriptors[name]


class FileCatalogStore:
    """One JSON file a catalog in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def names(self) -> list[str]:
        files = self._directory.glob(f"*{_SUFFIX}")
        return sorted(decoded(path.name.removesuffix(_SUFFIX)) for path in files if not path.name.startswith("."))

    def descriptor(self, name: str) -> CatalogDescriptor | None:
        path = self._path(name)
        text = read_text(path)
        if text is None:
            return None
        try:
            document = json.loads(text)
            return CatalogDescriptor(document["options"], document["comment"])
        except (ValueError, KeyError) as error:
            raise ExternalError(f"{path} of the catalog store does not read: {error}. Repair or remove it.") from error

    def put(self, name: str, descriptor: CatalogDescriptor) -> None:
        document = {"options": dict(descriptor.options), "comment": descriptor.comment}
        write_whole(self._path(name), json.dumps(document, indent=2))

    def remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._directory / (encoded(name) + _SUFFIX)


def open_store(configuration: Configuration) -> CatalogStore:
    """The store that the settings name. Raises ``ConfigError`` if one in files has no directory."""
    if configuration[options.TABLE_CATALOG_STORE_KIND] != "file":
        return MemoryCatalogStore()
    directory = configuration[options.TABLE_CATALOG_STORE_PATH]
    if directory is None:
        raise ConfigError(
            f"{options.TABLE_CATALOG_STORE_KIND.key} is file, but {options.TABLE_CATALOG_STORE_PATH.key} names no "
            "directory."
        )
    return FileCatalogStore(directory)


def open_catalog(name: str, descriptor: CatalogDescriptor) -> Catalog:
    """The catalog that the descriptor describes. Raises ``ConfigError`` for what it cannot be made of."""
    given = dict(descriptor.options)
    kind = given.pop("type", None)
    database = given.pop(DEFAULT_DATABASE_OPTION, "default")
    path = given.pop("path", None) if kind == "file" else None
    if kind not in CATALOG_TYPES:
        near = nearest(kind or "", list(CATALOG_TYPES))
        hint = f"Did you mean '{near}'? " if near else ""
        reason = f"catalog {name!r} has the unknown type {kind!r}" if kind else f"catalog {name!r} has no option 'type'"
        raise ConfigError(f"{reason}. {hint}Types are {', '.join(CATALOG_TYPES)}.")
    if given:
        raise ConfigError(
            f"catalog {name!r} of type {kind!r} has no option {next(iter(given))!r}; it has 'default-database'"
            + (" and 'path'." if kind == "file" else ".")
        )
    if kind == "generic_in_memory":
        return MemoryCatalog(database)
    if path is None:
        raise ConfigError(f"catalog {name!r} of type 'file' needs the option 'path', a directory.")
    return FileCatalog(Path(path).expanduser().absolute(), database)


def default_database(descriptor: CatalogDescriptor) -> str:
    return descriptor.options.get(DEFAULT_DATABASE_OPTION, "default")
