"""Rows of the program as a table: lists, Arrow, pandas, polars. They travel with the job: keep them small."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from millstream.connectors.arrow_values import ArrowValuesSource
from millstream.core.api.row import Row
from millstream.core.table.arrow_types import logical_type
from millstream.core.table.connectors import Pushdown, TableConnector, TableDescription, TableSource, projected_schema
from millstream.core.table.logical_types import LogicalType, TypeRoot
from millstream.core.table.projection import project
from millstream.core.table.python_types import WrongValue, column_of
from millstream.core.table.row_type import Column, RowType
from millstream.datastream.call_site import call_site, refuse
from millstream.sql.plan.nodes import Scan
from millstream.sql.planner.tables import ScannedTable

RowSchema = LogicalType | Sequence[str] | None
"""A ROW, the names of the columns, or None for ``_1``, ``_2``, ..."""


class ProgramRows(TableConnector):
    """The connector of one such table."""

    identifier = "program"

    def __init__(self, records: pa.Table) -> None:
        self._records = records.combine_chunks()

    def source(self, description: TableDescription, pushdown: Pushdown) -> TableSource:
        records = self._records
        limit = pushdown.limit_without()
        if limit is not None:
            records = records.slice(0, limit)
        schema = projected_schema(description.schema, pushdown.projection, description.place)
        batches = records.to_batches()
        batch = batches[0] if batches else pa.RecordBatch.from_pylist([], schema=records.schema)
        return TableSource(ArrowValuesSource(project(batch, schema)), schema, bounded=True)


def scan_of(records: pa.Table, name: str, row: RowType | None = None) -> Scan:
    """The relation of ``records``, whose name nobody else has; ``row``: the types wanted of the columns."""
    if row is None:
        row = RowType(tuple(Column(field.name, logical_type(field.type)) for field in records.schema))
    twice = next((known for known in row.names if row.names.count(known) > 1), None)
    if twice is not None:
        raise refuse(f"two columns are called {twice!r}.")
    schema = row.arrow_schema()
    try:
        records = records.rename_columns(list(row.names)).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise refuse(f"the columns do not have the types {', '.join(map(str, row.columns))}: {error}") from error
    description = TableDescription(name, schema, {}, defined_at=call_site())
    return Scan(row, ScannedTable.of(description, ProgramRows(records)), row.names)


def records_of(elements: Iterable[Any], schema: RowSchema) -> tuple[pa.Table, RowType | None]:
    """Python rows as columns: tuples, lists, ``Row``, dicts by name, or single values."""
    rows = list(elements)
    if isinstance(schema, LogicalType):
        return _typed(rows, schema)
    if not rows:
        raise refuse("from_elements of nothing needs a schema: from_elements([], DataTypes.ROW([...])).")
    names = list(schema) if schema is not None else _names(rows[0])
    tuples = [_values(row, names, position) for position, row in enumerate(rows)]
    columns: list[pa.Array] = []
    for name, values in zip(names, zip(*tuples, strict=True), strict=True):
        try:
            columns.append(pa.array(values))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise refuse(
                f"the values of column {name!r} have no common type: {error}. Give from_elements a schema."
            ) from error
    return pa.table(columns, names=names), None


def named(records: pa.Table, schema: RowSchema) -> tuple[pa.Table, RowType | None]:
    """Columns that exist, with the names or types of ``schema``."""
    if schema is None:
        return records, None
    count = len(schema.fields) if isinstance(schema, LogicalType) else len(schema)
    if count != records.num_columns:
        raise refuse(f"the schema has {count} columns, the rows have {records.num_columns}.")
    if isinstance(schema, LogicalType):
        return records, row_type(schema)
    return records.rename_columns(list(schema)), None


def row_type(kind: LogicalType) -> RowType:
    """The fields of a ROW as columns."""
    if kind.root is not TypeRoot.ROW:
        raise refuse(f"a schema is DataTypes.ROW([DataTypes.FIELD(name, type), ...]) or names, not {kind}.")
    return RowType(tuple(Column(name, field) for name, field in kind.fields))


def _typed(rows: list[Any], schema: LogicalType) -> tuple[pa.Table, RowType]:
    row = row_type(schema)
    tuples = [_values(given, list(row.names), position) for position, given in enumerate(rows)]
    columns = []
    for position, column in enumerate(row.columns):
        values = [given[position] for given in tuples]
        try:
            columns.append(column_of(values, column.type))
        except WrongValue as error:
            raise refuse(
                f"row {error.row + 1}, column {column.name!r}: {values[error.row]!r:.60} is no {column.type.text()}."
            ) from error
    return pa.table(columns, schema=row.arrow_schema()), row


def _names(first: Any) -> list[str]:
    if isinstance(first, Row) and first.get_field_names():
        return list(first.get_field_names() or ())
    if isinstance(first, dict):
        return [str(name) for name in first]
    width = len(list(first)) if isinstance(first, tuple | list | Row) else 1
    return [f"_{number}" for number in range(1, width + 1)]


def _values(row: Any, names: list[str], position: int) -> tuple[Any, ...]:
    if isinstance(row, dict):
        return tuple(row.get(name) for name in names)
    values = tuple(row) if isinstance(row, tuple | list | Row) else (row,)
    if len(values) != len(names):
        raise refuse(f"row {position + 1} has {len(values)} values for the {len(names)} columns {', '.join(names)}.")
    return values
