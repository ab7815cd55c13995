"""The interval join: rows whose times are within bounds of each other; state is dropped as the watermark passes."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.elements.batch import Batch
from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS, Watermark
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import IntervalJoinSpec
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.table.joins.join_side import MATCHES, JoinSide
from millstream.taskmanager.operators.table.joins.pairs import PairCondition, columns_of, nulls, taken
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator
from millstream.taskmanager.operators.table.table_operator import arrow_batch
from millstream.taskmanager.operators.table.timestamps import milliseconds_of

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]

TIME: Final = "_time"
_LEFT: Final = 0
_SWEEP_SHARE: Final = 4
"""State is swept when the watermark has moved by this part of the interval."""
_SWEEP_MS_MIN: Final = 1000


class IntervalJoinOperator(KeyedTableOperator[IntervalJoinSpec]):
    """Implements ``IntervalJoinSpec``. Rows of outer sides come without a partner when none can follow any more."""

    def __init__(self, chained: ChainedOperator, spec: IntervalJoinSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self._outer = (spec.join.keeps_left, spec.join.keeps_right)
        self._condition = (
            None
            if spec.condition is None
            else PairCondition(spec.condition, spec.left.type, spec.right.type, chained.name)
        )
        # A row of side i matches rows of the other side with times from time + bounds[i][0] to time + bounds[i][1].
        self._bounds = ((-spec.upper_ms, -spec.lower_ms), (spec.lower_ms, spec.upper_ms))
        self._times = (spec.left_time, spec.right_time)
        self._swept_ms = 0
        self._interval_ms = max(_SWEEP_MS_MIN, (spec.upper_ms - spec.lower_ms) // _SWEEP_SHARE)

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        if not self.spec.event_time:
            context.schedule(context.clock.wall_ms() + self._interval_ms)

    def declare(self) -> None:
        spec = self.spec
        time = [pa.field(TIME, pa.int64())]
        left = JoinSide(spec.left, "left", self.backend, (), counted=self._outer[0], extra=time)
        right = JoinSide(spec.right, "right", self.backend, (), counted=self._outer[1], extra=time)
        self._sides = (left, right)

    def process(self, batch: Batch, input_index: int) -> None:
        records = arrow_batch(batch).records
        side, other = self._sides[input_index], self._sides[1 - input_index]
        mask = self._can_match(records, input_index)
        if mask is not None:
            if self._outer[input_index]:
                self._emit_alone(records.filter(pa.array(~mask)).columns, input_index)
            records = records.filter(pa.array(mask))
        times = self._times_of(records, input_index)
        positions, slots = other.table.rows_of(other.table.find(side.keys(records), records.num_rows))
        low, high = self._bounds[input_index]
        distance = other.table.fixed(TIME).values[slots] - times[positions]
        near = (distance >= low) & (distance <= high)
        # State is swept now and then: what is past its time must not depend on when.
        near &= self._last_partner(other.table.fixed(TIME).values[slots], 1 - input_index) > self.watermark_ms
        positions, slots = positions[near], slots[near]
        if self._condition is not None and len(positions):
            holds = self._holds(records, positions, slots, input_index)
            positions, slots = positions[holds], slots[holds]
        if len(positions):
            mine, theirs = taken(records, positions), other.rows(slots)
            self.emit_columns([*mine, *theirs] if input_index == _LEFT else [*theirs, *mine])
            if other.counted:
                other.table.touch(np.unique(slots))
                other.matches()[slots] = 1
        self._keep(records, times, positions, input_index)

    def process_watermark(self, watermark: Watermark) -> None:
        if self.spec.event_time:
            due = watermark.timestamp_ms >= self._swept_ms + self._interval_ms
            if due or any(self._outer) or watermark.timestamp_ms == MAX_WATERMARK_MS:
                self._sweep(watermark.timestamp_ms)
            self.watermark_ms = max(self.watermark_ms, watermark.timestamp_ms)
            watermark = self._held_back(watermark)
        super().process_watermark(watermark)

    def on_processing_time(self, now_ms: int) -> None:
        super().on_processing_time(now_ms)
        if not self.spec.event_time:
            self._sweep(now_ms)
            self.context.schedule(now_ms + self._interval_ms)

    def finish(self) -> None:
        self._sweep(MAX_WATERMARK_MS)
        super().finish()

    # -- inner ----------------------------------------------------------------------------------------------------

    def _held_back(self, watermark: Watermark) -> Watermark:
        """A row that comes after the watermark may be joined with one that is older by the width of a bound."""
        if watermark.timestamp_ms == MAX_WATERMARK_MS:
            return watermark
        lag_ms = max(0, -self.spec.lower_ms, self.spec.upper_ms)
        return Watermark(max(MIN_WATERMARK_MS, watermark.timestamp_ms - lag_ms))

    def _can_match(self, records: pa.RecordBatch, index: int) -> BoolArray | None:
        """False for rows with a NULL key or without a time; None where all rows can match."""
        mask = self._sides[index].can_match(records)
        times = records.column(self._times[index])
        if self.spec.event_time and times.null_count:
            valid: BoolArray = times.is_valid().to_numpy(zero_copy_only=False)
            mask = valid if mask is None else mask & valid
        return mask

    def _times_of(self, records: pa.RecordBatch, index: int) -> Int64Array:
        if not self.spec.event_time:
            return np.full(records.num_rows, self.context.clock.wall_ms(), np.int64)
        return milliseconds_of(records.column(self._times[index]))

    def _holds(self, records: pa.RecordBatch, positions: Int64Array, slots: Int64Array, index: int) -> BoolArray:
        assert self._condition is not None
        other = self._sides[1 - index]
        sides = (
            columns_of(records, positions),
            lambda indexes: other.some_columns(slots, indexes),
        )
        left, right = sides if index == _LEFT else sides[::-1]
        return self._condition.holds(left, right, self.evaluation(len(positions)))

    def _keep(self, records: pa.RecordBatch, times: Int64Array, positions: Int64Array, index: int) -> None:
        """Rows that may still match one that comes; others of an outer side come alone now."""
        side = self._sides[index]
        waits = self._last_partner(times, index) > self.watermark_ms
        matched: BoolArray = np.zeros(records.num_rows, np.bool_)
        matched[positions] = True
        if self._outer[index]:
            alone = ~waits & ~matched
            if alone.any():
                self._emit_alone(records.filter(pa.array(alone)).columns, index)
        if not waits.all():
            records, times, matched = records.filter(pa.array(waits)), times[waits], matched[waits]
        counts = [pa.array(matched.astype(np.int64))] if side.counted else []
        side.append(records, *counts, pa.array(times))

    def _last_partner(self, times: Int64Array, index: int) -> Int64Array:
        """The greatest time that a partner of each row can have."""
        return times + self._bounds[index][1]

    def _sweep(self, now_ms: int) -> None:
        self._swept_ms = now_ms
        for index, side in enumerate(self._sides):
            slots = side.table.live_slots()
            gone = slots[self._last_partner(side.table.fixed(TIME).values[slots], index) <= now_ms]
            if not len(gone):
                continue
            if self._outer[index]:
                alone = gone[side.table.fixed(MATCHES).values[gone] == 0]
                self._emit_alone(side.rows(alone), index)
            side.table.remove_rows(gone)

    def _emit_alone(self, columns: list[pa.Array], index: int) -> None:
        if columns and len(columns[0]):
            missing = nulls(self._sides[1 - index].spec.type, len(columns[0]))
            self.emit_columns([*columns, *missing] if index == _LEFT else [*missing, *columns])
