"""One whole row for each key, kept in columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.kernels.groups import Grouping, Groups
from millstream.core.table.row_type import RowType
from millstream.taskmanager.operators.table.changelog import BoolArray, Changes, Int64Array
from millstream.taskmanager.operators.table.keyed_table_operator import key_fields
from millstream.taskmanager.state.columnar.table import ColumnTable

_THERE: Final = "there"
_ROWS_READ: Final = 1 << 16


class LatestRows:
    """``keys`` are columns of the rows; ``columns`` those kept beside them (None: all)."""

    def __init__(
        self,
        name: str,
        row_type: RowType,
        keys: Sequence[int],
        make_table: Callable[[str, pa.Schema, pa.Schema], ColumnTable],
    ) -> None:
        self._keys = tuple(keys)
        self._rest = [index for index in range(len(row_type)) if index not in self._keys]
        values = [pa.field(f"v{index}", row_type[index].type.arrow()) for index in self._rest]
        fields = pa.schema([pa.field(_THERE, pa.bool_()), *values])
        self.table: Final = make_table(name, key_fields(row_type, keys), fields)
        self._there = self.table.fixed(_THERE)
        self._grouping = Grouping()

    def place(self, columns: Sequence[pa.Array], rows: int) -> Groups:
        """The groups of a batch by key; all are about to change."""
        slots, new = self.table.lookup([columns[key] for key in self._keys], rows)
        groups = self._grouping.of(slots)
        self.table.touch(groups.slots)
        if len(new):
            self._there.values[slots[new]] = False
            self._there.valid[slots[new]] = True
        return groups

    def there(self, slots: Int64Array) -> BoolArray:
        """Whether a row is kept."""
        there: BoolArray = self._there.values[slots]
        return there

    def column(self, index: int, slots: Int64Array) -> pa.Array:
        """A column of the rows, by its position in them."""
        name = f"k{self._keys.index(index)}" if index in self._keys else f"v{index}"
        return self.table.column(name).gather(slots)

    def all_rows(self) -> Iterator[tuple[Int64Array, list[pa.Array]]]:
        """``(slots, columns)`` of all rows that are kept, some thousand at a time."""
        live = self.table.live_slots()
        live = live[self.there(live)]
        for start in range(0, len(live), _ROWS_READ):
            slots = live[start : start + _ROWS_READ]
            yield slots, [self.column(index, slots) for index in range(len(self._keys) + len(self._rest))]

    def put(self, slots: Int64Array, columns: Sequence[pa.Array]) -> None:
        """Keep these rows."""
        self._there.values[slots] = True
        for index in self._rest:
            self.table.column(f"v{index}").set(slots, columns[index])

    def replace(
        self, slots: Int64Array, columns: Sequence[pa.Array], changes: Changes, put: BoolArray
    ) -> list[pa.Array]:
        """Keep row ``i`` at ``slots[i]`` where ``put[i]``, forget it elsewhere; the changelog, in columns."""
        width = len(self._keys) + len(self._rest)
        old = [self.column(index, slots[changes.old]) for index in range(width)]
        new = _at(columns, changes.new)
        emitted = [changes.combined(before, after) for before, after in zip(old, new, strict=True)]
        kept = np.flatnonzero(put)
        self.put(slots[kept], _at(columns, kept))
        if len(kept) < len(slots):
            self.table.remove(slots[~put])
        return emitted


def _at(columns: Sequence[pa.Array], positions: Int64Array) -> Sequence[pa.Array]:
    """The values at ascending ``positions``, each once; not copied where that is all."""
    if len(positions) == len(columns[0]):
        return columns
    chosen = pa.array(positions)
    return [column.take(chosen) for column in columns]
