"""Columnar keyed state as Parquet files: the form it has in savepoints.

A file holds the rows of one state of one subtask, sorted by key group, with the key and value columns under their own
names and types. Before them stand ``key_group`` and, where there are such, ``_row`` and ``_updated_ms``. The file's
metadata has the exact Arrow types, of which Parquet does not know all.
"""

from __future__ import annotations

import io
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import Final

from millstream.taskmanager.state.column_chunks import GROUP, ColumnChunk

KEY_GROUP: Final = "key_group"
_ROW_GROUP_ROWS: Final = 1 << 16
_FORM: Final = b"millstream.columns"


def write_columns(chunks: Iterable[ColumnChunk]) -> tuple[bytes, int]:
    """``(the file's content, its rows)`` of the full chunks of one state, at least one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = list(chunks)
    first = held[0]
    table = pa.Table.from_batches([chunk.rows for chunk in held]).sort_by(GROUP)
    form = {
        "keys": first.keys,
        "partition_keys": first.partition_keys,
        "schema": b64encode(table.schema.serialize().to_pybytes()).decode(),
    }
    named = table.rename_columns([KEY_GROUP, *table.column_names[1:]])
    written = io.BytesIO()
    pq.write_table(
        named.replace_schema_metadata({_FORM: json.dumps(form)}),
        written,
        compression="zstd",
        row_group_size=_ROW_GROUP_ROWS,
    )
    return written.getvalue(), table.num_rows


def read_columns(
    content: bytes, *, name: str, kind: str, with_ttl: bool, groups: range | None = None
) -> Iterator[ColumnChunk]:
    """The rows of some key groups, or of all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(content))
    form = json.loads(file.schema_arrow.metadata[_FORM])
    schema = pa.ipc.read_schema(pa.py_buffer(b64decode(form["schema"])))
    for batch in file.iter_batches(_ROW_GROUP_ROWS):
        columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
        rows = pa.RecordBatch.from_arrays(columns, schema=schema)
        chunk = ColumnChunk(name, kind, with_ttl, form["keys"], form["partition_keys"], rows)
        yield chunk if groups is None else chunk.filtered(groups)
