"""Batches: the unit of transport and of computation.

A batch is either a list of Python values (``ObjectBatch``) or an Arrow ``RecordBatch`` (``ArrowBatch``). Both offer
``num_rows``, ``slice``, ``take``, ``estimated_bytes`` and event times, so that partitioners and windows need not care.
pyarrow is imported only where an ``ArrowBatch`` is made: jobs of plain Python functions never load it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Timestamps = npt.NDArray[np.int64]
"""Event times in milliseconds since 1970-01-01 UTC, one a row."""

NO_TIMESTAMP_MS = -(2**63)
"""Stands in ``Timestamps`` for a row without event time."""

_SAMPLE_ROWS = 8


class RowKind(enum.IntEnum):
    """What a changelog row does; the byte in the row-kind column."""

    INSERT = 0
    UPDATE_BEFORE = 1
    UPDATE_AFTER = 2
    DELETE = 3

    def __str__(self) -> str:
        return ("+I", "-U", "+U", "-D")[self.value]


class ObjectBatch:
    """Python values with optional event times.

    ``values`` and ``timestamps`` are shared, never copied: whoever gets a batch must not change either in place.
    ``keys`` caches what the key selector returned for each row, where a partitioner has already asked; it does not
    travel between processes.
    """

    __slots__ = ("keys", "timestamps", "values")

    def __init__(
        self,
        values: list[Any],
        timestamps: Timestamps | None = None,
        keys: list[Any] | None = None,
    ) -> None:
        self.values = values
        self.timestamps = timestamps
        self.keys = keys

    @property
    def num_rows(self) -> int:
        return len(self.values)

    def slice(self, start: int, stop: int) -> ObjectBatch:
        """Rows ``start`` to ``stop`` (exclusive)."""
        return ObjectBatch(
            self.values[start:stop],
            None if self.timestamps is None else self.timestamps[start:stop],
            None if self.keys is None else self.keys[start:stop],
        )

    def take(self, indices: npt.NDArray[np.intp]) -> ObjectBatch:
        """The rows at ``indices`` (one-dimensional, each in ``[0, num_rows)``), in that order."""
        chosen = indices.tolist()
        values, keys = self.values, self.keys
        return ObjectBatch(
            [values[i] for i in chosen],
            None if self.timestamps is None else self.timestamps[indices],
            None if keys is None else [keys[i] for i in chosen],
        )

    def estimated_bytes(self) -> int:
        """A guess of the encoded size, from a sample of the rows; cheap enough to call on every batch."""
        rows = len(self.values)
        if rows == 0:
            return 0
        step = max(1, rows // _SAMPLE_ROWS)
        sample = self.values[::step]
        return int(sum(_estimate(value, 3) for value in sample) / len(sample) * rows) + 16

    def __repr__(self) -> str:
        return f"ObjectBatch({self.num_rows} rows{'' if self.timestamps is None else ', timed'})"


class ArrowBatch:
    """An Arrow record batch with optional event times and row kinds (both outside the schema)."""

    __slots__ = ("records", "row_kinds", "timestamps")

    def __init__(
        self,
        records: pa.RecordBatch,
        timestamps: Timestamps | None = None,
        row_kinds: npt.NDArray[np.int8] | None = None,
    ) -> None:
        self.records = records
        self.timestamps = timestamps
        self.row_kinds = row_kinds

    @property
    def num_rows(self) -> int:
        return int(self.records.num_rows)

    def slice(self, start: int, stop: int) -> ArrowBatch:
        """Rows ``start`` to ``stop`` (exclusive), without copying."""
        return ArrowBatch(
            self.records.slice(start, stop - start),
            None if self.timestamps is None else self.timestamps[start:stop],
            None if self.row_kinds is None else self.row_kinds[start:stop],
        )

    def take(self, indices: npt.NDArray[np.intp]) -> ArrowBatch:
        """The rows at ``indices``, in that order."""
        return ArrowBatch(
            self.records.take(indices),
            None if self.timestamps is None else self.timestamps[indices],
            None if self.row_kinds is None else self.row_kinds[indices],
        )

    def estimated_bytes(self) -> int:
        """Bytes of the referenced slices of all buffers."""
        return int(self.records.nbytes) + 8 * self.num_rows * (self.timestamps is not None)

    def __repr__(self) -> str:
        return f"ArrowBatch({self.num_rows} rows x {self.records.num_columns} columns)"


Batch = ObjectBatch | ArrowBatch


def _estimate(value: Any, depth: int) -> int:
    kind = type(value)
    if kind is int or kind is float:
        return 8
    if kind is str or kind is bytes:
        return len(value) + 2
    if value is None or kind is bool:
        return 1
    if depth == 0:
        return 64
    if isinstance(value, dict):
        return 4 + sum(_estimate(k, depth - 1) + _estimate(v, depth - 1) for k, v in list(value.items())[:64])
    if isinstance(value, list | tuple | set | frozenset):
        items = list(value)[:64]
        return 4 + int(sum(_estimate(item, depth - 1) for item in items) * max(1, len(value)) / max(1, len(items)))
    fields = getattr(value, "__dict__", None)
    return 16 + (sum(_estimate(item, depth - 1) for item in list(fields.values())[:64]) if fields else 64)
