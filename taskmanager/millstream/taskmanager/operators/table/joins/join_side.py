"""One input of a join: its rows in state by key, and which of a batch's rows can match anything at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.table.specs import JoinInput
from millstream.taskmanager.state.columnar.backend import ColumnarBackend
from millstream.taskmanager.state.columnar.rowlist import RowTable

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]

MATCHES: Final = "_matches"
"""How many rows of the other side a row of an outer, semi or anti join has matched."""


class JoinSide:
    """``counted``: rows remember how many matches they have. ``extra``: further columns of the state."""

    def __init__(
        self,
        spec: JoinInput,
        name: str,
        backend: ColumnarBackend,
        null_safe: Sequence[bool],
        *,
        counted: bool = False,
        extra: Sequence[pa.Field] = (),
    ) -> None:
        self.spec = spec
        self.counted = counted
        self.names = [f"c{index}" for index in range(len(spec.type))]
        """Of the row's columns in state."""
        fields = [
            pa.field(name, column.type.arrow()) for name, column in zip(self.names, spec.type.columns, strict=True)
        ]
        more = [*([pa.field(MATCHES, pa.int64())] if counted else []), *extra]
        keys = [pa.field(f"k{index}", spec.type[key].type.arrow()) for index, key in enumerate(spec.keys)]
        self.schema = pa.schema([*fields, *more])
        self.table: RowTable = backend.row_table(
            name,
            pa.schema(keys),
            self.schema,
            matched=self.names,
            ttl_ms=spec.ttl_ms if spec.ttl_ms > 0 else None,
            spilled=self.names,
        )
        self._plain_keys = [
            index for index in range(len(spec.keys)) if not (index < len(null_safe) and null_safe[index])
        ]

    def keys(self, records: pa.RecordBatch) -> list[pa.Array]:
        """The key columns of a batch of this side."""
        return [records.column(key) for key in self.spec.keys]

    def can_match(self, records: pa.RecordBatch) -> BoolArray | None:
        """False for rows with a NULL in a key, which equals nothing; None where all rows can."""
        return self.keys_can_match(self.keys(records))

    def keys_can_match(self, keys: Sequence[pa.Array]) -> BoolArray | None:
        """The same of key columns."""
        mask: BoolArray | None = None
        for index in self._plain_keys:
            column = keys[index]
            if column.null_count:
                valid = column.is_valid().to_numpy(zero_copy_only=False)
                mask = valid if mask is None else mask & valid
        return mask

    def append(self, records: pa.RecordBatch, *extra: pa.Array) -> Int64Array:
        """Keep rows; ``extra`` are the further columns of the state. Their slots."""
        stored = pa.RecordBatch.from_arrays([*records.columns, *extra], schema=self.schema)
        return self.table.append(self.keys(records), stored)

    def remove(self, records: pa.RecordBatch) -> None:
        """Take rows back."""
        named = pa.RecordBatch.from_arrays(records.columns, names=self.names)
        self.table.remove_matching(self.keys(records), named)

    def rows(self, slots: Int64Array) -> list[pa.Array]:
        """The row's own columns at ``slots``."""
        return self.table.columns_at(slots, self.names)

    def some_columns(self, slots: Int64Array, indexes: Sequence[int]) -> list[pa.Array]:
        """Some of the row's columns at ``slots``."""
        return self.table.columns_at(slots, [self.names[index] for index in indexes])

    def matches(self) -> npt.NDArray[np.int64]:
        """By slot: how many matches a row has."""
        counts: npt.NDArray[np.int64] = self.table.fixed(MATCHES).values
        return counts
