"""Tables of the catalog as relations, and as the ends of INSERT."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from sqlglot import exp

from millstream.connectors.table_factories import connector_of
from millstream.core.elements.batch import RowKind
from millstream.core.table import logical_types as lt
from millstream.core.table.connectors import Filter, Pushdown, TableConnector, TableDescription, TableSource
from millstream.core.table.expressions import Expression, InputRef
from millstream.core.table.lookups import LookupFunction
from millstream.core.table.row_type import Column, RowType, TimeAttribute
from millstream.sql.binder.columns import project
from millstream.sql.errors import query_error
from millstream.sql.parser.statements import ComputedColumn, MetadataColumn, PhysicalColumn, Watermark
from millstream.sql.plan import nodes as n
from millstream.sql.plan.properties import APPEND, Changelog

BindExpression = Callable[[exp.Expr, RowType], Expression]


class TableDefinition(Protocol):
    """What is asked of a table of the catalog."""

    @property
    def columns(self) -> Sequence[PhysicalColumn | ComputedColumn | MetadataColumn]: ...
    @property
    def watermark(self) -> Watermark | None: ...
    @property
    def primary_key(self) -> Sequence[str]: ...
    @property
    def partition_keys(self) -> Sequence[str]: ...
    @property
    def options(self) -> Mapping[str, str]: ...
    @property
    def defined_at(self) -> str: ...


@dataclass(frozen=True)
class ScannedTable:
    """A table that is read; equal to itself read again with the same options, until it is altered.

    Plans share what is equal, and what is known of a relation (its keys, its changes) is remembered by its node.
    """

    name: str
    definition: tuple[object, ...]
    """Options, columns and keys: what makes it another table when it changes."""
    description: TableDescription = field(compare=False)
    connector: TableConnector = field(compare=False)

    @staticmethod
    def of(description: TableDescription, connector: TableConnector) -> ScannedTable:
        """The table that ``description`` describes, read through ``connector``."""
        definition = (
            tuple(sorted(description.options.items())),
            tuple((column.name, str(column.type)) for column in description.schema),
            description.primary_key,
            description.partition_keys,
        )
        return ScannedTable(description.name, definition, description, connector)

    @cached_property
    def _whole(self) -> TableSource:
        return self.connector.source(self.description, Pushdown())

    @property
    def changelog(self) -> Changelog:
        kinds = self._whole.changelog
        if kinds <= {RowKind.INSERT}:
            return APPEND
        return Changelog(updates=RowKind.UPDATE_AFTER in kinds, deletes=RowKind.DELETE in kinds)

    @property
    def needs_normalize(self) -> bool:
        """It sends updates without what was before them."""
        kinds = self._whole.changelog
        return RowKind.UPDATE_AFTER in kinds and RowKind.UPDATE_BEFORE not in kinds

    @property
    def bounded(self) -> bool:
        return self._whole.bounded

    def primary_key_of(self, projection: Sequence[str]) -> tuple[int, ...] | None:
        """The positions of the primary key among the columns read; None when it is not among them."""
        key = self.description.primary_key
        if not key or any(name not in projection for name in key):
            return None
        return tuple(list(projection).index(name) for name in key)

    def open(self, scan: n.Scan) -> TableSource:
        """The source of what ``scan`` reads."""
        filters = tuple(Filter(column, op, literal) for column, op, literal in scan.filters)
        return self.connector.source(self.description, Pushdown(tuple(scan.projection), filters, scan.limit))

    def lookup(self, scan: n.Scan, keys: tuple[str, ...]) -> LookupFunction | None:
        """What looks rows of ``scan`` up by the columns ``keys``; None where the connector cannot."""
        return self.connector.lookup(self.description, keys, tuple(scan.projection))


@dataclass(frozen=True)
class SinkTable:
    """A table that is written."""

    name: str
    row: RowType
    description: TableDescription
    connector: TableConnector


def describe(name: str, table: TableDefinition, options: Mapping[str, str]) -> TableDescription:
    """The table for its connector: physical columns only."""
    physical = [column for column in table.columns if isinstance(column, PhysicalColumn)]
    row = RowType(tuple(Column(column.name, column.type) for column in physical))
    return TableDescription(
        name,
        row.arrow_schema(),
        {**table.options, **options},
        tuple(table.partition_keys),
        tuple(table.primary_key),
        table.defined_at,
    )


def sink_table(name: str, table: TableDefinition, options: Mapping[str, str]) -> SinkTable:
    """Physical columns, in order; computed ones are not written. Raises ``ConfigError`` for wrong options."""
    description = describe(name, table, options)
    columns = [
        Column(column.name, _with_key(column, table.primary_key))
        for column in table.columns
        if isinstance(column, PhysicalColumn)
    ]
    return SinkTable(name, RowType(tuple(columns)), description, connector_of(description))


def _with_key(column: PhysicalColumn, key: Sequence[str]) -> lt.LogicalType:
    return column.type.with_nullable(False) if column.name in key else column.type


def table_relation(name: str, table: TableDefinition, options: Mapping[str, str], bind: BindExpression) -> n.Node:
    """The rows of a table: what the connector reads, computed columns, event time.

    ``bind`` binds an expression over columns. Raises ``QueryError`` and ``ConfigError``.
    """
    description = describe(name, table, options)
    scanned = ScannedTable.of(description, connector_of(description))
    projection = tuple(
        (column.key or column.name) if isinstance(column, MetadataColumn) else column.name
        for column in table.columns
        if not isinstance(column, ComputedColumn)
    )
    return completed(n.Scan(_stored_row(table), scanned, projection), name, table, bind)


def check_columns(name: str, table: TableDefinition, bind: BindExpression) -> None:
    """Raises ``QueryError`` for a computed column or a watermark that means nothing; no connector is asked."""
    completed(n.Values(_stored_row(table), ()), name, table, bind)


def _stored_row(table: TableDefinition) -> RowType:
    """The columns that the connector reads, physical and metadata ones."""
    columns = [column for column in table.columns if not isinstance(column, ComputedColumn)]
    return RowType(tuple(Column(column.name, _stored_type(column, table.primary_key)) for column in columns))


def completed(node: n.Node, name: str, table: TableDefinition, bind: BindExpression) -> n.Node:
    """``node``, which has the stored columns of ``table``, with the computed ones and its event time."""
    if any(isinstance(column, ComputedColumn) for column in table.columns):
        node = _computed(node, table, bind)
    if table.watermark is not None:
        node = _timed(node, table.watermark, name, bind)
    return node


def _stored_type(column: Any, key: Sequence[str]) -> lt.LogicalType:
    return _with_key(column, key) if isinstance(column, PhysicalColumn) else column.type


def _computed(node: n.Node, table: TableDefinition, bind: BindExpression) -> n.Node:
    expressions: list[Expression] = []
    for column in table.columns:
        if isinstance(column, ComputedColumn):
            expressions.append(bind(column.expression, node.row))
        else:
            index = node.row.index_of(column.name)
            assert index is not None
            expressions.append(InputRef(node.row[index].type, index))
    return project(node, expressions, [column.name for column in table.columns])


def _timed(node: n.Node, watermark: Watermark, name: str, bind: BindExpression) -> n.Node:
    index = node.row.index_of(watermark.column)
    if index is None:
        raise query_error(
            f"WATERMARK FOR {watermark.column}: the table {name} has no such column", watermark.expression
        )
    column = node.row[index]
    if not column.type.is_a(*lt.TIMESTAMPS):
        raise query_error(
            f"WATERMARK FOR {watermark.column}: event time is a TIMESTAMP or TIMESTAMP_LTZ, not {column.type.text()}. "
            f"Add a column such as ts AS TO_TIMESTAMP({watermark.column}).",
            watermark.expression,
        )
    expression = bind(watermark.expression, node.row)
    if expression.type.root is not column.type.root:
        raise query_error(
            f"the watermark of {watermark.column} is {expression.type.text()}, but the column is {column.type.text()}",
            watermark.expression,
        )
    timed = replace(column, time=TimeAttribute.ROWTIME)
    columns = tuple(timed if i == index else known for i, known in enumerate(node.row.columns))
    return n.WatermarkAssigner(RowType(columns), node, index, expression)
