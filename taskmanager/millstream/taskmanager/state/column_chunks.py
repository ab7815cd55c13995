"""Rows of columnar keyed state as Arrow batches: beside ``RowChunk`` the second form in which state travels.

The columns of a chunk are, in this order: ``_group``, the key group (int32); ``_row`` for the rows of a ``RowTable``,
which are told apart by ``(_group, _row)``; ``_updated_ms`` where rows have a time to live; the key columns; the value
columns. ``gone`` has ``_group`` and what tells rows apart: the keys, or ``_row``. It applies before ``rows``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from millstream.core.serde import encode_value

if TYPE_CHECKING:
    import pyarrow as pa

TABLE: Final = "columns"
"""The kind of state with one row a key."""
ROWS: Final = "rows"
"""The kind of state with any number of rows a key."""
KINDS: Final = frozenset((TABLE, ROWS))

GROUP: Final = "_group"
ROW: Final = "_row"
UPDATED_MS: Final = "_updated_ms"


@dataclass
class ColumnChunk:
    """Rows of one state.

    ``keys`` is the number of its key columns, of which the first ``partition_keys`` give the key group.
    """

    name: str
    kind: str
    with_ttl: bool
    keys: int
    partition_keys: int
    rows: pa.RecordBatch
    gone: pa.RecordBatch | None = None

    @property
    def first_key(self) -> int:
        """The position of the first key column in ``rows``."""
        return 1 + (self.kind == ROWS) + self.with_ttl

    def filtered(self, groups: range) -> ColumnChunk:
        """The chunk without what belongs to other key groups."""
        gone = None if self.gone is None else _of_groups(self.gone, groups)
        return replace(self, rows=_of_groups(self.rows, groups), gone=gone)


def encode_column_chunk(chunk: ColumnChunk) -> bytes:
    """The bytes of a chunk: a header, and Arrow IPC streams."""
    gone = None if chunk.gone is None else to_ipc(chunk.gone)
    header = [chunk.name, chunk.kind, chunk.with_ttl, chunk.keys, chunk.partition_keys]
    return encode_value([*header, to_ipc(chunk.rows), gone])


def from_fields(fields: list[Any]) -> ColumnChunk:
    """The inverse of ``encode_column_chunk``, of the decoded header."""
    name, kind, with_ttl, keys, partition_keys, rows, gone = fields
    taken = None if gone is None else from_ipc(gone)
    return ColumnChunk(name, kind, with_ttl, keys, partition_keys, from_ipc(rows), taken)


def divided_columns(chunk: ColumnChunk, groups: range, parts: int) -> Iterator[tuple[range, ColumnChunk]]:
    """The rows of a full chunk in ``parts`` of about as many key groups each; empty parts are left out."""
    bounds = [groups.start + len(groups) * part // parts for part in range(parts + 1)]
    for first, end in itertools.pairwise(bounds):
        part = chunk.filtered(range(first, end))
        if part.rows.num_rows:
            yield range(first, end), part


def _of_groups(batch: pa.RecordBatch, groups: range) -> pa.RecordBatch:
    import pyarrow as pa

    of_rows = batch.column(0).to_numpy()
    inside = (of_rows >= groups.start) & (of_rows < groups.stop)
    return batch if inside.all() else batch.take(pa.array(np.flatnonzero(inside)))


def to_ipc(batch: pa.RecordBatch) -> bytes:
    """A batch as a compressed Arrow IPC stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def from_ipc(data: bytes) -> pa.RecordBatch:
    """The inverse of ``to_ipc``."""
    import pyarrow as pa

    with pa.ipc.open_stream(pa.BufferReader(data)) as reader:
        return reader.read_next_batch()
