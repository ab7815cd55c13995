"""Taking columns and nested leaves out of record batches, down to none at all."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def project(records: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns that ``schema`` names; a dotted name that is no column is a path into structs.

    Where an outer struct is null, so is the leaf.
    """
    if records.schema.equals(schema):
        return records
    return pa.RecordBatch.from_arrays([_at(records, name) for name in schema.names], schema=schema)


def zero_column_batch(rows: int) -> pa.RecordBatch:
    """Rows of no columns, for whoever only counts them."""
    return pa.RecordBatch.from_struct_array(pa.Array.from_buffers(pa.struct([]), rows, [None]))


def _at(records: pa.RecordBatch, path: str) -> pa.Array:
    if path in records.schema.names:
        return records.column(path)
    first, *rest = path.split(".")
    return pc.struct_field(records.column(first), rest)
