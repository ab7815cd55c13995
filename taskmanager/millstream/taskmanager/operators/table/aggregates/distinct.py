"""The distinct values of each group with how often they are there: DISTINCT, and MIN and MAX that can be taken back.

One table by (group, values) serves all DISTINCT calls over the same columns, with a count for each, for their filters
may differ. The values of a group are found by lists in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.kernels.accumulating import count_transitions
from millstream.core.kernels.entry_lists import EntryLists
from millstream.taskmanager.operators.table.aggregates.accumulator import Int8Array, Int64Array, Stores


class ValueCounts:
    """``kinds`` are the types of the values, ``calls`` how many counts each value has."""

    def __init__(self, stores: Stores, name: str, kinds: Sequence[pa.DataType], calls: int) -> None:
        fields = [pa.field(f"v{index}", kind) for index, kind in enumerate(kinds)]
        counts = [pa.field(f"c{index}", pa.int64()) for index in range(calls)]
        self.table: Final = stores.table(name, fields, counts)
        self._group_keys = len(stores.group.key_schema)
        self._counts = [self.table.fixed(field.name) for field in counts]
        self._lists = EntryLists()
        live = self.table.live_slots()
        if len(live):  # restored
            keys = self.table.rows(live).columns[: self._group_keys]
            owners = stores.group.find(keys, len(live))
            self._lists.link(live[owners >= 0], owners[owners >= 0])

    def place(self, owners: Int64Array, keys: Sequence[pa.Array], values: Sequence[pa.Array]) -> Int64Array:
        """The entry of each row's value; new ones have counts of 0. ``owners`` are slots of groups, ``keys`` theirs."""
        entries, new = self.table.lookup([*keys, *values], len(owners))
        if len(new):
            fresh = entries[new]
            for column in self._counts:
                column.values[fresh] = 0
                column.valid[fresh] = True
            self._lists.unlink(fresh)  # what expired left its links
            self._lists.link(fresh, owners[new])
        self.table.touch(entries)
        return entries

    def count(self, call: int, entries: Int64Array, amounts: Int64Array) -> Int8Array:
        """Count; 1 for each row that brought a new value, -1 for each that took the last of one, else 0."""
        effects: Int8Array = np.empty(len(entries), np.int8)
        count_transitions(entries, amounts, self._counts[call].values, effects)
        return effects

    def prune(self, entries: Int64Array) -> None:
        """Forget those of ``entries`` that have no counts any more."""
        empty = np.ones(len(entries), np.bool_)
        for column in self._counts:
            empty &= column.values[entries] == 0
        self._forget(np.unique(entries[empty]))

    def of(self, owners: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
        """``(entries, positions in owners, starts)`` as of ``EntryLists``, in no order."""
        entries, positions, starts = self._lists.of(owners)
        if self.table.expiry is not None:
            alive = self.table.alive(entries)
            entries, positions = entries[alive], positions[alive]
            starts = np.searchsorted(positions, np.arange(len(owners) + 1))
        return entries, positions, starts

    def values(self, entries: Int64Array) -> list[pa.Array]:
        """The values of entries."""
        columns: list[pa.Array] = self.table.rows(entries).columns[self._group_keys : len(self.table.key_schema)]
        return columns

    def counts(self, call: int, entries: Int64Array) -> Int64Array:
        """How often they are there."""
        counts: Int64Array = self._counts[call].values[entries]
        return counts

    def remove(self, owners: Int64Array) -> None:
        """Groups that are no more."""
        self._forget(self._lists.of(owners)[0])

    def _forget(self, entries: Int64Array) -> None:
        if len(entries):
            self._lists.unlink(entries)
            self.table.remove(entries)
