"""Wanted columns out of batches that hold more: nested fields by dotted path, declared types."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from millstream.connectors.files.formats.json_schema import column_path
from millstream.core.errors import MalformedRecordError
from millstream.core.table.projection import zero_column_batch


class WantedColumns:
    """``names``: the columns to make, in order, of the table's ``schema``."""

    def __init__(self, schema: pa.Schema, names: tuple[str, ...]) -> None:
        self.paths = [column_path(schema, name) for name in names]
        self.schema = pa.schema([(name, _type_at(schema, path)) for name, path in zip(names, self.paths, strict=True)])

    def take(self, records: pa.RecordBatch, path: str) -> pa.RecordBatch:
        """The columns of ``records``, cast where the file has other types; NULL where the file has no such column.

        Raises ``MalformedRecordError`` naming the file when a value does not fit its column.
        """
        if not self.paths:
            return zero_column_batch(records.num_rows)
        columns = []
        for field, steps in zip(self.schema, self.paths, strict=True):
            column = _column_at(records, steps)
            if column is None:
                column = pa.nulls(records.num_rows, field.type)
            try:
                columns.append(column if column.type == field.type else column.cast(field.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise MalformedRecordError(
                    f"{path}: column {field.name} is {column.type} there and {field.type} in the table: {error}"
                ) from error
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _type_at(schema: pa.Schema, path: list[str]) -> pa.DataType:
    kind = schema.field(path[0]).type
    for part in path[1:]:
        kind = kind.field(part).type
    return kind


def _column_at(records: pa.RecordBatch, path: list[str]) -> pa.Array | None:
    if path[0] not in records.schema.names:
        return None
    column: pa.Array = records.column(path[0])
    for part in path[1:]:
        if not pa.types.is_struct(column.type) or column.type.get_field_index(part) < 0:
            return None
        column = pc.struct_field(column, part)
    return column
