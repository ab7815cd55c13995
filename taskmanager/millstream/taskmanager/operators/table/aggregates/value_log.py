"""The values of each group in the order of their arrival, for aggregates that depend on it.

A table by (group, number) holds one entry for each value; lists in memory find those of a group. A value that is taken
back is the oldest equal one, as in Flink.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.kernels.entry_lists import EntryLists
from millstream.core.kernels.row_index import RowIndex
from millstream.core.kernels.segment_sort import sort_segments
from millstream.taskmanager.operators.table.aggregates.accumulator import Int8Array, Int64Array, Stores
from millstream.taskmanager.state.columnar.row_encoding import encode_rows
from millstream.taskmanager.state.columnar.table import SLICE_SLOTS

_NUMBER: Final = "number"


class ValueLog:
    """``kinds`` are the types of the columns of an entry."""

    def __init__(self, stores: Stores, name: str, kinds: Sequence[pa.DataType]) -> None:
        fields = [pa.field(value_name(index), kind) for index, kind in enumerate(kinds)]
        self.table: Final = stores.table(name, [pa.field(_NUMBER, pa.int64())], fields)
        self._names = [field.name for field in fields]
        self._numbers = self.table.fixed(_NUMBER)
        self._lists = EntryLists()
        self._next = 0
        live = self.table.live_slots()
        if len(live):  # restored
            self._next = int(self._numbers.values[live].max()) + 1
            for start in range(0, len(live), SLICE_SLOTS):
                entries = live[start : start + SLICE_SLOTS]
                owners = stores.group.find(self.table.columns_at(entries, stores.group.key_schema.names), len(entries))
                self._lists.link(entries[owners >= 0], owners[owners >= 0])

    @property
    def next_number(self) -> int:
        """Entries have numbers in the order in which they come; the next new one has this."""
        return self._next

    def append(self, owners: Int64Array, keys: Sequence[pa.Array], values: Sequence[pa.Array]) -> Int64Array:
        """A new entry for each row; ``owners`` are slots of groups, ``keys`` theirs."""
        if not len(owners):
            return np.empty(0, np.int64)
        numbers = pa.array(np.arange(self._next, self._next + len(owners)))
        self._next += len(owners)
        entries, _ = self.table.lookup([*keys, numbers], len(owners))
        self.table.touch(entries)
        self.table.put(entries, self._names[: len(values)], values)
        self._lists.unlink(entries)  # what expired left its links
        self._lists.link(entries, owners)
        return entries

    def replace(self, entries: Int64Array, first: int, values: Sequence[pa.Array]) -> None:
        """Other values in the columns from ``first`` on of entries that are there."""
        if len(entries):
            self.table.touch(entries)
            self.table.put(entries, self._names[first : first + len(values)], values)

    def take_back(self, owners: Int64Array, values: Sequence[pa.Array]) -> None:
        """For each row, the oldest entry of its group with equal values goes; nothing where there is none."""
        if len(owners):
            self.forget(self.equal_entries(owners, values, range(len(values))))

    def equal_entries(self, owners: Int64Array, values: Sequence[pa.Array], columns: Sequence[int]) -> Int64Array:
        """For each row, the oldest entry of its group with these values in ``columns``, if there is one."""
        wanted, of_rows = np.unique(owners, return_inverse=True)
        entries, positions = self.of(wanted)
        known = [self.column(index, entries) for index in columns]
        index = RowIndex()
        groups = pa.array(np.concatenate([positions, of_rows]))
        both = [pa.concat_arrays([mine, its.cast(mine.type)]) for mine, its in zip(known, values, strict=True)]
        codes, _ = index.slots_of_rows(*encode_rows([groups, *both], len(groups)))
        occurrences = _occurrences(codes[: len(entries)])
        asked = _occurrences(codes[len(entries) :])
        number_of = len(groups) + 1
        have = codes[: len(entries)] * number_of + occurrences
        ask = codes[len(entries) :] * number_of + asked
        return entries[np.isin(have, ask)]

    def of(self, owners: Int64Array) -> tuple[Int64Array, Int64Array]:
        """``(entries, positions in owners)``: by owner, the oldest first."""
        entries, positions, starts = self.unordered(owners)
        order = sort_segments(starts, [self._numbers.values[entries]])
        return entries[order], positions

    def unordered(self, owners: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
        """``(entries, positions in owners, starts)``, by owner, in no order."""
        entries, positions, starts = self._lists.of(owners)
        if self.table.expiry is not None:
            alive = self.table.alive(entries)
            entries, positions = entries[alive], positions[alive]
            starts = np.searchsorted(positions, np.arange(len(owners) + 1))
        return entries, positions, starts

    def values(self, entries: Int64Array) -> list[pa.Array]:
        """The columns of entries."""
        return self.table.columns_at(entries, self._names)

    def column(self, index: int, entries: Int64Array) -> pa.Array:
        """One column of entries."""
        return self.table.column(self._names[index]).gather(entries)

    def numbers(self, entries: Int64Array) -> Int64Array:
        """The numbers of entries."""
        numbers: Int64Array = self._numbers.values[entries]
        return numbers

    def owners(self, entries: Int64Array) -> Int64Array:
        """The groups of entries."""
        return self._lists.owners_of(entries)

    def remove(self, owners: Int64Array) -> None:
        """Groups that are no more."""
        self.forget(self._lists.of(owners)[0])

    def forget(self, entries: Int64Array) -> None:
        """Entries that are no more, each once."""
        if len(entries):
            self._lists.unlink(entries)
            self.table.remove(entries)


def value_name(index: int) -> str:
    """The field of a column of entries."""
    return f"v{index}"


def signed_parts(signs: Int8Array, rows: int) -> tuple[Int64Array, Int64Array]:
    """The positions of rows that are added, and of those that are taken back."""
    if not len(signs):
        return np.arange(rows), np.empty(0, np.int64)
    return np.flatnonzero(signs > 0), np.flatnonzero(signs < 0)


def _occurrences(codes: Int64Array) -> Int64Array:
    """For each element, how many equal ones stand before it."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    firsts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(codes) else order
    lengths = np.diff(np.append(firsts, len(codes)))
    counts: Int64Array = np.empty(len(codes), np.int64)
    counts[order] = np.arange(len(codes)) - np.repeat(firsts, lengths)
    return counts
