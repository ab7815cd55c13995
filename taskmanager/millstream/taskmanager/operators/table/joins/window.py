"""The window join: rows of both sides wait until their window is over, then all pairs of the window come at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.elements.batch import Batch
from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS, Watermark
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import WindowJoinSpec
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.table.joins.join_side import JoinSide
from millstream.taskmanager.operators.table.joins.pairs import PairCondition
from millstream.taskmanager.operators.table.joins.stored_pairs import StoredPairs
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
            None
            if spec.condition is None
            else PairCondition(spec.condition, spec.left.type, spec.right.type, chained.name)
        )
        self._progress_ms = MIN_WATERMARK_MS
        self._first_end_ms = MIN_WATERMARK_MS
        """No window in state ends before it."""

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
        self._pairs = StoredPairs(self.spec.join, *self._sides, self._condition, self.evaluation, self.emit_columns)

    def process(self, batch: Batch, input_index: int) -> None:
        records = arrow_batch(batch).records
        ends = self._local_ends(records, input_index)
        late = ends - 1 <= self._progress_ms
        if late.any():
            self.context.metrics.late_records_dropped += int(late.sum())
            records, ends = records.filter(pa.array(~late)), ends[~late]
        if len(ends):
            self._first_end_ms = min(self._first_end_ms, int(ends.min()))
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
        if self._first_end_ms - 1 > progress_ms:
            return
        left, right = (self._due(index) for index in (0, 1))
        left_side, right_side = self._sides
        in_order = left[np.argsort(left_side.table.fixed(END).values[left], kind="stable")]
        self._pairs.emit(in_order, right)
        left_side.table.remove_rows(left)
        right_side.table.remove_rows(right)
        self._first_end_ms = min(self._first_end_of(side) for side in self._sides)

    def _first_end_of(self, side: JoinSide) -> int:
        ends = side.table.fixed(END).values[side.table.live_slots()]
        return int(ends.min()) if len(ends) else MAX_WATERMARK_MS

    def _due(self, index: int) -> Int64Array:
        table = self._sides[index].table
        slots = table.live_slots()
        due: Int64Array = slots[table.fixed(END).values[slots] - 1 <= self._progress_ms]
        return due
