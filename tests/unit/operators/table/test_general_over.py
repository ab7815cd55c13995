"""OVER by any order, with any frame, over rows that are taken back, against plain Python."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import FrameBound, FrameKind, GeneralOverSpec, SortKey
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode
from tests.unit.operators.table.aggregate_twins import aggregate
from tests.unit.operators.table.changelogs import (
    MODES,
    Change,
    batch_of,
    changelog_of,
    changelogs,
    frozen,
    materialized,
    surviving,
)
from tests.unit.operators.table.test_rank import at, ordered

BIG = (lt.BIGINT,)
ROWS = RowType((Column("k", lt.BIGINT), Column("v", lt.BIGINT), Column("s", lt.STRING), Column("n", lt.BIGINT)))
ROW = st.tuples(
    st.sampled_from([1, 2, None]),
    st.one_of(st.none(), st.integers(0, 3)),
    st.sampled_from(["a", "b", None]),
    st.one_of(st.none(), st.integers(-6, 6)),
)
ORDERS = {
    "none": (),
    "number": (SortKey(3),),
    "descending": (SortKey(3, ascending=False, nulls_first=False),),
    "two": (SortKey(2, ascending=False, nulls_first=True), SortKey(3)),
}
RUNNING = (
    AggregateCall("COUNT", (), (), lt.BIGINT),
    AggregateCall("SUM", (1,), BIG, lt.BIGINT),
    AggregateCall("MIN", (1,), BIG, lt.BIGINT),
    AggregateCall("AVG", (1,), BIG, lt.BIGINT),
)
STEPWISE = (
    AggregateCall("COUNT", (1,), BIG, lt.BIGINT, distinct=True),
    AggregateCall("FIRST_VALUE", (1,), BIG, lt.BIGINT),
    AggregateCall("LAST_VALUE", (1,), BIG, lt.BIGINT),
)
PLACES = (
    AggregateCall("ROW_NUMBER", (), (), lt.BIGINT),
    AggregateCall("RANK", (), (), lt.BIGINT),
    AggregateCall("DENSE_RANK", (), (), lt.BIGINT),
    AggregateCall("LAG", (1,), BIG, lt.BIGINT),
    AggregateCall("LEAD", (1,), BIG, lt.BIGINT, constants=(2, -1)),
    AggregateCall("CUME_DIST", (), (), lt.DOUBLE),
    AggregateCall("PERCENT_RANK", (), (), lt.DOUBLE),
    AggregateCall("NTILE", (), (), lt.BIGINT, constants=(3,)),
)
CALLS = (*RUNNING, *STEPWISE, *PLACES)
Frame = tuple[FrameKind, FrameBound, FrameBound]
FRAMES: dict[str, Frame] = {
    "rows so far": (FrameKind.ROWS, None, 0),
    "peers so far": (FrameKind.RANGE, None, 0),
    "everything": (FrameKind.ROWS, None, None),
    "rows before": (FrameKind.ROWS, 2, 0),
    "rows around": (FrameKind.ROWS, 1, 2),
    "rows far before": (FrameKind.ROWS, None, -2),
    "rows after": (FrameKind.ROWS, -1, 2),
    "rows to the end": (FrameKind.ROWS, 1, None),
    "peers": (FrameKind.RANGE, 0, 0),
}
RANGES: dict[str, Frame] = {
    "near before": (FrameKind.RANGE, 2, 0),
    "around": (FrameKind.RANGE, 2, 1),
    "up to after": (FrameKind.RANGE, None, 2),
    "before": (FrameKind.RANGE, 4, -1),
    "after": (FrameKind.RANGE, -1, None),
    "fractions": (FrameKind.RANGE, Decimal("1.5"), Decimal("-0.5")),
}


def twin(
    rows: list[Any], order: tuple[SortKey, ...], frame: Frame, calls: tuple[AggregateCall, ...] = CALLS
) -> Counter[Any]:
    """All rows with their results; ``rows`` in the order of their arrival."""
    emitted: Counter[Any] = Counter()
    for key in {row[0] for row in rows}:
        of_key = ordered([row for row in rows if row[0] == key], order)
        for place, row in enumerate(of_key):
            emitted[frozen((*row, *(_value(call, frame, order, of_key, place) for call in calls)))] += 1
    return emitted


def _value(call: AggregateCall, frame: Frame, order: tuple[SortKey, ...], rows: list[Any], place: int) -> Any:
    peers = [tuple(row[key.column] for key in order) for row in rows]
    first = peers.index(peers[place])
    last = len(rows) - 1 - peers[::-1].index(peers[place])
    match call.name:
        case "ROW_NUMBER":
            return place + 1
        case "RANK":
            return first + 1
        case "DENSE_RANK":
            return len(set(peers[: place + 1]))
        case "LAG" | "LEAD":
            offset, default = call.constants or (1, None)
            other = place - offset if call.name == "LAG" else place + offset
            return rows[other][1] if 0 <= other < len(rows) else default
        case "CUME_DIST":
            return (last + 1) / len(rows)
        case "PERCENT_RANK":
            return first / max(1, len(rows) - 1)
        case "NTILE":
            size, larger = divmod(len(rows), call.constants[0])
            sizes = [size + (bucket < larger) for bucket in range(call.constants[0])]
            return next(bucket + 1 for bucket in range(call.constants[0]) if place < sum(sizes[: bucket + 1]))
    return aggregate(call, [row for other, row in enumerate(rows) if _inside(frame, order, peers, place, other)])


def _inside(frame: Frame, order: tuple[SortKey, ...], peers: list[Any], place: int, other: int) -> bool:
    kind, preceding, following = frame
    if kind is FrameKind.ROWS:
        distance: Any = other - place
        return (preceding is None or distance >= -preceding) and (following is None or distance <= following)
    after = (other > place) - (other < place) if peers[other] != peers[place] else 0
    low = after >= 0 if preceding == 0 else preceding is None
    high = after <= 0 if following == 0 else following is None
    if preceding or following:
        mine, its = peers[place][0], peers[other][0]
        if mine is None or its is None:
            low = low or (preceding != 0 and (mine is its or after > 0))
            high = high or (following != 0 and (mine is its or after < 0))
        else:
            distance = (its - mine) * (1 if order[0].ascending else -1)
            low = low or (bool(preceding) and distance >= -_of(preceding, distance))
            high = high or (bool(following) and distance <= _of(following, distance))
    return low and high


def _of(bound: Any, distance: Any) -> Any:
    return timedelta(milliseconds=bound) if isinstance(distance, timedelta) else bound


def spec_of(
    order: tuple[SortKey, ...],
    frame: Frame,
    row: RowType = ROWS,
    calls: tuple[AggregateCall, ...] = CALLS,
    **more: Any,
) -> GeneralOverSpec:
    output = RowType((*row.columns, *(Column(f"a{index}", call.type) for index, call in enumerate(calls))))
    return GeneralOverSpec(row, output, (0,), order, *frame, calls, True, more.pop("update_before", True), **more)


def emitted_by(spec: GeneralOverSpec, batch: Any, mode: RunMode) -> list[Any]:
    with OperatorHarness(spec, mode=mode) as harness:
        harness.push_batch(batch)
        harness.end()
        return harness.changelog


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("frame", FRAMES)
@given(changes=changelogs(ROW, rows_max=20), order=st.sampled_from(sorted(ORDERS)))
@settings(max_examples=12, deadline=None)
def test_equals_plain_python(mode: RunMode, frame: str, changes: list[Change], order: str) -> None:
    emitted = emitted_by(spec_of(ORDERS[order], FRAMES[frame]), changelog_of(ROWS, changes), mode)
    assert materialized(emitted) == twin(surviving(changes), ORDERS[order], FRAMES[frame])


@pytest.mark.parametrize("mode", MODES[1:3], ids=str)
@pytest.mark.parametrize("order", ["number", "descending"])
@pytest.mark.parametrize("frame", RANGES)
@given(changes=changelogs(ROW, rows_max=20))
@settings(max_examples=12, deadline=None)
def test_ranges_of_numbers(mode: RunMode, frame: str, order: str, changes: list[Change]) -> None:
    emitted = emitted_by(spec_of(ORDERS[order], RANGES[frame], calls=RUNNING), changelog_of(ROWS, changes), mode)
    assert materialized(emitted) == twin(surviving(changes), ORDERS[order], RANGES[frame], RUNNING)


DAY_MS = 86_400_000
MEASURES: dict[str, tuple[Any, Any, int | Decimal]] = {
    "timestamps of seconds": (lt.timestamp(0), lambda number: at(1000 * number), 2000),
    "timestamps": (lt.timestamp(6), at, 2),
    "dates": (lt.DATE, lambda number: date(2024, 1, 10) + timedelta(days=number), 2 * DAY_MS),
    "doubles": (lt.DOUBLE, lambda number: number / 2, Decimal("1.5")),
    "decimals": (lt.decimal(10, 2), lambda number: Decimal(number) / 10, Decimal("0.2")),
    "long decimals": (lt.decimal(30, 2), lambda number: Decimal(number), 2),
}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("ascending", [True, False])
@given(rows=st.lists(ROW, max_size=20))
@settings(max_examples=15, deadline=None)
def test_ranges_of_other_types(measure: str, ascending: bool, rows: list[Any]) -> None:
    kind, value, bound = MEASURES[measure]
    row_type = RowType((*ROWS.columns[:3], Column("n", kind)))
    rows = [(*row[:3], None if row[3] is None else value(row[3])) for row in rows]
    order = (SortKey(3, ascending, nulls_first=ascending),)
    frame = (FrameKind.RANGE, bound, bound)
    emitted = emitted_by(spec_of(order, frame, row_type, RUNNING), batch_of(row_type, rows), RunMode(batch_rows=4))
    assert materialized(emitted) == twin(rows, order, frame, RUNNING)


@pytest.mark.parametrize("mode", MODES, ids=str)
@given(changes=changelogs(ROW), frame=st.sampled_from(sorted(FRAMES)))
@settings(max_examples=12, deadline=None)
def test_batch_mode_emits_once(mode: RunMode, changes: list[Change], frame: str) -> None:
    emitted = emitted_by(spec_of(ORDERS["two"], FRAMES[frame], final_only=True), changelog_of(ROWS, changes), mode)
    assert {kind for kind, _ in emitted} <= {"+I"}
    assert materialized(emitted) == twin(surviving(changes), ORDERS["two"], FRAMES[frame])


@given(numbers=st.lists(st.integers(-9, 9), unique=True, max_size=12))
@settings(max_examples=25, deadline=None)
def test_updates_without_what_was_before_them(numbers: list[int]) -> None:
    rows = [(1, number, None, number) for number in numbers]
    spec = spec_of(ORDERS["number"], FRAMES["rows around"], update_before=False)
    emitted = emitted_by(spec, batch_of(ROWS, rows), RunMode(batch_rows=2, restore_each_step=True))
    assert "-U" not in {kind for kind, _ in emitted}
    assert materialized(emitted, (3,)) == twin(rows, ORDERS["number"], FRAMES["rows around"])


def test_what_stays_the_same_is_silent() -> None:
    calls = (AggregateCall("SUM", (1,), BIG, lt.BIGINT),)
    with OperatorHarness(spec_of((SortKey(3),), FRAMES["rows before"], calls=calls)) as harness:
        harness.push_batch(batch_of(ROWS, [(1, 1, "a", number) for number in range(0, 100, 10)]))
        before = len(harness.changelog)
        harness.push_batch(batch_of(ROWS, [(1, 5, "b", 45)]))
        assert harness.changelog[before:] == [
            ("-U", (1, 1, "a", 50, 3)),
            ("+U", (1, 1, "a", 50, 7)),
            ("-U", (1, 1, "a", 60, 3)),
            ("+U", (1, 1, "a", 60, 7)),
            ("+I", (1, 5, "b", 45, 7)),
        ]
        harness.push_batch(batch_of(ROWS, [(1, 5, "b", 45)], ["-D"]))
        assert harness.changelog[before + 5] == ("-D", (1, 5, "b", 45, 7))
        assert harness.metrics.snapshot()["state_entries"] == 10
