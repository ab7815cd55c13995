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
    tests. Times are text as SQL writes them; a MAP is an object or an array of pairs, a ROW an array or an object."""

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
    return pa.array([_nested(value, kind) for value in values] if pa.types.is_nested(kind) else values, kind)


def _nested(value: Any, kind: pa.DataType) -> Any:
    """A value of JSON as Arrow takes one of ``kind``. Raises ``ValueError`` for one that does not have the form."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        pairs = value.items() if isinstance(value, dict) else value
        return [(_nested(key, kind.key_type), _nested(item, kind.item_type)) for key, item in pairs]
    if pa.types.is_list(kind):
        return [_nested(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        fields = list(kind)
        if isinstance(value, list):
            if len(value) != len(fields):
                raise ValueError(f"{value} has not {len(fields)} values")
            value = dict(zip((field.name for field in fields), value, strict=True))
        if not isinstance(value, dict):
            raise ValueError(f"{value} is no ROW")
        return {field.name: _nested(value.get(field.name), field.type) for field in fields}
    is_text = isinstance(value, str) and not pa.types.is_string(kind) and not pa.types.is_binary(kind)
    if is_text or pa.types.is_decimal(kind):
        return pa.scalar(str(value)).cast(kind).as_py()
    return value
