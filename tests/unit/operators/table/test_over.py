"""OVER against plain Python."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS
from millstream.core.errors import JobGraphError
from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.row_type import Column, RowType, TimeAttribute
from millstream.core.table.specs import FrameKind, OverSpec
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode
from tests.unit.operators.table.aggregate_twins import aggregate
from tests.unit.operators.table.changelogs import MODES, batch_of, frozen
from tests.unit.operators.table.test_rank import at, steps_of

INPUT = RowType((Column("k", lt.BIGINT), Column("v", lt.BIGINT), Column("ts", lt.timestamp(6), TimeAttribute.ROWTIME)))
BIG = (lt.BIGINT,)
AGGREGATES = {
    "running": (
        AggregateCall("COUNT", (), (), lt.BIGINT),
        AggregateCall("SUM", (1,), BIG, lt.BIGINT),
        AggregateCall("MIN", (1,), BIG, lt.BIGINT),
        AggregateCall("MAX", (1,), BIG, lt.BIGINT),
        AggregateCall("AVG", (1,), BIG, lt.BIGINT),
    ),
    "stepwise": (
        AggregateCall("COUNT", (1,), BIG, lt.BIGINT, distinct=True),
        AggregateCall("LAST_VALUE", (1,), BIG, lt.BIGINT),
        AggregateCall("STDDEV_POP", (1,), BIG, lt.DOUBLE),
        AggregateCall("ROW_NUMBER", (), (), lt.BIGINT),
    ),
    "numbers": (
        AggregateCall("ROW_NUMBER", (), (), lt.BIGINT),
        AggregateCall("RANK", (), (), lt.BIGINT),
        AggregateCall("LAG", (1,), BIG, lt.BIGINT),
        AggregateCall("DENSE_RANK", (), (), lt.BIGINT),
        AggregateCall("LAG", (1,), BIG, lt.BIGINT, constants=(2, -1)),
    ),
}
FRAMES = {
    "all rows": (FrameKind.ROWS, None),
    "all times": (FrameKind.RANGE, None),
    "some rows": (FrameKind.ROWS, 2),
    "some time": (FrameKind.RANGE, 7),
}
ROW = st.tuples(st.sampled_from([1, 2, None]), st.one_of(st.none(), st.integers(0, 3)), st.integers(0, 40))


def twin(calls: tuple[AggregateCall, ...], frame: tuple[FrameKind, int | None], rows: list[Any]) -> list[Any]:
    """All rows with the aggregates of their frames; ``rows`` in the order of their arrival."""
    emitted = []
    for key in {row[0] for row in rows}:
        of_key = sorted((row for row in rows if row[0] == key), key=lambda row: row[2])
        for place, row in enumerate(of_key):
            emitted.append(frozen((*row, *(_value(call, frame, of_key, place) for call in calls))))
    return emitted


def _value(call: AggregateCall, frame: tuple[FrameKind, int | None], rows: list[Any], place: int) -> Any:
    times = [row[2] for row in rows]
    time = times[place]
    if call.name == "ROW_NUMBER":
        return place + 1
    if call.name == "RANK":
        return times.index(time) + 1
    if call.name == "DENSE_RANK":
        return len(set(times[: place + 1]))
    if call.name == "LAG":
        offset, default = call.constants or (1, None)
        other = place - offset
        return rows[other][1] if 0 <= other < len(rows) else default
    kind, preceding = frame
    if kind is FrameKind.ROWS:
        members = rows[0 if preceding is None else max(0, place - preceding) : place + 1]
    else:
        members = [row for row in rows if row[2] <= time and (preceding is None or row[2] >= time - preceding)]
    return aggregate(call, members)


def output(calls: tuple[AggregateCall, ...]) -> RowType:
    return RowType((*INPUT.columns, *(Column(f"a{index}", call.type) for index, call in enumerate(calls))))


def plain(row: tuple[Any, ...]) -> Any:
    return frozen((*row[:2], round((row[2] - at(0)).total_seconds() * 1000), *row[3:]))


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", AGGREGATES)
@given(steps=steps_of(ROW))
@settings(max_examples=15, deadline=None)
def test_event_time(mode: RunMode, frame: str, name: str, steps: list[Any]) -> None:
    calls = AGGREGATES[name]
    watermark, late = MIN_WATERMARK_MS, 0
    kept: list[Any] = []
    expected_times: list[int] = []
    with OperatorHarness(OverSpec(INPUT, output(calls), (0,), 2, True, *FRAMES[frame], calls), mode=mode) as harness:
        for step in [*steps, MAX_WATERMARK_MS]:
            if isinstance(step, int):
                expected_times += sorted(row[2] for row in kept if watermark < row[2] <= step)
                watermark = max(watermark, step)
                harness.watermark(step)
                continue
            late += sum(row[2] <= watermark for row in step)
            kept += [row for row in step if row[2] > watermark]
            harness.push_batch(batch_of(INPUT, [(*row[:2], at(row[2])) for row in step]))
        emitted = [plain(row) for _, row in harness.changelog]
        assert [row[2] for row in emitted] == expected_times
        assert Counter(emitted) == Counter(twin(calls, FRAMES[frame], kept))
        assert harness.metrics.late_records_dropped == late


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("frame", ["all rows", "some rows"])
@pytest.mark.parametrize("name", ["running", "stepwise"])
@given(rows=st.lists(ROW, max_size=20))
@settings(max_examples=15, deadline=None)
def test_processing_time_takes_rows_as_they_come(mode: RunMode, frame: str, name: str, rows: list[Any]) -> None:
    calls = AGGREGATES[name]
    rows = [(*row[:2], 0) for row in rows]
    spec = OverSpec(INPUT, output(calls), (0,), 2, False, *FRAMES[frame], calls)
    with OperatorHarness(spec, mode=mode) as harness:
        harness.push_batch(batch_of(INPUT, [(*row[:2], at(0)) for row in rows]))
        emitted = [plain(row) for _, row in harness.changelog]
    assert Counter(emitted) == Counter(twin(calls, FRAMES[frame], rows))


def test_rows_that_no_frame_reaches_are_forgotten() -> None:
    calls = AGGREGATES["running"]
    with OperatorHarness(OverSpec(INPUT, output(calls), (0,), 2, True, FrameKind.ROWS, 2, calls)) as harness:
        harness.push_batch(batch_of(INPUT, [(1, 1, at(time)) for time in range(30)]))
        harness.watermark(30)
        assert harness.metrics.snapshot()["state_entries"] == 2


def test_what_needs_the_end_is_refused_in_streams() -> None:
    calls = (AggregateCall("LEAD", (1,), BIG, lt.BIGINT),)
    with pytest.raises(JobGraphError, match="LEAD OVER needs the rows that follow"):
        OperatorHarness(OverSpec(INPUT, output(calls), (0,), 2, True, FrameKind.ROWS, None, calls))
