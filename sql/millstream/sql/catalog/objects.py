"""What a catalog holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from millstream.sql.parser.statements import (
    ColumnDefinition,
    ComputedColumn,
    Distribution,
    Watermark,
)


@dataclass(frozen=True)
class CatalogTable:
    """A table as its DDL defines it."""

    columns: tuple[ColumnDefinition, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    watermark: Watermark | None = None
    primary_key: tuple[str, ...] = ()
    partition_keys: tuple[str, ...] = ()
    distribution: Distribution | None = None
    comment: str = ""
    defined_at: str = field(default="", compare=False)
    """Where the DDL stands, for messages (``script.sql:12``); may be empty."""
    source: str = field(default="", repr=False, compare=False)
    """The text that the expressions of ``columns`` and ``watermark`` were parsed from."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of all columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> ColumnDefinition | None:
        return next((column for column in self.columns if column.name == name), None)

    def computed_columns(self) -> tuple[ComputedColumn, ...]:
        return tuple(column for column in self.columns if isinstance(column, ComputedColumn))


@dataclass(frozen=True)
class CatalogView:
    """A query with a name. Its names resolve in the catalog and database that were current when it was made."""

    query: str
    columns: tuple[str, ...] = ()
    """Names given to the columns; empty: those of the query."""
    catalog: str = ""
    database: str = ""
    comment: str = ""
    defined_at: str = field(default="", compare=False)


@dataclass(frozen=True)
class ProgramView(CatalogView):
    """A table of a program with a name. ``query`` says so to whoever asks for its DDL."""

    node: Any = field(default=None, compare=False, repr=False)
    """The relation, a ``millstream.sql.plan.nodes.Node``."""


CatalogRelation = CatalogTable | CatalogView


@dataclass(frozen=True)
class CatalogFunction:
    """A Python function."""

    target: str
    """``module.attribute``."""
    function: Any = field(default=None, compare=False, repr=False)
    """The function itself, of a program that registered it; then ``target`` only describes it."""


@dataclass(frozen=True)
class CatalogDatabase:
    """Tables and functions of a catalog that belong together."""

    options: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""


@dataclass(frozen=True)
class CatalogDescriptor:
    """What ``CREATE CATALOG`` says: the option ``type`` decides what is made of it."""

    options: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
