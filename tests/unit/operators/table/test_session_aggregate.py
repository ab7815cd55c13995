"""Sessions against plain Python, row by row."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS
from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import Window, WindowAggregateSpec, WindowKind
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode
from tests.unit.operators.table.aggregate_twins import aggregate
from tests.unit.operators.table.changelogs import MODES, batch_of, drive, frozen
from tests.unit.operators.table.test_window_aggregate import CALLS, INPUT, OUTPUT, PROPERTIES, ROW, plain

GAP_MS = 5
SESSION = Window(WindowKind.SESSION, GAP_MS)
STEPS = st.lists(st.one_of(st.lists(ROW, max_size=10), st.integers(0, 70)), max_size=8)


def twin(steps: list[Any]) -> tuple[list[Any], int]:
    """``(rows in the order of their ends, late rows)``."""
    watermark, late = MIN_WATERMARK_MS, 0
    sessions: list[tuple[int, int, Any, list[Any]]] = []
    rows = []
    for step in [*steps, MAX_WATERMARK_MS]:
        if isinstance(step, int):
            watermark = max(watermark, step)
            for session in sorted([each for each in sessions if each[1] - 1 <= watermark], key=lambda each: each[1]):
                sessions.remove(session)
                start, end, key, members = session
                values = [aggregate(call, members) for call in CALLS[:5]]
                rows.append(frozen((key, *values, start, end, end - 1)))
            continue
        for row in step:
            if row[2] is None:
                continue
            start, end, members = row[2], row[2] + GAP_MS, [row]
            met = [each for each in sessions if each[2] == row[0] and each[0] <= end and each[1] >= start]
            if not met and end - 1 <= watermark:
                late += 1
                continue
            for each in met:
                sessions.remove(each)
                start, end, members = min(start, each[0]), max(end, each[1]), [*each[3], *members]
            sessions.append((start, end, row[0], members))
    return rows, late


@pytest.mark.parametrize("mode", MODES, ids=str)
@given(steps=STEPS)
@settings(max_examples=40, deadline=None)
def test_equals_plain_python(mode: RunMode, steps: list[Any]) -> None:
    with OperatorHarness(WindowAggregateSpec(INPUT, OUTPUT, (0,), CALLS, SESSION, 2, PROPERTIES), mode=mode) as harness:
        drive(harness, INPUT, steps)
        expected, late = twin(steps)
        emitted = [(*row[:6], *row[7:]) for row in (plain(row) for _, row in harness.changelog)]
        assert [row[-2] for row in emitted] == [row[-2] for row in expected]
        assert Counter(emitted) == Counter(expected)
        assert harness.metrics.late_records_dropped == late
        assert harness.metrics.snapshot()["state_entries"] == 0


def test_sessions_of_processing_time_end_by_the_clock() -> None:
    output = RowType((Column("k", lt.BIGINT), Column("n", lt.BIGINT)))
    calls = (AggregateCall("COUNT", (), (), lt.BIGINT),)
    spec = WindowAggregateSpec(INPUT, output, (0,), calls, Window(WindowKind.SESSION, 100), 2, (), False)
    with OperatorHarness(spec, mode=RunMode(restore_each_step=True)) as harness:
        harness.push_batch(batch_of(INPUT, [(1, 1, None)]))
        harness.advance(60)
        harness.push_batch(batch_of(INPUT, [(1, 1, None)]))
        harness.advance(99)
        assert harness.changelog == []
        harness.advance(1)
        assert harness.changelog == [("+I", (1, 2))]
