"""All rows of each partition in the order of their arrival, found by partition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.clock import Clock
from millstream.core.elements.batch import ArrowBatch
from millstream.core.kernels.arrow_views import fixed_dtype
from millstream.core.kernels.groups import Grouping, Groups
from millstream.core.kernels.segment_sort import sort_segments
from millstream.core.table.row_type import RowType
from millstream.core.table.specs import SortKey
from millstream.taskmanager.operators.table.aggregates.accumulator import Stores
from millstream.taskmanager.operators.table.aggregates.value_log import ValueLog, value_name
from millstream.taskmanager.operators.table.ordering import codes_of
from millstream.taskmanager.operators.table.row_kinds import signs_of
from millstream.taskmanager.operators.table.timestamps import Int64Array
from millstream.taskmanager.state.columnar.table import SLICE_SLOTS, ColumnTable

_LOG: Final = "rows"


def partition_logs(row_type: RowType, order: Iterable[int]) -> dict[str, list[str]]:
    """For ``logs`` of an operator with such rows, that reads the columns ``order`` of all rows of a partition."""
    fixed = [index for index in order if fixed_dtype(row_type[index].type.arrow()) is not None]
    return {_LOG: [value_name(index) for index in fixed]}


class PartitionedRows:
    """``keys`` are the fields of a partition. Only the rows are saved: partitions are numbered anew after a restore."""

    def __init__(
        self,
        row_type: RowType,
        keys: pa.Schema,
        make_table: Callable[[str, pa.Schema, pa.Schema], ColumnTable],
        clock: Clock,
    ) -> None:
        self._partitions = ColumnTable("partitions", keys, pa.schema([]), clock=clock, tracks_changes=False)
        kinds = [column.type.arrow() for column in row_type.columns]
        made: dict[str, ColumnTable] = {}

        def table(name: str, more: list[pa.Field], values: list[pa.Field]) -> ColumnTable:
            rows = make_table(name, pa.schema([*keys, *more]), pa.schema(values))
            live = rows.live_slots()
            for start in range(0, len(live), SLICE_SLOTS):  # restored
                part = live[start : start + SLICE_SLOTS]
                self._partitions.lookup(rows.columns_at(part, keys.names), len(part))
            made[name] = rows
            return rows

        self.log: Final = ValueLog(Stores(self._partitions, table), _LOG, kinds)
        self._grouping = Grouping()

    def place(self, keys: Sequence[pa.Array], rows: int) -> Groups:
        """The partitions of a batch."""
        slots, _ = self._partitions.lookup(keys, rows)
        return self._grouping.of(slots)

    def change(self, batch: ArrowBatch, groups: Groups, key_columns: Sequence[int]) -> Int64Array:
        """Append what a batch adds; the entries that it takes back, which are there until they are forgotten.

        ``groups`` are those that ``place`` gave. A row takes back the oldest entry that has its columns.
        """
        owners = groups.slots[groups.of_rows]
        signs = signs_of(batch)
        if signs is None:
            self._append(batch, owners, key_columns)
            return np.empty(0, np.int64)
        added, taken = np.flatnonzero(signs > 0), np.flatnonzero(signs < 0)
        self._append(batch.take(added), owners[added], key_columns)
        columns = batch.take(taken).records.columns
        return self.log.equal_entries(owners[taken], columns, range(len(columns)))

    def _append(self, batch: ArrowBatch, owners: Int64Array, key_columns: Sequence[int]) -> None:
        keys = [batch.records.column(index) for index in key_columns]
        self.log.append(owners, keys, batch.records.columns)

    def sorted(
        self, partitions: Int64Array, order: Sequence[SortKey]
    ) -> tuple[Int64Array, Int64Array, list[Int64Array]]:
        """``(entries, positions in partitions, codes of the order)``: by partition, then in order, as they came."""
        entries, positions, starts = self.log.unordered(partitions)
        codes = [codes_of(self.log.column(key.column, entries), key) for key in order]
        ordered = sort_segments(starts, [*codes, self.log.numbers(entries)])
        return entries[ordered], positions, [column[ordered] for column in codes]

    def all_partitions(self) -> Int64Array:
        """Every partition that has had rows."""
        return self._partitions.live_slots()

    def keys(self, partitions: Int64Array) -> list[pa.Array]:
        """The key columns of partitions."""
        return list(self._partitions.rows(partitions).columns)

    def forget_partitions(self, partitions: Int64Array) -> None:
        """Partitions without rows."""
        self._partitions.remove(partitions)
