"""Frames of OVER: for each row of a sorted partition, from which row to which they reach, and their aggregates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.specs import FrameBound, FrameKind
from millstream.taskmanager.operators.table.aggregates.accumulator import (
    AggregateRows,
    BoolArray,
    ChosenColumns,
    Int64Array,
)
from millstream.taskmanager.operators.table.aggregates.aggregate_set import AggregateSet, MakeTable
from millstream.taskmanager.operators.table.over_distances import Distances, first_at_least

_EXPLODED_ROWS_MAX: Final = 1 << 20
_FRAME_KEY: Final = pa.schema([pa.field("frame", pa.int64())])


@dataclass
class SortedRows:
    """Rows by partition, then in order. ``times`` are integers that ascend in the order, equal for peers."""

    partitions: Int64Array
    times: Int64Array
    columns: Sequence[pa.Array]
    """Of the input."""
    distances: Distances | None = None
    """Of the order column, for RANGE frames with a bound."""

    def __post_init__(self) -> None:
        count = len(self.partitions)
        opens = np.ones(count, np.bool_)
        opens[1:] = self.partitions[1:] != self.partitions[:-1]
        self.opens_peers: BoolArray = opens.copy()
        """The first row of those with the same time."""
        self.opens_peers[1:] |= self.times[1:] != self.times[:-1]
        self.first = _last_true(opens)
        """By row, where its partition begins."""
        self.end = _next_true(opens)
        """By row, where the next partition begins."""
        self.first_peer = _last_true(self.opens_peers)
        self.last_peer = _next_true(self.opens_peers) - 1

    def frames(
        self, kind: FrameKind, preceding: FrameBound, following: FrameBound, rows: Int64Array
    ) -> tuple[Int64Array, Int64Array]:
        """``(first rows, last rows)`` of the frames of ``rows``; of an empty one the last is before the first."""
        first = self.first[rows] if preceding is None else self._starts(kind, preceding, rows)
        last = self.end[rows] - 1 if following is None else self._ends(kind, following, rows)
        return first, last

    def _starts(self, kind: FrameKind, preceding: int | Decimal, rows: Int64Array) -> Int64Array:
        if kind is FrameKind.ROWS:
            return np.maximum(self.first[rows], rows - int(preceding))
        if not preceding:
            return self.first_peer[rows]
        distances, low, high = self._searched(rows)
        found = first_at_least(distances.values, low, high, distances.before(rows, preceding))
        return np.where(distances.valid[rows], found, self.first_peer[rows]) if len(distances.valid) else found

    def _ends(self, kind: FrameKind, following: int | Decimal, rows: Int64Array) -> Int64Array:
        if kind is FrameKind.ROWS:
            return np.minimum(self.end[rows] - 1, rows + int(following))
        if not following:
            return self.last_peer[rows]
        distances, low, high = self._searched(rows)
        found = first_at_least(distances.values, low, high, distances.after(rows, following), above=True) - 1
        return np.where(distances.valid[rows], found, self.last_peer[rows]) if len(distances.valid) else found

    def _searched(self, rows: Int64Array) -> tuple[Distances, Int64Array, Int64Array]:
        """Where to look for the bounds of frames: NULLs are near each other and nothing else."""
        assert self.distances is not None, "a RANGE frame with a bound is over one order column"
        valid = self.distances.valid
        if not len(valid):
            return self.distances, self.first[rows], self.end[rows]
        opens = self.first == np.arange(len(self.first))
        opens[1:] |= valid[1:] != valid[:-1]
        return self.distances, _last_true(opens)[rows], _next_true(opens)[rows]


def frame_results(
    calls: Sequence[AggregateCall],
    rows: SortedRows,
    frame: tuple[FrameKind, FrameBound, FrameBound],
    make_table: MakeTable,
) -> list[pa.Array]:
    """A column for each call over the frames of all rows, where all rows of a partition are here."""
    kind, preceding, following = frame
    every = np.arange(len(rows.partitions), dtype=np.int64)
    if not calls or not len(every):
        return [pa.nulls(0, call.type.arrow()) for call in calls]
    first, last = rows.frames(kind, preceding, following, every)
    if preceding is not None:
        return aggregate_frames(calls, rows.columns, first, last, make_table)
    if following is None:  # one frame a partition
        opens = np.flatnonzero(rows.first == every)
        of_partitions = _of_groups(calls, rows.columns, np.searchsorted(opens, rows.first), len(opens), make_table)
        chosen = pa.array(np.searchsorted(opens, rows.first))
        return [column.take(chosen) for column in of_partitions]
    found = AggregateSet("frames", _FRAME_KEY, calls, False, make_table)
    # One more group stays empty, for frames that end before the first row.
    keys = [pa.array(np.append(rows.first, -1))]
    slots = found.slots_of(keys, len(every) + 1)
    whole = AggregateRows(slots[:-1], found.grouped(slots[:-1]), [keys[0].slice(0, len(every))], rows.columns)
    running = running_results(found, whole, every - rows.first)
    chosen = pa.array(np.where(last < first, len(every), last))
    empty = found.results(slots[-1:])
    return [
        pa.concat_arrays([column, none.cast(column.type)]).take(chosen)
        for column, none in zip(running, empty, strict=True)
    ]


def running_results(found: AggregateSet, rows: AggregateRows, steps: Int64Array) -> list[pa.Array]:
    """Add ``rows`` one by one: after each of them the results of its group.

    ``steps`` is 0 for the first row of each group, 1 for the second, and so on: where an aggregate cannot tell what is
    between two rows, rows of the same step are added together.
    """
    running = found.running(rows)
    if running is not None:
        return running
    order = np.argsort(steps, kind="stable")
    bounds = np.flatnonzero(np.append(np.diff(steps[order]) != 0, True)) + 1
    parts: list[list[pa.Array]] = []
    start = 0
    for stop in bounds.tolist():
        positions = order[start:stop]
        found.add(rows.select(positions))
        parts.append(found.results(rows.slots[positions]))
        start = stop
    back = pa.array(np.argsort(order, kind="stable"))
    return [pa.concat_arrays(list(column)).take(back) for column in zip(*parts, strict=True)]


def aggregate_frames(
    calls: Sequence[AggregateCall],
    columns: Sequence[pa.Array],
    first: Int64Array,
    last: Int64Array,
    make_table: MakeTable,
) -> list[pa.Array]:
    """The aggregates of the frames from ``first[i]`` to ``last[i]``, a column for each call."""
    lengths = np.maximum(last - first + 1, 0)
    parts: list[list[pa.Array]] = [[] for _ in calls]
    start = 0
    totals = np.cumsum(lengths)
    while start < len(first):
        before = int(totals[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(totals, before + _EXPLODED_ROWS_MAX, side="right")))
        for part, column in zip(
            parts, _aggregated(calls, columns, first[start:stop], lengths[start:stop], make_table), strict=True
        ):
            part.append(column)
        start = stop
    return [pa.chunked_array(part, call.type.arrow()).combine_chunks() for part, call in zip(parts, calls, strict=True)]


def _aggregated(
    calls: Sequence[AggregateCall],
    columns: Sequence[pa.Array],
    first: Int64Array,
    lengths: Int64Array,
    make_table: MakeTable,
) -> list[pa.Array]:
    """Every row once for each frame that has it."""
    frames = np.repeat(np.arange(len(first), dtype=np.int64), lengths)
    before = np.cumsum(lengths) - lengths
    rows = np.repeat(first - before, lengths) + np.arange(len(frames))
    return _of_groups(calls, ChosenColumns(columns, pa.array(rows)), frames, len(first), make_table)


def _of_groups(
    calls: Sequence[AggregateCall],
    columns: Sequence[pa.Array],
    groups: Int64Array,
    count: int,
    make_table: MakeTable,
) -> list[pa.Array]:
    """Results of the groups 0 to ``count``, some of them perhaps empty; ``groups`` is that of each row, ascending."""
    found = AggregateSet("frames", _FRAME_KEY, calls, False, make_table)
    of_groups = found.slots_of([pa.array(np.arange(count, dtype=np.int64))], count)
    if len(groups):
        slots = of_groups[groups]
        found.add(AggregateRows(slots, found.grouped(slots), [pa.array(groups)], columns))
    return found.results(of_groups)


def _last_true(marks: BoolArray) -> Int64Array:
    """By element, the position of the last mark at or before it; the first one is marked."""
    return np.maximum.accumulate(np.where(marks, np.arange(len(marks), dtype=np.int64), 0))


def _next_true(marks: BoolArray) -> Int64Array:
    """By element, the position of the first mark after it; the end where there is none."""
    positions = np.append(np.flatnonzero(marks), len(marks))
    return positions[np.cumsum(marks)]
