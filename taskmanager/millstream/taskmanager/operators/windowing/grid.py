"""The fast window operator: tumbling or sliding windows, the default trigger, no evictor.

Every window of a grid ends for all keys at the same time, so there is one timer a window instead of one a key and
window, and no trigger is asked: contents live in one dictionary a window (key to content, in order of arrival). A batch
is assigned to windows with numpy and added window by window in one tight loop. The watermark stands still within a
batch, so that only rows for windows already fired (allowed lateness) need to be handled one by one.

Neighbours: ``general`` does every other window with the same results; ``contents`` holds the loops.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import numpy.typing as npt

from millstream.core.api.windowing.time_assigners import TimeGridAssigner, missing_event_time
from millstream.core.api.windowing.window import TimeWindow
from millstream.core.elements.batch import NO_TIMESTAMP_MS, Batch
from millstream.core.elements.control import MIN_WATERMARK_MS, Watermark
from millstream.core.graph.specs import ChainedOperator, WindowSpec
from millstream.taskmanager.operators.windowing.assignment import Rows, Starts, TimeGrid, by_window
from millstream.taskmanager.operators.windowing.contents import MISSING, Table
from millstream.taskmanager.operators.windowing.grouped_rows import GroupedRows
from millstream.taskmanager.operators.windowing.keyed_base import KeyedWindowOperator


class GridWindowOperator(KeyedWindowOperator):
    """Runs a ``WindowSpec`` whose assigner is a ``TimeGridAssigner``."""

    def __init__(self, chained: ChainedOperator, spec: WindowSpec) -> None:
        super().__init__(chained, spec)
        assigner = spec.assigner
        assert isinstance(assigner, TimeGridAssigner)
        self._grid = TimeGrid(assigner.size_ms, assigner.slide_ms, assigner.offset_ms)
        self._event_time = assigner.is_event_time()
        self._lateness_ms = spec.allowed_lateness_ms if self._event_time else 0
        self._windows: dict[int, Table] = {}  # by start
        self._to_fire: list[int] = []  # starts, a heap: the window's one timer
        self._to_drop: list[int] = []  # starts of fired windows within the allowed lateness, a heap

    # -- records ------------------------------------------------------------------------------------------------

    def process(self, batch: Batch, input_index: int) -> None:
        values, keys = self.rows_and_keys(batch)
        if not values:
            return
        if self._event_time:
            times = self._event_times(batch, values)
            starts, rows = self._grid.pairs(times)
            passed = starts <= self._last_start(self.watermark_ms)
            if passed.any() or self._grid.has_gaps:
                self._add(starts[~passed], rows[~passed], keys, values)
                self._add_late(starts, rows, passed, times, keys, values)
                self.emission.flush()
                return
        else:
            now = np.full(len(values), self.context.clock.wall_ms(), dtype=np.int64)
            starts, rows = self._grid.pairs(now)
        self._add(starts, rows, keys, values)

    def _event_times(self, batch: Batch, values: list[Any]) -> Starts:
        times = batch.timestamps
        if times is None:
            raise self.failed(missing_event_time(values[0]), values[0])
        if times.min() == NO_TIMESTAMP_MS:
            row = int(times.argmin())
            raise self.failed(missing_event_time(values[row]), values[row])
        return times

    def _add(self, starts: Starts, rows: Rows, keys: list[Any], values: list[Any]) -> None:
        for start, members in by_window(starts, rows):
            table = self._windows.get(start)
            if table is None:
                table = self._open_window(start)
            if len(members) == len(values):
                self.add_rows(table, keys, values)
            else:
                chosen = members.tolist()
                self.add_rows(table, [keys[i] for i in chosen], [values[i] for i in chosen])

    def _open_window(self, start: int) -> Table:
        table: Table = {}
        self._windows[start] = table
        heapq.heappush(self._to_fire, start)
        if not self._event_time:
            self.context.schedule(start + self._grid.size_ms)
        return table

    def _add_late(
        self,
        starts: Starts,
        rows: Rows,
        passed: npt.NDArray[np.bool_],
        times: Starts,
        keys: list[Any],
        values: list[Any],
    ) -> None:
        """Rows of windows that have fired: each fires its window again, or is late when all its windows are gone."""
        gone = starts <= self._last_start(self.watermark_ms - self._lateness_ms)
        for start, row in zip(starts[passed & ~gone].tolist(), rows[passed & ~gone].tolist(), strict=True):
            key = keys[row]
            table = self._windows.get(start)
            if table is None:
                table = self._windows[start] = {}
                heapq.heappush(self._to_drop, start)
            self.add_rows(table, [key], [values[row]])
            self._emit(start, key, table[key])
        taken = np.zeros(len(values), dtype=np.bool_)
        taken[rows[~gone]] = True
        late = ~taken & (times <= self.watermark_ms - self._lateness_ms)
        for row in np.flatnonzero(late).tolist():
            self.late.take(values[row], int(times[row]))

    # -- time ---------------------------------------------------------------------------------------------------

    def process_watermark(self, watermark: Watermark) -> None:
        self.watermark_ms = max(self.watermark_ms, watermark.timestamp_ms)
        if self._event_time:
            self._fire_until(watermark.timestamp_ms)
        super().process_watermark(watermark)

    def on_processing_time(self, now_ms: int) -> None:
        super().on_processing_time(now_ms)
        if not self._event_time:
            # A window [s, e) is over when the clock shows e: at e - 1 further records may still come.
            self._fire_until(now_ms - 1)
            if self._to_fire:
                self.context.schedule(self._to_fire[0] + self._grid.size_ms)

    def _fire_until(self, time_ms: int) -> None:
        last_start = self._last_start(time_ms)
        while self._to_fire and self._to_fire[0] <= last_start:
            start = heapq.heappop(self._to_fire)
            table = self._windows[start]
            self.context.metrics.timers_fired += 1
            self._fire(start, table)
            if self._lateness_ms:
                heapq.heappush(self._to_drop, start)
            else:
                self._drop(start)
        while self._to_drop and self._to_drop[0] <= last_start - self._lateness_ms:
            self._drop(heapq.heappop(self._to_drop))
        self.emission.flush()

    def _last_start(self, time_ms: int) -> int:
        """The start of the latest window whose last millisecond is ``time_ms`` or before, give or take the grid."""
        return max(MIN_WATERMARK_MS, time_ms - self._grid.size_ms + 1)

    def _fire(self, start: int, table: Table) -> None:
        if self.function is None:
            self.emission.add_all(self.results(table), start + self._grid.size_ms - 1)
            return
        for key, content in table.items():
            self._emit(start, key, content)

    def _emit(self, start: int, key: Any, content: Any) -> None:
        window = TimeWindow(start, start + self._grid.size_ms)
        self.fire(key, window, content)

    def _drop(self, start: int) -> None:
        table = self._windows.pop(start)
        if self.function is not None and self.function.has_clear:
            window = TimeWindow(start, start + self._grid.size_ms)
            for key in table:
                self.function.clear(key, window)

    # -- state --------------------------------------------------------------------------------------------------

    def entry_count(self) -> int:
        return sum(len(table) for table in self._windows.values())

    def snapshot_contents(self, groups: GroupedRows) -> None:
        """One row a window and key: (window start, place in the order of arrival, key, content)."""
        freeze = self.contents.frozen
        for start in sorted(self._windows):
            table = self._windows[start]
            groups.add_rows(list(table), [(start, i, k, freeze(c)) for i, (k, c) in enumerate(table.items())])

    def restore_contents(self, rows: list[Any]) -> None:
        rows.sort(key=lambda row: (row[0], row[1]))
        for start, _, key, content in rows:
            table = self._windows.get(start)
            if table is None:
                table = self._windows[start] = {}
                fired = self._event_time and start + self._grid.size_ms - 1 <= self.watermark_ms
                heapq.heappush(self._to_drop if fired else self._to_fire, start)
            if table.get(key, MISSING) is MISSING:
                table[key] = self.contents.frozen(content)

    def schedule_restored(self) -> None:
        if not self._event_time and self._to_fire:
            self.context.schedule(self._to_fire[0] + self._grid.size_ms)
