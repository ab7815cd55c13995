"""The contract of table connectors: what ``WITH ('connector' = '...')`` names.

A connector is a class with an identifier, found through the entry points of the group ``millstream.table_connectors``
(``millstream.connectors.table_factories`` reads them; ours are registered the same way as anybody's). It turns the
description of a table into a source or a sink of the core contracts. Sources emit ``ArrowBatch`` with the columns that
the query needs; sinks take ``ArrowBatch`` whose row kinds are those of the changelog mode they accepted.

The planner calls, in the client: ``connector.source(description, pushdown)``, or ``accepted_changelog`` and then
``sink``. Both check the options first, so that a wrong one is reported before anything runs.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import pyarrow as pa

from millstream.core.api.sink import Sink
from millstream.core.api.source import Source
from millstream.core.elements.batch import RowKind
from millstream.core.errors import ConfigError
from millstream.core.table.lookups import LookupFunction
from millstream.core.table.table_options import TableOption, TableOptions

ChangelogMode = frozenset[RowKind]
"""The row kinds that may occur. Batches without row kinds are all inserts."""

INSERT_ONLY: Final[ChangelogMode] = frozenset({RowKind.INSERT})
UPSERT: Final[ChangelogMode] = frozenset({RowKind.INSERT, RowKind.UPDATE_AFTER, RowKind.DELETE})
ALL_CHANGES: Final[ChangelogMode] = frozenset(RowKind)


@dataclass(frozen=True)
class TableDescription:
    """A table as its DDL describes it.

    ``schema``: the physical columns, without computed and metadata ones. ``options``: those of WITH, among them
    ``connector``. ``defined_at``: where the DDL stands, for messages (``script.sql:12``); may be empty.
    """

    name: str
    schema: pa.Schema
    options: Mapping[str, str]
    partition_keys: tuple[str, ...] = ()
    primary_key: tuple[str, ...] = ()
    defined_at: str = ""

    @property
    def place(self) -> str:
        """How messages name the table."""
        return f"table {self.name!r}" + (f" ({self.defined_at})" if self.defined_at else "")


@dataclass(frozen=True)
class Filter:
    """A comparison that all rows of interest pass.

    ``column`` may be a dotted path; ``op`` is one of ``= <> < <= > >= IN IS_NULL IS_NOT_NULL``; ``literal`` a Python
    value, a tuple for ``IN``, None for the last two.
    """

    column: str
    op: str
    literal: Any = None


@dataclass(frozen=True)
class Pushdown:
    """What the query leaves out. A source may ignore ``filters`` and ``limit``, never ``projection``.

    ``projection``: the columns wanted, in order; None for all. A nested leaf is named by its dotted path
    (``bid.price``) and becomes a column of that name. ``limit``: of the rows that pass the filters, so many will do.
    """

    projection: tuple[str, ...] | None = None
    filters: tuple[Filter, ...] = ()
    limit: int | None = None

    def limit_without(self, accepted: tuple[Filter, ...] = ()) -> int | None:
        """The limit, for a source that applies the filters ``accepted`` alone: None when the query applies others."""
        return self.limit if set(self.filters) <= set(accepted) else None


@dataclass(frozen=True)
class TableSource:
    """A source for one query.

    ``schema``: of the batches it emits, in the order of the projection. ``accepted_filters``: those of the push-down
    that it applies in full; the query applies the others. ``metadata``: columns that METADATA FROM may name, which a
    projection may then contain. ``parallelism``: what ``scan.parallelism`` asks for.
    """

    source: Source[Any]
    schema: pa.Schema
    bounded: bool
    accepted_filters: tuple[Filter, ...] = ()
    metadata: Mapping[str, pa.DataType] = field(default_factory=dict)
    changelog: ChangelogMode = INSERT_ONLY
    parallelism: int | None = None


class TableConnector(ABC):
    """One kind of table. Stateless; made once a process."""

    identifier: ClassVar[str]
    required_options: ClassVar[Mapping[str, TableOption]] = {}
    optional_options: ClassVar[Mapping[str, TableOption]] = {}
    """By name. In a name, ``#`` stands for a column or a dotted path into one, and a final ``*`` for anything."""

    def source(self, description: TableDescription, pushdown: Pushdown) -> TableSource:
        """Raises ``ConfigError`` for wrong options, naming the option, its value and what is allowed; and for a
        connector that cannot be read."""
        return self.open_source(description, self.options(description), pushdown)

    def lookup(
        self, description: TableDescription, keys: tuple[str, ...], projection: tuple[str, ...]
    ) -> LookupFunction | None:
        """Rows by the values of ``keys``, with the columns of ``projection`` (``keys`` among them); None for a
        connector that cannot be looked up, which is the default. Raises ``ConfigError`` like ``source``."""
        return None

    def sink(self, description: TableDescription, changelog_mode: ChangelogMode = INSERT_ONLY) -> Sink:
        """``changelog_mode``: what ``accepted_changelog`` returned. Raises ``ConfigError`` like ``source``."""
        return self.open_sink(description, self.options(description), changelog_mode)

    def accepted_changelog(self, description: TableDescription, requested: ChangelogMode) -> ChangelogMode:
        """Of the kinds that the query produces, or of fewer, those that the sink takes; inserts alone by default."""
        return INSERT_ONLY

    def sink_parallelism(self, description: TableDescription) -> int | None:
        """What ``sink.parallelism`` asks for."""
        options = self.options(description)
        return options.get("sink.parallelism") if "sink.parallelism" in self.optional_options else None

    def options(self, description: TableDescription) -> TableOptions:
        """The checked options of the table."""
        return TableOptions(
            f"{description.place}, connector {self.identifier!r}",
            description.options,
            self.required_options,
            self.optional_options,
            tuple(description.schema.names),
        )

    def open_source(self, description: TableDescription, options: TableOptions, pushdown: Pushdown) -> TableSource:
        """``source`` after the options were checked; a connector that can be read has this method of its own."""
        raise ConfigError(f"{description.place}: connector {self.identifier!r} only writes. SELECT from another table.")

    def open_sink(self, description: TableDescription, options: TableOptions, changelog_mode: ChangelogMode) -> Sink:
        """``sink`` after the options were checked; a connector that can be written has this method of its own."""
        raise ConfigError(f"{description.place}: connector {self.identifier!r} only reads. INSERT INTO another table.")


def projected_schema(schema: pa.Schema, projection: tuple[str, ...] | None, place: str) -> pa.Schema:
    """The columns of ``projection`` (dotted paths allowed), each named as it was asked for.

    Raises ``ConfigError`` for a path that ``schema`` does not have.
    """
    if projection is None:
        return schema
    return pa.schema([pa.field(path, _type_at(schema, path, place)) for path in projection])


def _type_at(schema: pa.Schema, path: str, place: str) -> pa.DataType:
    if path in schema.names:
        return schema.field(path).type
    first, *rest = path.split(".")
    kind = schema.field(first).type if first in schema.names else None
    for name in rest:
        index = kind.get_field_index(name) if kind is not None and pa.types.is_struct(kind) else -1
        kind = kind.field(index).type if kind is not None and index >= 0 else None
    if kind is None:
        raise ConfigError(f"{place} has no column {path!r}. Its columns are {', '.join(schema.names)}.")
    return kind
