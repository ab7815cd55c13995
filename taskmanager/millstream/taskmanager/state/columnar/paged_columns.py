"""The columns of a table that may be larger than memory: some are in pages (``pages``), the others stay in memory.

Slots keep their meaning, so that tables and operators see no difference. Rows gathered for a snapshot wait on disk
until they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pyarrow as pa

from millstream.core.kernels.slot_index import Int64Array
from millstream.taskmanager.state.columnar.changes import LoggedRows
from millstream.taskmanager.state.columnar.column_set import ColumnSet
from millstream.taskmanager.state.columnar.local_database import Spilling
from millstream.taskmanager.state.columnar.pages import Pages
from millstream.taskmanager.state.columnar.row_log import RowLog
from millstream.taskmanager.state.columnar.table import SLICE_SLOTS


class PagedColumn:
    """One column of pages. Implements ``Column``."""

    def __init__(self, pages: Pages, name: str) -> None:
        self.kind: pa.DataType = pages.schema.field(name).type
        self._pages = pages
        self._name = name

    def reserve(self, slots: int) -> None:
        self._pages.reserve(slots)

    def set(self, slots: Int64Array, values: pa.Array) -> None:
        self._pages.put(slots, [self._name], [values])

    def gather(self, slots: Int64Array) -> pa.Array:
        return self._pages.gather(slots, [self._name])[0]

    def clear(self, slots: Int64Array) -> None:
        self.set(slots, pa.nulls(len(slots), self.kind))

    def estimated_bytes(self) -> int:
        """Its part is counted with the pages."""
        return 0


class PagedColumnSet(ColumnSet):
    """``spilled`` are the fields in pages; None for all."""

    def __init__(self, schema: pa.Schema, *, spilling: Spilling, spilled: Sequence[str] | None = None) -> None:
        names = schema.names if spilled is None else list(spilled)
        super().__init__(pa.schema([field for field in schema if field.name not in names]))
        self.schema = schema
        self._resident = list(self._by_name)
        self._pages = Pages(spilling, pa.schema([schema.field(name) for name in names]))
        self._by_name |= {name: PagedColumn(self._pages, name) for name in names}

    def put(self, slots: Int64Array, names: Sequence[str], columns: Sequence[pa.Array]) -> None:
        given = dict(zip(names, columns, strict=True))
        resident = [name for name in names if name in self._resident]
        super().put(slots, resident, [given.pop(name) for name in resident])
        self._pages.put(slots, list(given), list(given.values()))

    def gather(self, slots: Int64Array, names: Sequence[str]) -> list[pa.Array]:
        return self._gather(slots, names, keeps=True)

    def gather_once(self, slots: Int64Array, names: Sequence[str]) -> list[pa.Array]:
        return self._gather(slots, names, keeps=False)

    def clear(self, slots: Int64Array) -> None:
        for name in self._resident:
            self._by_name[name].clear(slots)
        self._pages.clear(slots)

    def in_place_of(self, saved: ColumnSet, slots: Int64Array) -> ColumnSet:
        assert isinstance(saved, PagedColumnSet)
        if saved._resident == self._resident:
            self.close()
            return saved
        for start in range(0, len(slots), SLICE_SLOTS):
            part = slots[start : start + SLICE_SLOTS]
            self.put(part, self.schema.names, saved.gather_once(part, self.schema.names))
        saved.close()
        return self

    def aside(self) -> Callable[[pa.RecordBatch], LoggedRows] | None:
        return partial(RowLog().append, directory=self._pages.directory)

    def estimated_bytes(self) -> int:
        return super().estimated_bytes() + self._pages.estimated_bytes()

    def close(self) -> None:
        """Delete what is on disk."""
        self._pages.close()

    def _gather(self, slots: Int64Array, names: Sequence[str], keeps: bool) -> list[pa.Array]:
        paged = [name for name in names if name not in self._resident]
        found = dict(zip(paged, self._pages.gather(slots, paged, keeps), strict=True))
        return [found[name] if name in found else self._by_name[name].gather(slots) for name in names]
