"""Interval, window and temporal joins against plain Python: late rows, any order of the inputs, restored anywhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS
from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Expression, InputRef
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.row_type import Column, RowType, TimeAttribute
from millstream.core.table.specs import IntervalJoinSpec, JoinInput, JoinKind, TemporalJoinSpec, WindowJoinSpec
from millstream.testing.modes import RunMode
from tests.unit.operators.table.changelogs import batch_of, changelog_of
from tests.unit.operators.table.joins.join_twins import JOIN_MODES, Row, join_harness, joined_pairs, plain

TIME = lt.timestamp(3)
ROWS = RowType((Column("k", lt.BIGINT), Column("v", lt.INT), Column("ts", TIME, TimeAttribute.ROWTIME)))
PAIRS = RowType((*ROWS.columns, *(replace(column, name=column.name + "_r") for column in ROWS.columns)))
ROW = st.tuples(
    st.sampled_from([1, 2, None]), st.integers(0, 2), st.one_of(st.integers(0, 60), st.integers(0, 60), st.none())
)
PIECE = st.tuples(st.integers(0, 1), st.lists(ROW, max_size=6))
STEPS = st.lists(st.one_of(PIECE, PIECE, st.integers(0, 70)), max_size=10)
"""Rows of an input, or a watermark of both."""
OUTER = [kind for kind in JoinKind if kind not in (JoinKind.SEMI, JoinKind.ANTI)]


def condition(width: int = 3) -> Expression:
    return bind_call("<=", [InputRef(lt.INT, 1), InputRef(lt.INT, width + 1)])


def numbered(steps: list[Any]) -> list[Any]:
    """Values that tell rows apart, for the twin matches rows by their content."""
    count = 0
    result: list[Any] = []
    for step in steps:
        if not isinstance(step, int):
            rows = []
            for key, value, *rest in step[1]:
                count += 1
                rows.append((key, value * 1000 + count, *rest))
            step = (step[0], rows)
        result.append(step)
    return result


def run(spec: Any, steps: list[Any], mode: RunMode, kinds: tuple[RowType, RowType]) -> Any:
    with join_harness(spec, mode) as harness:
        for step in steps:
            if isinstance(step, int):
                harness.watermark(step)
            else:
                harness.push_batch(batch_of(kinds[step[0]], step[1]), input_index=step[0])
        harness.end()
    return harness


# -- interval ------------------------------------------------------------------------------------------------------


def interval_twin(spec: IntervalJoinSpec, steps: list[Any]) -> Counter[Row]:
    watermark = MIN_WATERMARK_MS
    seen: tuple[list[Row], list[Row]] = ([], [])
    pairs = []
    for step in steps:
        if isinstance(step, int):
            watermark = max(watermark, step)
            continue
        index, rows = step
        for row in rows:
            for other in seen[1 - index]:
                left, right = (row, other) if index == 0 else (other, row)
                if left[2] is None or right[2] is None or left[0] is None or left[0] != right[0]:
                    continue
                last_partner = other[2] + (spec.upper_ms if index == 0 else -spec.lower_ms)
                near = right[2] + spec.lower_ms <= left[2] <= right[2] + spec.upper_ms
                if near and last_partner > watermark and (spec.condition is None or left[1] <= right[1]):
                    pairs.append((left, right))
            seen[index].append(row)
    return joined_pairs(spec.join, seen[0], seen[1], pairs, 3, 3)


@pytest.mark.parametrize("mode", JOIN_MODES, ids=str)
@pytest.mark.parametrize("bounds", [(-10, 10), (0, 20), (-20, -5), (3, 3)])
@pytest.mark.parametrize("kind", OUTER, ids=lambda kind: kind.name)
@given(steps=STEPS, with_condition=st.booleans())
@settings(max_examples=6, deadline=None)
def test_interval_join(
    kind: JoinKind, bounds: tuple[int, int], mode: RunMode, steps: list[Any], with_condition: bool
) -> None:
    steps = numbered(steps)
    side = JoinInput(ROWS, (0,))
    spec = IntervalJoinSpec(side, side, PAIRS, kind, 2, 2, *bounds, condition=condition() if with_condition else None)
    harness = run(spec, steps, mode, (ROWS, ROWS))
    assert {change for change, _ in harness.changelog} <= {"+I"}
    assert Counter(plain(row) for _, row in harness.changelog) == interval_twin(spec, steps)


@pytest.mark.parametrize("kind", OUTER, ids=lambda kind: kind.name)
def test_what_an_interval_join_emits_is_not_behind_its_watermark(kind: JoinKind) -> None:
    side = JoinInput(ROWS, (0,))
    spec = IntervalJoinSpec(side, side, PAIRS, kind, 2, 2, -10, 5)
    with join_harness(spec, RunMode()) as harness:
        harness.push_batch(batch_of(ROWS, [(1, 1, 95), (1, 2, 100)]), input_index=0)
        harness.watermark(104)
        assert harness.watermarks_ms == [94]
        harness.push_batch(batch_of(ROWS, [(1, 3, 105)]), input_index=1)
        assert sorted(plain(row)[2] for _, row in harness.changelog) == [95, 100]
        harness.watermark(MAX_WATERMARK_MS)
        assert harness.watermarks_ms[-1] == MAX_WATERMARK_MS


def test_state_of_an_interval_join_goes_with_the_watermark() -> None:
    side = JoinInput(ROWS, (0,))
    spec = IntervalJoinSpec(side, side, PAIRS, JoinKind.INNER, 2, 2, -10, 10)
    with join_harness(spec, RunMode()) as harness:
        for index in (0, 1):
            harness.push_batch(batch_of(ROWS, [(1, 1, 100), (2, 1, 5000)]), input_index=index)
        harness.watermark(4000)
        entries = [subtask.context.metrics.snapshot()["state_entries"] for subtask in harness.subtasks]
        assert max(entries) == 2


# -- window --------------------------------------------------------------------------------------------------------

WINDOWED = RowType(
    (
        Column("k", lt.BIGINT),
        Column("v", lt.INT),
        Column("window_start", TIME),
        Column("window_end", TIME, TimeAttribute.ROWTIME),
    )
)
WINDOW_PAIRS = RowType((*WINDOWED.columns, *(replace(c, name=c.name + "_r") for c in WINDOWED.columns)))


def windowed(steps: list[Any]) -> list[Any]:
    """The time becomes a window of 20 ms."""
    result: list[Any] = []
    for step in steps:
        if not isinstance(step, int):
            rows = [(k, v, (t or 0) // 20 * 20, (t or 0) // 20 * 20 + 20) for k, v, t in step[1]]
            step = (step[0], rows)
        result.append(step)
    return result


@pytest.mark.parametrize("mode", JOIN_MODES, ids=str)
@pytest.mark.parametrize("kind", JoinKind, ids=lambda kind: kind.name)
@given(steps=STEPS, with_condition=st.booleans())
@settings(max_examples=12, deadline=None)
def test_window_join(kind: JoinKind, mode: RunMode, steps: list[Any], with_condition: bool) -> None:
    steps = windowed(numbered(steps))
    side = JoinInput(WINDOWED, (0, 2, 3))
    output = WINDOWED if kind in (JoinKind.SEMI, JoinKind.ANTI) else WINDOW_PAIRS
    spec = WindowJoinSpec(side, side, output, kind, (2, 3), (2, 3), condition(4) if with_condition else None)
    harness = run(spec, steps, mode, (WINDOWED, WINDOWED))
    watermark, late = MIN_WATERMARK_MS, 0
    kept: tuple[list[Row], list[Row]] = ([], [])
    for step in steps:
        if isinstance(step, int):
            watermark = max(watermark, step)
            continue
        for row in step[1]:
            if row[3] - 1 <= watermark:
                late += 1
            else:
                kept[step[0]].append(row)
    pairs = [
        (a, b)
        for a in kept[0]
        for b in kept[1]
        if a[0] is not None and (a[0], a[2]) == (b[0], b[2]) and (not with_condition or a[1] <= b[1])
    ]
    assert Counter(plain(row) for _, row in harness.changelog) == joined_pairs(kind, *kept, pairs, 4, 4)
    assert harness.metrics.late_records_dropped == late
    assert sum(subtask.context.metrics.snapshot()["state_entries"] for subtask in harness.subtasks) == 0


# -- temporal ------------------------------------------------------------------------------------------------------

LEFT_ROW = st.tuples(st.sampled_from([1, 2, None]), st.integers(0, 2), st.integers(0, 60))
VERSION = st.tuples(
    st.sampled_from(["+I", "+U", "-U", "-D"]),
    st.tuples(st.sampled_from([1, 2]), st.integers(0, 2), st.integers(0, 60)),
)
TEMPORAL_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just(0), st.lists(LEFT_ROW, max_size=5)),
        st.tuples(st.just(1), st.lists(VERSION, max_size=5)),
        st.integers(0, 70),
    ),
    max_size=10,
)


def temporal_twin(steps: list[Any], kind: JoinKind, with_condition: bool, event_time: bool) -> Counter[Row]:
    waiting: list[Row] = []
    versions: dict[int, dict[int, tuple[str, Row]]] = {}
    found: Counter[Row] = Counter()

    def answer(row: Row) -> None:
        known = versions.get(row[0], {}) if row[0] is not None else {}
        times = [time for time in known if time <= row[2]] if event_time else list(known)
        change, version = known[max(times)] if times else ("-D", ())
        if change != "-D" and (not with_condition or row[1] <= version[1]):
            found[(*row, *version)] += 1
        elif kind.keeps_left:
            found[(*row, None, None, None)] += 1

    for step in [*steps, MAX_WATERMARK_MS]:
        if isinstance(step, int):
            if not event_time:
                continue
            for row in [row for row in waiting if row[2] <= step]:
                answer(row)
            waiting = [row for row in waiting if row[2] > step]
            for known in versions.values():
                over = sorted(time for time in known if time <= step)
                for time in over[:-1]:
                    del known[time]
        elif step[0] == 1:
            for change, row in step[1]:
                if change != "-U":
                    versions.setdefault(row[0], {})[row[2] if event_time else 0] = (change, row)
        elif event_time:
            waiting += step[1]
        else:
            for row in step[1]:
                answer(row)
    return found


@pytest.mark.parametrize("mode", JOIN_MODES, ids=str)
@pytest.mark.parametrize("event_time", [True, False])
@pytest.mark.parametrize("kind", [JoinKind.INNER, JoinKind.LEFT], ids=lambda kind: kind.name)
@given(steps=TEMPORAL_STEPS, with_condition=st.booleans())
@settings(max_examples=15, deadline=None)
def test_temporal_join(kind: JoinKind, event_time: bool, mode: RunMode, steps: list[Any], with_condition: bool) -> None:
    steps = increasing(steps)
    side = JoinInput(ROWS, (0,))
    spec = TemporalJoinSpec(
        side, replace(side, retracts=True), PAIRS, kind, 2, 2, event_time, condition() if with_condition else None
    )
    with join_harness(spec, mode) as harness:
        for step in steps:
            if isinstance(step, int):
                harness.watermark(step)
            elif step[0] == 0:
                harness.push_batch(batch_of(ROWS, step[1]), input_index=0)
            else:
                harness.push_batch(changelog_of(ROWS, step[1]), input_index=1)
        harness.end()
    assert Counter(plain(row) for _, row in harness.changelog) == temporal_twin(steps, kind, with_condition, event_time)


def increasing(steps: list[Any]) -> list[Any]:
    """Watermarks that go forward, as those of a task do."""
    highest = MIN_WATERMARK_MS
    result: list[Any] = []
    for step in steps:
        if isinstance(step, int):
            if step <= highest:
                continue
            highest = step
        result.append(step)
    return result
