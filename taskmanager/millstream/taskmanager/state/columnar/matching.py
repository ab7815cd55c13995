"""Which stored row equals a given one: an index of rows by the hash of their key and content, verified by content.

It is built when it is first asked, for tables that only grow need none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from millstream.core.kernels.slot_index import Int64Array, SlotIndex
from millstream.taskmanager.state.columnar.row_chains import RowChains
from millstream.taskmanager.state.columnar.row_encoding import EncodedRows, encode_rows, row_hashes, rows_equal

Stored = Callable[[Int64Array], tuple[list[pa.Array], pa.RecordBatch]]
"""The key columns and the rows at row slots."""


class RowMatches:
    """Chains of row slots of equal hash. ``mask`` keeps some bits of the hash."""

    def __init__(self, fields: Sequence[str], mask: int) -> None:
        self._fields = fields
        self._mask = mask
        self._index = SlotIndex()
        self._chains = RowChains()

    def reserve(self, rows: int) -> None:
        self._chains.reserve(self._index.slots_end, rows)

    def add(self, slots: Int64Array, keys: Sequence[pa.Array], rows: pa.RecordBatch) -> None:
        groups, _ = self._index.slots_of(self._hashes(self._encoded(keys, rows)))
        self._chains.reserve(self._index.slots_end, 0)
        self._chains.append(groups, slots)

    def remove(self, slots: Int64Array) -> None:
        self._index.remove(self._chains.unlink(slots))

    def find(self, keys: Sequence[pa.Array], rows: pa.RecordBatch, stored: Stored) -> Int64Array:
        """The slot of an equal row, another one for each equal row of the batch; -1 where there are no more."""
        encoded = self._encoded(keys, rows)
        groups = self._index.find(self._hashes(encoded))
        found = self._chains.one_of_each(groups)
        positions = np.flatnonzero(found >= 0)
        if len(positions):
            candidates = self._encoded(*stored(found[positions]))
            chosen = encoded if len(positions) == len(found) else self._encoded_at(keys, rows, positions)
            if not rows_equal(chosen, candidates).all():
                return self._search(groups, encoded, stored)
        return found

    def estimated_bytes(self) -> int:
        return self._index.estimated_bytes + self._chains.estimated_bytes()

    def _search(self, groups: Int64Array, encoded: EncodedRows, stored: Stored) -> Int64Array:
        """Different rows have one hash: compare each row with all of its chain that are not taken."""
        positions, candidates = self._chains.rows_of(groups)
        contents = self._encoded(*stored(candidates))
        found: Int64Array = np.full(len(groups), -1, np.int64)
        taken: set[int] = set()
        for i, (position, slot) in enumerate(zip(positions.tolist(), candidates.tolist(), strict=True)):
            if found[position] >= 0 or slot in taken:
                continue
            if np.array_equal(_words(encoded, position), _words(contents, i)):
                found[position] = slot
                taken.add(slot)
        return found

    def _encoded(self, keys: Sequence[pa.Array], rows: pa.RecordBatch) -> EncodedRows:
        return encode_rows([*keys, *map(rows.column, self._fields)], rows.num_rows)

    def _encoded_at(self, keys: Sequence[pa.Array], rows: pa.RecordBatch, positions: Int64Array) -> EncodedRows:
        chosen = pa.array(positions)
        return self._encoded([column.take(chosen) for column in keys], rows.take(chosen))

    def _hashes(self, encoded: EncodedRows) -> Int64Array:
        return row_hashes(encoded) & self._mask


def _words(encoded: EncodedRows, row: int) -> Int64Array:
    return encoded.words[encoded.offsets[row] : encoded.offsets[row + 1]].view(np.int64)
