"""A row table whose rows may be larger than memory: some of their columns are in pages (``pages``).

Keys, the chains of rows and what a row is known by stay in memory, as do the columns that operators change in place.
Slots stay what they are, so that operators see no difference. Snapshots are those of a ``RowTable``; what is gathered
for one waits on disk until it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from millstream.core.kernels.slot_index import Int64Array
from millstream.taskmanager.state.columnar.local_database import Spilling
from millstream.taskmanager.state.columnar.pages import PagedColumn, Pages
from millstream.taskmanager.state.columnar.row_log import RowLog
from millstream.taskmanager.state.columnar.rowlist import RowTable
from millstream.taskmanager.state.columnar.slot_capture import SlotCapture
from millstream.taskmanager.state.columnar.table import SLICE_SLOTS


class PagedRowTable(RowTable):
    """``spilled`` are the fields in pages; None for all."""

    def __init__(
        self,
        name: str,
        key_schema: pa.Schema,
        row_schema: pa.Schema,
        *,
        spilling: Spilling,
        spilled: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, key_schema, row_schema, **options)
        names = row_schema.names if spilled is None else list(spilled)
        self._pages = Pages(spilling, pa.schema([row_schema.field(each) for each in names]))
        self._columns |= {each: PagedColumn(self._pages, each) for each in names}

    def columns_at(self, row_slots: Int64Array, names: Sequence[str]) -> list[pa.Array]:
        return self._read(row_slots, names, keeps=True)

    def estimated_bytes(self) -> int:
        return super().estimated_bytes() + self._pages.estimated_bytes()

    def close(self) -> None:
        self._pages.close()

    def capture(self, checkpoint_id: int, full: bool) -> SlotCapture:
        made = super().capture(checkpoint_id, full)
        made.aside = partial(RowLog().append, directory=self._pages.directory)
        return made

    def adopt(self, saved: RowTable) -> None:
        own, pages = self._columns, self._pages
        super().adopt(saved)
        assert isinstance(saved, PagedRowTable)
        if pages.schema.equals(saved._pages.schema):
            pages.close()
            self._pages = saved._pages
            return
        self._columns = own
        for column in own.values():
            column.reserve(len(self._ids))
        live = self.live_slots()
        for start in range(0, len(live), SLICE_SLOTS):
            part = live[start : start + SLICE_SLOTS]
            self._put(part, saved._saved_values(part))
        saved.close()

    # -- inner --------------------------------------------------------------------------------------------------

    def _read(self, slots: Int64Array, names: Sequence[str], keeps: bool) -> list[pa.Array]:
        paged = [name for name in names if name in self._pages.schema.names]
        found = dict(zip(paged, self._pages.gather(slots, paged, keeps), strict=True))
        return [found[name] if name in found else self._columns[name].gather(slots) for name in names]

    def _saved_values(self, slots: Int64Array) -> list[pa.Array]:
        return self._read(slots, self.value_schema.names, keeps=False)

    def _put(self, slots: Int64Array, columns: Sequence[pa.Array]) -> None:
        given = dict(zip(self.value_schema.names, columns, strict=True))
        self._pages.put(slots, self._pages.schema.names, [given.pop(name) for name in self._pages.schema.names])
        for name, values in given.items():
            self._columns[name].set(slots, values)

    def _clear(self, slots: Int64Array) -> None:
        self._pages.clear(slots)
        for name, column in self._columns.items():
            if name not in self._pages.schema.names:
                column.clear(slots)
