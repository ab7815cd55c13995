"""OVER by any order and with any frame, over input that may take rows back.

All rows of each partition are kept, with the results that were emitted for them beside. After each batch the partitions
it touched are computed anew, all at once, and the difference is emitted: -D for rows that are gone, -U and +U for those
whose results changed, +I for new ones. In batch mode rows are only kept until the input ends.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.kernels.segment_sort import sort_segments
from millstream.core.table.specs import FrameKind, GeneralOverSpec
from millstream.taskmanager.operators.table.aggregates.accumulator import LazyColumns
from millstream.taskmanager.operators.table.aggregates.trial import trial
from millstream.taskmanager.operators.table.changelog import BoolArray, Int64Array, equal_rows
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator, columns_at, key_fields
from millstream.taskmanager.operators.table.ordering import codes_of
from millstream.taskmanager.operators.table.over_distances import Distances
from millstream.taskmanager.operators.table.over_frames import SortedRows, frame_results
from millstream.taskmanager.operators.table.over_numbers import OFFSETS, goes_by_place, numbered, shifted
from millstream.taskmanager.operators.table.partitioned_rows import PartitionedRows, partition_logs
from millstream.taskmanager.operators.table.row_kinds import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE, Kinds
from millstream.taskmanager.operators.table.table_operator import arrow_batch
from millstream.taskmanager.state.columnar.table import ColumnTable


class GeneralOverOperator(KeyedTableOperator[GeneralOverSpec]):
    """State: all rows by partition, and their results unless these are emitted once at the end."""

    def __init__(self, chained: ChainedOperator, spec: GeneralOverSpec) -> None:
        super().__init__(chained, spec, spec.output, spec.ttl_ms)
        self.logs = partition_logs(spec.input, (key.column for key in spec.order))
        self._width = len(spec.input)
        self._framed = [call for call in spec.aggregates if not goes_by_place(call)]
        bounded = spec.frame is FrameKind.RANGE and bool(spec.preceding or spec.following)
        self._measured = spec.order[0] if bounded else None

    def declare(self) -> None:
        spec = self.spec
        self._rows = PartitionedRows(
            spec.input if spec.final_only else spec.output,
            key_fields(spec.input, spec.partition),
            lambda name, keys, values: self.table(name, keys, values, len(spec.partition)),
            self.context.clock,
        )
        self._trial = trial(spec.input, spec.partition, self._framed, self.context.clock)

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if not batch.num_rows:
            return
        groups = self._rows.place(columns_at(batch, self.spec.partition), batch.num_rows)
        first_new = self._rows.log.next_number
        gone = self._rows.change(batch, groups, self.spec.partition)
        if self.spec.final_only:
            self._rows.log.forget(gone)
            return
        with self.evaluating(batch.records, self._trial):
            self._renew(groups.slots, first_new, gone)

    def finish(self) -> None:
        if self.spec.final_only:
            entries, rows, _ = self._sorted(self._rows.all_partitions(), np.empty(0, np.int64))
            if len(entries):
                self.emit_columns([*self._rows.log.values(entries), *self._results(rows)])
        super().finish()

    # -- computing ----------------------------------------------------------------------------------------------

    def _sorted(self, partitions: Int64Array, gone: Int64Array) -> tuple[Int64Array, SortedRows, Int64Array]:
        """``(entries, the same as rows, entries by partition in order)`` of what partitions have but ``gone``."""
        log = self._rows.log
        entries, positions, starts = log.unordered(partitions)
        if len(gone):
            stays = ~np.isin(entries, gone)
            entries, positions = entries[stays], positions[stays]
            starts = np.searchsorted(positions, np.arange(len(partitions) + 1))
        codes = [codes_of(log.column(key.column, entries), key) for key in self.spec.order]
        order = sort_segments(starts, [*codes, log.numbers(entries)])
        entries = entries[order]
        changes = np.zeros(len(entries), np.bool_)
        for column in codes:
            ordered = column[order]
            changes[1:] |= ordered[1:] != ordered[:-1]
        key = self._measured
        columns = LazyColumns(self._width, lambda index: log.column(index, entries))
        distances = None if key is None else Distances(columns[key.column], key)
        rows = SortedRows(positions, np.cumsum(changes), columns, distances)
        return entries, rows, starts

    def _results(self, rows: SortedRows) -> list[pa.Array]:
        """A column for each call, of the types of the output."""
        spec = self.spec
        frame = (spec.frame, spec.preceding, spec.following)
        framed = iter(frame_results(self._framed, rows, frame, self._passing_table))
        every = np.arange(len(rows.partitions))
        results = []
        for call, field in zip(spec.aggregates, list(self.schema)[self._width :], strict=True):
            if not goes_by_place(call):
                column = next(framed)
            elif call.name in OFFSETS:
                column = shifted(call, rows, every)
            else:
                column = numbered(call, rows, every)
            results.append(column if column.type == field.type else column.cast(field.type))
        return results

    def _passing_table(self, name: str, keys: pa.Schema, values: pa.Schema) -> ColumnTable:
        """Not part of the state: it lives while frames are aggregated."""
        return ColumnTable(name, keys, values, clock=self.context.clock, tracks_changes=False)

    # -- changes ------------------------------------------------------------------------------------------------

    def _renew(self, partitions: Int64Array, first_new: int, gone: Int64Array) -> None:
        """Compute ``partitions`` anew, emit and remember what changed. Entries from number ``first_new`` are new."""
        log = self._rows.log
        entries, rows, starts = self._sorted(partitions, gone)
        results = self._results(rows)
        is_new = log.numbers(entries) >= first_new
        old = np.flatnonzero(~is_new)
        known = [log.column(self._width + index, entries[old]) for index in range(len(results))]
        moved = ~equal_rows(known, [column.take(pa.array(old)) for column in results])
        self._emit(gone[log.numbers(gone) < first_new], entries, results, is_new, old[moved])
        renewed = np.concatenate([np.flatnonzero(is_new), old[moved]])
        log.replace(entries[renewed], self._width, [column.take(pa.array(renewed)) for column in results])
        log.forget(gone)
        self._rows.forget_partitions(partitions[starts[1:] == starts[:-1]])

    def _emit(
        self, gone: Int64Array, entries: Int64Array, results: list[pa.Array], is_new: BoolArray, updated: Int64Array
    ) -> None:
        """Rows that are gone first: those that take their place may have the same key."""
        log = self._rows.log
        after = np.flatnonzero(is_new)
        before = updated if self.spec.update_before else updated[:0]
        old = np.concatenate([gone, entries[before]])
        new = np.concatenate([updated, after])
        if not len(old) and not len(new):
            return
        # Deletes, then each update with what was before it, then inserts.
        ranks = np.concatenate(
            [np.zeros(len(gone), np.int64), 1 + 2 * before, 2 + 2 * updated, np.full(len(after), 2 * len(entries) + 2)]
        )
        order = np.argsort(ranks, kind="stable")
        kinds: Kinds = np.repeat(
            np.array([DELETE, UPDATE_BEFORE, UPDATE_AFTER, INSERT], np.int8),
            [len(gone), len(before), len(updated), len(after)],
        )
        sources = np.concatenate([old, entries[new]])[order]
        columns = [log.column(index, sources) for index in range(self._width)]
        for index, column in enumerate(results):
            both = pa.concat_arrays([log.column(self._width + index, old), column.take(pa.array(new))])
            columns.append(both.take(pa.array(order)))
        self.emit_columns(columns, kinds[order])
