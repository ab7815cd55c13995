"""The window join: rows of both sides wait until their window is over, then all pairs of the window come at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.elements.batch import Batch
from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS, Watermark
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import JoinKind, WindowJoinSpec
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.table.joins.join_side import JoinSide
from millstream.taskmanager.operators.table.joins.pairs import PairCondition, nulls, with_gaps
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator
from millstream.taskmanager.operators.table.table_operator import arrow_batch
from millstream.taskmanager.operators.table.timestamps import is_instant, milliseconds_of
from millstream.taskmanager.operators.table.window_properties import WindowTimes

Int64Array = npt.NDArray[np.int64]

END = "_end"


class WindowJoinOperator(KeyedTableOperator[WindowJoinSpec]):
    """Implements ``WindowJoinSpec``. The window's start and end are among the keys."""

    def __init__(self, chained: ChainedOperator, spec: WindowJoinSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self._ends = (spec.left_window[1], spec.right_window[1])
        self._condition = (
            None if spec.condition is None else PairCondition(spec.condition, spec.left.type, spec.right.type)
        )
        self._progress_ms = MIN_WATERMARK_MS

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        instants = is_instant(self.spec.left.type[self._ends[0]].type.arrow())
        self._window_times = WindowTimes(self.time_zone, instants)
        self._progress_ms = self._window_times.progress(self.watermark_ms)

    def declare(self) -> None:
        end = [pa.field(END, pa.int64())]
        self._sides = (
            JoinSide(self.spec.left, "left", self.backend, (), extra=end),
            JoinSide(self.spec.right, "right", self.backend, (), extra=end),
        )

    def process(self, batch: Batch, input_index: int) -> None:
        records = arrow_batch(batch).records
        ends = self._local_ends(records, input_index)
        late = ends - 1 <= self._progress_ms
        if late.any():
            self.context.metrics.late_records_dropped += int(late.sum())
            records, ends = records.filter(pa.array(~late)), ends[~late]
        self._sides[input_index].append(records, pa.array(ends))

    def process_watermark(self, watermark: Watermark) -> None:
        self._fire(self._window_times.progress(watermark.timestamp_ms))
        super().process_watermark(watermark)

    def finish(self) -> None:
        self._fire(MAX_WATERMARK_MS)
        super().finish()

    # -- inner ----------------------------------------------------------------------------------------------------

    def _local_ends(self, records: pa.RecordBatch, index: int) -> Int64Array:
        return self._window_times.local(milliseconds_of(records.column(self._ends[index])))

    def _fire(self, progress_ms: int) -> None:
        self._progress_ms = progress_ms
        left, right = (self._due(index) for index in (0, 1))
        if not len(left) and not len(right):
            return
        left_side, right_side = self._sides
        left_order = left[np.argsort(left_side.table.fixed(END).values[left], kind="stable")]
        keys = left_side.table.keys_of(left_order)
        positions, partners = right_side.table.rows_of(right_side.table.find(keys, len(left_order)))
        mask = left_side.can_match(pa.RecordBatch.from_arrays(left_side.rows(left_order), names=left_side.names))
        if mask is not None:
            known = mask[positions]
            positions, partners = positions[known], partners[known]
        if self._condition is not None and len(positions):
            pairs = left_order[positions]
            holds = self._condition.holds(
                lambda indexes: left_side.some_columns(pairs, indexes),
                lambda indexes: right_side.some_columns(partners, indexes),
                self.evaluation(len(positions)),
            )
            positions, partners = positions[holds], partners[holds]
        self._emit(left_order, right, positions, partners)
        left_side.table.remove_rows(left)
        right_side.table.remove_rows(right)

    def _due(self, index: int) -> Int64Array:
        table = self._sides[index].table
        slots = table.live_slots()
        due: Int64Array = slots[table.fixed(END).values[slots] - 1 <= self._progress_ms]
        return due

    def _emit(self, left: Int64Array, right: Int64Array, positions: Int64Array, partners: Int64Array) -> None:
        left_side, right_side = self._sides
        kind = self.spec.join
        matched = np.bincount(positions, minlength=len(left)) > 0
        if kind in (JoinKind.SEMI, JoinKind.ANTI):
            chosen = left[matched if kind is JoinKind.SEMI else ~matched]
            if len(chosen):
                self.emit_columns(left_side.rows(chosen))
            return
        theirs = right_side.rows(partners)
        if kind.keeps_left and not matched.all():
            alone = np.flatnonzero(~matched)
            order = np.argsort(np.concatenate([positions, alone]), kind="stable")
            places = np.concatenate([np.arange(len(positions)), np.full(len(alone), -1, np.int64)])[order]
            positions = np.concatenate([positions, alone])[order]
            theirs = with_gaps(theirs, places)
        if len(positions):
            self.emit_columns([*left_side.rows(left[positions]), *theirs])
        if kind.keeps_right:
            rest = right[~np.isin(right, partners)]
            if len(rest):
                self.emit_columns([*nulls(self.spec.left.type, len(rest)), *right_side.rows(rest)])
