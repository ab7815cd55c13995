"""``'connector' = 'values'``: the rows stand in the DDL, as JSON."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from millstream.connectors.arrow_values import ArrowValuesSource
from millstream.core.table.connectors import Pushdown, TableConnector, TableDescription, TableSource, projected_schema
from millstream.core.table.lookups import FULL_CACHE_OPTIONS, FullCacheLookup, LookupFunction
from millstream.core.table.projection import project
from millstream.core.table.table_options import TableOption, TableOptions


class ValuesConnector(TableConnector):
    """``'data' = '[[1, "a"], [2, null]]'``: an array a row, or an object by column names. Bounded; for examples and
    tests. Times are text as SQL writes them."""

    identifier = "values"
    required_options = {"data": TableOption("a JSON array of rows, each an array or an object")}

    optional_options = FULL_CACHE_OPTIONS

    def lookup(
        self, description: TableDescription, keys: tuple[str, ...], projection: tuple[str, ...]
    ) -> LookupFunction:
        table = self.source(description, Pushdown(projection))
        return FullCacheLookup(table.source, table.schema, self.options(description))

    def open_source(self, description: TableDescription, options: TableOptions, pushdown: Pushdown) -> TableSource:
        try:
            records = _records(options.get("data"), description.schema)
        except (ValueError, TypeError, pa.ArrowException) as error:
            raise options.refuse("data", f"{error}. Write rows of ({', '.join(description.schema.names)}).") from error
        limit = pushdown.limit_without()
        if limit is not None:
            records = records.slice(0, limit)
        schema = projected_schema(description.schema, pushdown.projection, description.place)
        return TableSource(ArrowValuesSource(project(records, schema)), schema, bounded=True)


def _records(data: str, schema: pa.Schema) -> pa.RecordBatch:
    rows = json.loads(data)
    if not isinstance(rows, list):
        raise ValueError("the JSON is no array of rows")
    columns: list[list[Any]] = [[] for _ in schema]
    for number, row in enumerate(rows, 1):
        if isinstance(row, dict):
            unknown = sorted(set(row) - set(schema.names))
            if unknown:
                raise ValueError(f"row {number} has {', '.join(unknown)}, which the table has not")
            row = [row.get(name) for name in schema.names]
        if not isinstance(row, list) or len(row) != len(columns):
            raise ValueError(f"row {number} has not {len(columns)} values")
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    arrays = [_array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Times and decimals come as text (or, decimals, as numbers); the rest as JSON has it."""
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        return pa.array([None if value is None else str(value) for value in values], pa.string()).cast(kind)
    return pa.array(values, kind)
