"""The columns of a table, whose values of one slot are a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from millstream.core.kernels.slot_index import Int64Array
from millstream.taskmanager.state.columnar.changes import LoggedRows
from millstream.taskmanager.state.columnar.columns import Column, column_for


class ColumnSet:
    """A column for each field of ``schema``, in memory."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._by_name: dict[str, Column] = {field.name: column_for(field.type) for field in schema}

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    def reserve(self, slots: int) -> None:
        """Make room for the slots below ``slots``."""
        for column in self._by_name.values():
            column.reserve(slots)

    def put(self, slots: Int64Array, names: Sequence[str], columns: Sequence[pa.Array]) -> None:
        """Set the columns ``names``: value ``i`` at ``slots[i]``; of equal slots the last value stays."""
        for name, values in zip(names, columns, strict=True):
            self._by_name[name].set(slots, values)

    def gather(self, slots: Int64Array, names: Sequence[str]) -> list[pa.Array]:
        """The columns ``names`` at ``slots``."""
        return [self._by_name[name].gather(slots) for name in names]

    def gather_once(self, slots: Int64Array, names: Sequence[str]) -> list[pa.Array]:
        """The same of rows that need not stay in memory."""
        return self.gather(slots, names)

    def clear(self, slots: Int64Array) -> None:
        """Make all columns null at ``slots``."""
        for column in self._by_name.values():
            column.clear(slots)

    def in_place_of(self, saved: ColumnSet, slots: Int64Array) -> ColumnSet:
        """What the table goes on with, when ``saved`` was restored before this was made and has rows at ``slots``."""
        return saved

    def aside(self) -> Callable[[pa.RecordBatch], LoggedRows] | None:
        """Puts rows of a snapshot where they wait until they are written; None when they can wait in memory."""
        return None

    def estimated_bytes(self) -> int:
        return sum(column.estimated_bytes() for column in self._by_name.values())

    def close(self) -> None:
        """Give everything back; there is nothing outside of memory."""
