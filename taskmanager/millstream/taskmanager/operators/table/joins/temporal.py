"""The temporal join: each left row with the version of the right row of its key that was valid at its time.

By event time both sides wait for the watermark: then all versions up to a left row's time are known. Of versions that
are over, the latest is kept. By processing time the right side is a table that is looked up as it is now.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.elements.control import MAX_WATERMARK_MS, Watermark
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import TemporalJoinSpec
from millstream.taskmanager.operators.table.joins.join_side import JoinSide
from millstream.taskmanager.operators.table.joins.pairs import PairCondition, with_gaps
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator
from millstream.taskmanager.operators.table.row_kinds import UPDATE_BEFORE, filled, signs_of
from millstream.taskmanager.operators.table.table_operator import arrow_batch
from millstream.taskmanager.operators.table.timestamps import milliseconds_of

Int64Array = npt.NDArray[np.int64]

TIME: Final = "_time"
KIND: Final = "_kind"
ORDER: Final = "_order"
_LEFT: Final = 0


class TemporalJoinOperator(KeyedTableOperator[TemporalJoinSpec]):
    """Implements ``TemporalJoinSpec``."""

    def __init__(self, chained: ChainedOperator, spec: TemporalJoinSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self._condition = (
            None
            if spec.condition is None
            else PairCondition(spec.condition, spec.left.type, spec.right.type, chained.name)
        )
        self._next_order = 0
        self._unswept: list[Int64Array] = []
        """Of versions that have not been looked through for ones that are over."""

    def declare(self) -> None:
        version = [pa.field(TIME, pa.int64()), pa.field(KIND, pa.int8()), pa.field(ORDER, pa.int64())]
        self._left = JoinSide(self.spec.left, "left", self.backend, (), extra=version)
        self._right = JoinSide(self.spec.right, "versions", self.backend, (), extra=version)
        self._unswept = [self._right.table.live_slots()]
        for side in (self._left, self._right):
            slots = side.table.live_slots()
            if len(slots):
                self._next_order = max(self._next_order, int(side.table.fixed(ORDER).values[slots].max()) + 1)

    def process(self, batch: Batch, input_index: int) -> None:
        arrow = arrow_batch(batch)
        if input_index == _LEFT:
            if self.spec.event_time:
                self._append(self._left, arrow, self.spec.left_time)
            else:
                self._append(self._left, arrow, None)
                self._answer(self._left.table.live_slots())
            return
        kinds = arrow.row_kinds
        if kinds is not None and (kinds == UPDATE_BEFORE).any():  # the row after it says all
            kept = kinds != UPDATE_BEFORE
            arrow = ArrowBatch(arrow.records.filter(pa.array(kept)), None, kinds[kept])
        self._append(self._right, arrow, self.spec.right_time if self.spec.event_time else None)
        if not self.spec.event_time:
            self._forget(MAX_WATERMARK_MS)

    def process_watermark(self, watermark: Watermark) -> None:
        if self.spec.event_time:
            self._advance(watermark.timestamp_ms)
        super().process_watermark(watermark)

    def finish(self) -> None:
        self._advance(MAX_WATERMARK_MS)
        super().finish()

    # -- inner ----------------------------------------------------------------------------------------------------

    def _append(self, side: JoinSide, batch: ArrowBatch, time: int | None) -> None:
        rows = batch.num_rows
        times = np.zeros(rows, np.int64) if time is None else milliseconds_of(batch.records.column(time))
        signs = signs_of(batch)
        signs = filled(rows, 1) if signs is None else signs
        if side is self._left and batch.row_kinds is not None:
            signs = batch.row_kinds
        order = np.arange(self._next_order, self._next_order + rows)
        self._next_order += rows
        slots = side.append(batch.records, pa.array(times), pa.array(signs, pa.int8()), pa.array(order))
        if side is self._right:
            self._unswept.append(slots)

    def _advance(self, watermark_ms: int) -> None:
        table = self._left.table
        slots = table.live_slots()
        self._answer(slots[table.fixed(TIME).values[slots] <= watermark_ms])
        self._forget(watermark_ms)

    def _answer(self, left: Int64Array) -> None:
        """Emit the left rows at these slots, in the order in which they came, and drop them."""
        if not len(left):
            return
        table = self._left.table
        left = left[np.argsort(table.fixed(ORDER).values[left], kind="stable")]
        columns = self._left.rows(left)
        kinds = table.fixed(KIND).values[left] if self.spec.left.retracts else None
        version = self._versions(left, columns)
        found = version >= 0
        if self._condition is not None and found.any():
            places = np.flatnonzero(found)
            holds = self._condition.holds(
                lambda indexes: [columns[index].take(pa.array(places)) for index in indexes],
                lambda indexes: self._right.some_columns(version[places], indexes),
                self.evaluation(len(places)),
            )
            found[places[~holds]] = False
        if not self.spec.join.keeps_left:
            chosen = pa.array(found)
            columns = [column.filter(chosen) for column in columns]
            kinds = None if kinds is None else kinds[found]
            version, found = version[found], found[found]
        slots = version[found]
        places = np.full(len(version), -1, np.int64)
        places[found] = np.arange(len(slots))
        if len(version):
            self.emit_columns([*columns, *with_gaps(self._right.rows(slots), places)], kinds)
        table.remove_rows(left)

    def _versions(self, left: Int64Array, columns: list[pa.Array]) -> Int64Array:
        """The slot of the version valid at the time of each left row; -1 where there is none."""
        named = pa.RecordBatch.from_arrays(columns, names=self._left.names)
        positions, slots = self._right.table.rows_of(self._right.table.find(self._left.keys(named), len(left)))
        mask = self._left.can_match(named)
        versions = self._right.table
        known = versions.fixed(TIME).values[slots] <= self._left.table.fixed(TIME).values[left][positions]
        if mask is not None:
            known &= mask[positions]
        positions, slots = positions[known], slots[known]
        order = np.lexsort((versions.fixed(ORDER).values[slots], versions.fixed(TIME).values[slots], positions))
        positions, slots = positions[order], slots[order]
        latest: Int64Array = np.full(len(left), -1, np.int64)
        latest[positions] = slots  # of equal positions the last one stays
        valid = latest >= 0
        latest[valid] = np.where(versions.fixed(KIND).values[latest[valid]] > 0, latest[valid], -1)
        return latest

    def _forget(self, watermark_ms: int) -> None:
        """Of the versions of a key that began by ``watermark_ms``, all but the latest are over."""
        versions = self._right.table
        unswept = np.concatenate(self._unswept)
        begun = versions.fixed(TIME).values[unswept] <= watermark_ms
        self._unswept = [unswept[~begun]]
        if not begun.any():
            return
        # Only keys with a version that has begun since the last time have one that is over.
        due = unswept[begun]
        changed = np.unique(versions.find(versions.keys_of(due), len(due)))
        keys, slots = versions.rows_of(changed)
        times = versions.fixed(TIME).values[slots]
        known = times <= watermark_ms
        keys, slots, times = keys[known], slots[known], times[known]
        order = np.lexsort((versions.fixed(ORDER).values[slots], times, keys))
        ordered = keys[order]
        last = np.append(ordered[1:] != ordered[:-1], True)
        newest = slots[order[last]]
        deleted = newest[versions.fixed(KIND).values[newest] < 0] if watermark_ms == MAX_WATERMARK_MS else newest[:0]
        versions.remove_rows(np.concatenate([slots[order[~last]], deleted]))
