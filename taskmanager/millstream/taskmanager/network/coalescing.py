"""Small batches that wait behind each other become one: fewer frames, fewer steps, fewer calls a row."""

from __future__ import annotations

from typing import Final

import numpy as np

from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch

MERGED_ROWS_MAX: Final = 16_384


def batch_bytes(batch: Batch) -> int:
    """About the encoded size."""
    if isinstance(batch, ArrowBatch):
        import pyarrow as pa

        # Ten times faster than adding up the buffers of the slice, and what the encoder will write.
        size: int = pa.ipc.get_record_batch_size(batch.records)
        return size + 8 * batch.num_rows * (batch.timestamps is not None)
    return batch.estimated_bytes()


def can_merge(first: Batch, second: Batch) -> bool:
    """Whether rows of both may share a batch: the same kind, both with event times or both without."""
    if (first.timestamps is None) != (second.timestamps is None):
        return False
    if first.num_rows + second.num_rows > MERGED_ROWS_MAX:
        return False
    if isinstance(first, ArrowBatch):
        return (
            isinstance(second, ArrowBatch)
            and (first.row_kinds is None) == (second.row_kinds is None)
            and bool(first.records.schema.equals(second.records.schema))
        )
    return isinstance(second, ObjectBatch)


def merge_batches(parts: list[Batch]) -> Batch:
    """One batch of all rows in order. ``parts`` is not empty and ``can_merge`` holds for its neighbours."""
    if len(parts) == 1:
        return parts[0]
    timestamps = None
    if parts[0].timestamps is not None:
        timestamps = np.concatenate([part.timestamps for part in parts if part.timestamps is not None])
    if isinstance(parts[0], ArrowBatch):
        return _merge_arrow([part for part in parts if isinstance(part, ArrowBatch)], timestamps)
    objects = [part for part in parts if isinstance(part, ObjectBatch)]
    values = [value for part in objects for value in part.values]
    keys = None
    if all(part.keys is not None for part in objects):
        keys = [key for part in objects for key in part.keys or ()]
    return ObjectBatch(values, timestamps, keys)


def _merge_arrow(
    parts: list[ArrowBatch], timestamps: np.ndarray[tuple[int, ...], np.dtype[np.int64]] | None
) -> ArrowBatch:
    import pyarrow as pa

    schema = parts[0].records.schema
    if schema.names:
        table = pa.Table.from_batches([part.records for part in parts]).combine_chunks()
        records = table.to_batches()[0] if table.num_rows else parts[0].records
    else:
        records = parts[0].records
    kinds = [part.row_kinds for part in parts if part.row_kinds is not None]
    return ArrowBatch(records, timestamps, np.concatenate(kinds) if kinds else None)
