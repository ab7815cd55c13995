"""Window aggregation against plain Python: late rows, NULL times, retractions, any batches, restored anywhere."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.elements.control import MIN_WATERMARK_MS
from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.row_type import Column, RowType, TimeAttribute
from millstream.core.table.specs import Window, WindowAggregateSpec, WindowKind, WindowTableSpec
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode
from tests.unit.operators.table.aggregate_twins import aggregate
from tests.unit.operators.table.changelogs import MODES, batch_of, changelog_of, drive, frozen, materialized
from tests.unit.operators.table.window_twins import WINDOWS, milliseconds, windows_of

TIME = lt.timestamp(3)
INPUT = RowType((Column("k", lt.BIGINT), Column("v", lt.BIGINT), Column("ts", TIME, TimeAttribute.ROWTIME)))
CALLS = (
    AggregateCall("COUNT", (), (), lt.BIGINT),
    AggregateCall("SUM", (1,), (lt.BIGINT,), lt.BIGINT),
    AggregateCall("MAX", (1,), (lt.BIGINT,), lt.BIGINT),
    AggregateCall("COUNT", (1,), (lt.BIGINT,), lt.BIGINT, distinct=True),
    AggregateCall("STDDEV_POP", (1,), (lt.BIGINT,), lt.DOUBLE),
    AggregateCall("FIRST_VALUE", (1,), (lt.BIGINT,), lt.BIGINT),
)
OUTPUT = RowType(
    (
        Column("k", lt.BIGINT),
        *(Column(f"a{index}", call.type) for index, call in enumerate(CALLS)),
        Column("window_start", TIME),
        Column("window_end", TIME),
        Column("window_time", TIME),
    )
)
PROPERTIES = ("window_start", "window_end", "window_time")

ROW = st.tuples(
    st.sampled_from([1, 2, None]),
    st.one_of(st.none(), st.integers(0, 4)),
    st.one_of(st.none(), st.integers(-5, 60), st.integers(0, 60), st.integers(0, 60)),
)
STEPS = st.lists(st.one_of(st.lists(ROW, max_size=8), st.integers(0, 70)), max_size=8)
"""Rows, or a watermark."""


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Times as milliseconds."""
    return frozen((*row[:-3], *map(milliseconds, row[-3:])))


def run(window: Window, steps: list[Any], mode: RunMode, keys: tuple[int, ...] = (0,)) -> OperatorHarness:
    output = OUTPUT if keys else RowType(OUTPUT.columns[1:])
    spec = WindowAggregateSpec(INPUT, output, keys, CALLS, window, 2, PROPERTIES)
    with OperatorHarness(spec, mode=mode) as harness:
        drive(harness, INPUT, steps)
    return harness


def twin(window: Window, steps: list[Any], keyed: bool = True) -> tuple[list[tuple[Any, ...]], int]:
    """``(rows in the order of window ends, late rows)``."""
    watermark, late = MIN_WATERMARK_MS, 0
    contents: dict[tuple[int, int, Any], list[Any]] = {}
    for step in steps:
        if isinstance(step, int):
            watermark = max(watermark, step)
            continue
        for row in step:
            if row[2] is None:
                continue
            of_row = windows_of(row[2], window)
            open_windows = [(start, end) for start, end in of_row if end - 1 > watermark]
            late += not open_windows and bool(of_row)
            for start, end in open_windows:
                contents.setdefault((end, start, row[0] if keyed else None), []).append(row)
    rows = []
    for (end, start, key), members in sorted(contents.items(), key=lambda item: item[0][:2]):
        values = [aggregate(call, members) for call in CALLS]
        rows.append(frozen(((key, *values) if keyed else tuple(values)) + (start, end, end - 1)))
    return rows, late


@pytest.mark.parametrize("name", [name for name in WINDOWS if name != "hop with gaps"])
@pytest.mark.parametrize("mode", MODES, ids=str)
@given(steps=STEPS)
@settings(max_examples=20, deadline=None)
def test_equals_plain_python(name: str, mode: RunMode, steps: list[Any]) -> None:
    window = WINDOWS[name]
    harness = run(window, steps, mode)
    expected, late = twin(window, steps)
    emitted = [plain(row) for _, row in harness.changelog]
    assert [row[-2] for row in emitted] == [row[-2] for row in expected]
    assert without_first(emitted, window) == without_first(expected, window)
    assert harness.metrics.late_records_dropped == late


def without_first(rows: list[tuple[Any, ...]], window: Window) -> Counter[tuple[Any, ...]]:
    """FIRST_VALUE of merged slices is that of the first slice: only tumbling windows have it by arrival."""
    if window.kind is WindowKind.TUMBLE:
        return Counter(rows)
    return Counter((*row[:6], *row[7:]) for row in rows)


@given(steps=STEPS)
@settings(max_examples=20, deadline=None)
def test_without_keys(steps: list[Any]) -> None:
    harness = run(WINDOWS["tumble"], steps, RunMode(seed=1, restore_each_step=True), ())
    assert [plain(row) for _, row in harness.changelog] == twin(WINDOWS["tumble"], steps, keyed=False)[0]


def test_rows_are_emitted_before_their_watermark_and_not_too_early() -> None:
    spec = WindowAggregateSpec(INPUT, OUTPUT, (0,), CALLS, WINDOWS["tumble"], 2, PROPERTIES)
    with OperatorHarness(spec) as harness:
        harness.push_batch(batch_of(INPUT, [(1, 5, 3), (1, 6, 12)]))
        harness.watermark(8)
        assert harness.changelog == []
        harness.watermark(9)
        assert [plain(row)[-3:] for _, row in harness.changelog] == [(0, 10, 9)]
        assert harness.watermarks_ms == [8, 9]


def test_retracted_rows_leave_their_window() -> None:
    spec = WindowAggregateSpec(INPUT, OUTPUT, (0,), CALLS, WINDOWS["hop"], 2, PROPERTIES, retracts=True)
    changes = [("+I", (1, 5, 3)), ("+I", (1, 7, 4)), ("+I", (2, 7, 4)), ("-D", (1, 5, 3)), ("-D", (2, 7, 4))]
    with OperatorHarness(spec, mode=RunMode(batch_rows=1, restore_each_step=True)) as harness:
        harness.push_batch(changelog_of(INPUT, changes))
        harness.end()
        rows = [plain(row) for _, row in harness.changelog]
    assert rows == [(1, 1, 7, 7, 1, 0.0, 7, start, start + 10, start + 9) for start in (-5, 0)]


@pytest.mark.parametrize("name", ["tumble", "hop", "cumulate"])
@given(steps=STEPS)
@settings(max_examples=15, deadline=None)
def test_windows_that_rows_bring_with_them(name: str, steps: list[Any]) -> None:
    """A window table before, and an aggregation by its columns, give what the aggregation alone gives."""
    window = WINDOWS[name]
    columns = (Column("window_start", TIME), Column("window_end", TIME), Column("window_time", TIME))
    attached = RowType((*INPUT.columns, *columns))
    spec = WindowAggregateSpec(attached, OUTPUT, (0,), CALLS, window, 4, PROPERTIES, attached_start=3)
    with OperatorHarness(WindowTableSpec(INPUT, attached, window, 2)) as assigner, OperatorHarness(spec) as harness:
        for step in steps:
            if isinstance(step, int):
                harness.watermark(step)
            else:
                known = len(assigner.changelog)
                assigner.push_batch(batch_of(INPUT, step))
                rows = [row for _, row in assigner.changelog[known:]]
                harness.push_batch(batch_of(attached, rows))
        harness.end()
    assert Counter(plain(row) for _, row in harness.changelog) == Counter(twin(window, steps)[0])


def test_processing_time_windows_fire_by_the_clock() -> None:
    output = RowType((Column("k", lt.BIGINT), Column("n", lt.BIGINT)))
    spec = WindowAggregateSpec(INPUT, output, (0,), CALLS[:1], Window(WindowKind.HOP, 1000, 500), 2, (), False)
    with OperatorHarness(spec, mode=RunMode(restore_each_step=True)) as harness:
        harness.advance(100)
        harness.push_batch(batch_of(INPUT, [(1, 1, None)]))
        harness.advance(500)
        harness.push_batch(batch_of(INPUT, [(1, 1, None)]))
        assert harness.changelog == [("+I", (1, 1))]
        harness.advance(400)
        assert harness.changelog == [("+I", (1, 1)), ("+I", (1, 2))]
        harness.advance(5000)
        assert materialized(harness.changelog) == Counter({(1, 1): 2, (1, 2): 1})


def test_windows_of_instants_follow_the_clocks_of_the_zone() -> None:
    instant = lt.timestamp_ltz(3)
    kind = RowType((INPUT[0], INPUT[1], Column("ts", instant, TimeAttribute.ROWTIME)))
    columns = (Column("n", lt.BIGINT), Column("window_start", TIME), Column("window_time", instant))
    day = Window(WindowKind.TUMBLE, 86_400_000)
    spec = WindowAggregateSpec(kind, RowType(columns), (), CALLS[:1], day, 2, ("window_start", "window_time"))
    configuration = {"table.local-time-zone": "Asia/Shanghai"}
    with OperatorHarness(spec, configuration=configuration) as harness:
        harness.push_batch(batch_of(kind, [(1, 1, 15 * 3_600_000), (1, 1, 17 * 3_600_000)]))
        harness.watermark(16 * 3_600_000 - 2)
        assert harness.changelog == []
        harness.watermark(16 * 3_600_000 - 1)
        assert len(harness.changelog) == 1
        harness.end()
    rows = [row for _, row in harness.changelog]
    assert [row[1].isoformat() for row in rows] == ["1970-01-01T00:00:00", "1970-01-02T00:00:00"]
    assert rows[0][2].isoformat() == "1970-01-01T15:59:59.999000+00:00"
