"""Frames of OVER: for each row of a sorted partition, from which row to which its aggregates reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.specs import FrameKind
from millstream.taskmanager.operators.table.aggregates.accumulator import (
    AggregateRows,
    BoolArray,
    ChosenColumns,
    Int64Array,
)
from millstream.taskmanager.operators.table.aggregates.aggregate_set import AggregateSet, MakeTable

_EXPLODED_ROWS_MAX: Final = 1 << 20


@dataclass
class SortedRows:
    """Rows by partition, then in order. ``times`` are integers that compare as the order column does."""

    partitions: Int64Array
    times: Int64Array
    columns: Callable[[int], pa.Array]
    """The input column at a position."""

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

    def frames(self, kind: FrameKind, preceding: int | None, rows: Int64Array) -> tuple[Int64Array, Int64Array]:
        """``(first rows, last rows)`` of the frames of ``rows``. ``preceding``: rows, or units of ``times``."""
        last = self.last_peer[rows] if kind is FrameKind.RANGE else rows
        if preceding is None:
            return self.first[rows], last
        if kind is FrameKind.ROWS:
            return np.maximum(self.first[rows], rows - preceding), last
        # Sorted by partition and time: one search finds the first row of the partition that is late enough.
        low = self.times - self.times.min(initial=0) if len(self.times) else self.times
        width = int(low.max(initial=0)) + 1
        keys = self.partitions * width + low
        sought = self.partitions[rows] * width + np.maximum(low[rows] - preceding, 0)
        return np.maximum(np.searchsorted(keys, sought), self.first[rows]), last


def aggregate_frames(
    calls: Sequence[AggregateCall],
    columns: Sequence[pa.Array],
    first: Int64Array,
    last: Int64Array,
    make_table: MakeTable,
) -> list[pa.Array]:
    """The aggregates of the frames from ``first[i]`` to ``last[i]``, a column for each call."""
    lengths = last - first + 1
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
    found = AggregateSet("frames", pa.schema([pa.field("frame", pa.int64())]), calls, False, make_table)
    keys = [pa.array(frames)]
    slots, groups = found.place(keys, len(frames))
    found.add(AggregateRows(slots, groups, keys, ChosenColumns(columns, pa.array(rows))))
    return found.results(groups.slots)


def _last_true(marks: BoolArray) -> Int64Array:
    """By element, the position of the last mark at or before it; the first one is marked."""
    return np.maximum.accumulate(np.where(marks, np.arange(len(marks), dtype=np.int64), 0))


def _next_true(marks: BoolArray) -> Int64Array:
    """By element, the position of the first mark after it; the end where there is none."""
    positions = np.append(np.flatnonzero(marks), len(marks))
    return positions[np.cumsum(marks)]
