"""Top-n, window top-n, sorting and upsert materialisation against plain Python."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.elements.control import MIN_WATERMARK_MS
from millstream.core.table import logical_types as lt
from millstream.core.table.row_type import Column, RowType, TimeAttribute
from millstream.core.table.specs import (
    RankSpec,
    SortKey,
    SortLimitSpec,
    TemporalSortSpec,
    UpsertMaterializeSpec,
    WindowRankSpec,
)
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode
from tests.unit.operators.table.changelogs import (
    MODES,
    Change,
    batch_of,
    changelog_of,
    changelogs,
    materialized,
    surviving,
)

ROWS = RowType((Column("k", lt.BIGINT), Column("s", lt.STRING), Column("v", lt.DOUBLE), Column("n", lt.BIGINT)))
ROW = st.tuples(
    st.sampled_from([1, 2, None]),
    st.sampled_from(["a", "b", "ä", None]),
    st.sampled_from([0.5, -1.0, 2.0, None]),
    st.integers(0, 3),
)
ORDER = (SortKey(2, ascending=False, nulls_first=False), SortKey(1))


def steps_of(rows: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Rows, or a watermark."""
    return st.lists(st.one_of(st.integers(0, 40), st.lists(rows, max_size=8)), max_size=6)


def ordered(rows: list[Any], order: tuple[SortKey, ...] = ORDER) -> list[Any]:
    """Stable, NULLs in their place, texts by their bytes."""

    def compare(left: Any, right: Any) -> int:
        for key in order:
            mine, its = left[key.column], right[key.column]
            if mine == its:
                continue
            if mine is None or its is None:
                return -1 if (mine is None) == key.nulls_first else 1
            if isinstance(mine, str):
                mine, its = mine.encode(), its.encode()
            return -1 if (mine < its) == key.ascending else 1
        return 0

    return sorted(rows, key=cmp_to_key(compare))


def top(rows: list[Any], function: str, first: int, last: int | None) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for key in {row[0] for row in rows}:
        before: Any = None
        rank = dense = 0
        for number, row in enumerate(ordered([row for row in rows if row[0] == key]), 1):
            if before is None or (row[2], row[1]) != (before[2], before[1]):
                rank, dense = number, dense + 1
            before = row
            its = {"ROW_NUMBER": number, "RANK": rank, "DENSE_RANK": dense}[function]
            if its >= first and (last is None or its <= last):
                found[(*row, its)] += 1
    return found


def emitted_by(spec: Any, batch: Any, mode: RunMode) -> list[Any]:
    with OperatorHarness(spec, mode=mode) as harness:
        harness.push_batch(batch)
        harness.end()
        return harness.changelog


def with_rank(with_rank: bool) -> RowType:
    return RowType((*ROWS.columns, Column("rank", lt.BIGINT))) if with_rank else ROWS


def without(ranked: Counter[Any], with_rank: bool) -> Counter[Any]:
    if with_rank:
        return ranked
    plain: Counter[Any] = Counter()
    for row, count in ranked.items():
        plain[row[:-1]] += count
    return plain


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("ranked", [True, False])
@pytest.mark.parametrize(("first", "last"), [(1, 1), (1, 3), (2, 3), (1, None)])
@given(changes=changelogs(ROW), function=st.sampled_from(["ROW_NUMBER", "RANK", "DENSE_RANK"]))
@settings(max_examples=12, deadline=None)
def test_equals_plain_python(
    mode: RunMode, ranked: bool, first: int, last: int | None, changes: list[Change], function: str
) -> None:
    retracts = any(kind in ("-U", "-D") for kind, _ in changes)
    spec = RankSpec(ROWS, with_rank(ranked), function, (0,), ORDER, first, last, ranked, retracts, True)
    emitted = emitted_by(spec, changelog_of(ROWS, changes), mode)
    assert materialized(emitted) == without(top(surviving(changes), function, first, last), ranked)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("ranked", [True, False])
@pytest.mark.parametrize(("first", "last"), [(1, 1), (2, 3), (1, None)])
@given(changes=changelogs(ROW), function=st.sampled_from(["ROW_NUMBER", "RANK"]))
@settings(max_examples=8, deadline=None)
def test_batch_mode_emits_once(
    mode: RunMode, ranked: bool, first: int, last: int | None, changes: list[Change], function: str
) -> None:
    retracts = any(kind in ("-U", "-D") for kind, _ in changes)
    spec = RankSpec(
        ROWS, with_rank(ranked), function, (0,), ORDER, first, last, ranked, retracts, True, final_only=True
    )
    emitted = emitted_by(spec, changelog_of(ROWS, changes), mode)
    assert {kind for kind, _ in emitted} <= {"+I"}
    assert materialized(emitted) == without(top(surviving(changes), function, first, last), ranked)


@given(rows=st.lists(ROW, max_size=25))
@settings(max_examples=30, deadline=None)
def test_ranks_without_update_before(rows: list[Any]) -> None:
    spec = RankSpec(ROWS, with_rank(True), "ROW_NUMBER", (0,), ORDER, 1, 3, True, False, False)
    emitted = emitted_by(spec, batch_of(ROWS, rows), RunMode(batch_rows=2, restore_each_step=True))
    assert "-U" not in {kind for kind, _ in emitted}
    assert materialized(emitted, (0, 4)) == top(rows, "ROW_NUMBER", 1, 3)


@given(changes=st.lists(st.tuples(st.sampled_from(["+I", "+U", "-D"]), ROW), max_size=25))
@settings(max_examples=30, deadline=None)
def test_rows_that_replace_each_other_by_key(changes: list[Any]) -> None:
    kept: dict[Any, Any] = {}
    for kind, row in changes:
        kept.pop((row[0], row[3]), None)
        if kind != "-D":
            kept[row[0], row[3]] = row
    spec = RankSpec(ROWS, ROWS, "ROW_NUMBER", (0,), ORDER, 1, 2, False, True, True, input_key=(0, 3))
    emitted = emitted_by(spec, changelog_of(ROWS, changes), RunMode(seed=4, restore_each_step=True))
    assert materialized(emitted) == without(top(list(kept.values()), "ROW_NUMBER", 1, 2), False)


def test_rows_that_fell_behind_are_forgotten() -> None:
    spec = RankSpec(ROWS, ROWS, "ROW_NUMBER", (0,), ORDER, 1, 2, False, False, True)
    with OperatorHarness(spec) as harness:
        harness.push_batch(batch_of(ROWS, [(1, "a", float(value), value) for value in range(100)]))
        assert harness.metrics.snapshot()["state_entries"] == 2
        assert Counter(harness.changelog) == Counter([("+I", (1, "a", 99.0, 99)), ("+I", (1, "a", 98.0, 98))])


TIME = lt.timestamp(3)
WINDOWED = RowType((*ROWS.columns, Column("window_start", TIME), Column("window_end", TIME)))


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC).replace(tzinfo=None) + timedelta(milliseconds=ms)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("ranked", [True, False])
@given(steps=steps_of(st.tuples(ROW, st.integers(0, 3))))
@settings(max_examples=20, deadline=None)
def test_window_rank(mode: RunMode, ranked: bool, steps: list[Any]) -> None:
    output = RowType((*WINDOWED.columns, Column("rank", lt.BIGINT))) if ranked else WINDOWED
    spec = WindowRankSpec(WINDOWED, output, (0,), ORDER, 4, 5, 1, 2, ranked)
    watermark, late = MIN_WATERMARK_MS, 0
    windows: dict[int, list[Any]] = {}
    with OperatorHarness(spec, mode=mode) as harness:
        for step in steps:
            if isinstance(step, int):
                watermark = max(watermark, step)
                harness.watermark(step)
                continue
            rows = [(*row, at(10 * window), at(10 * window + 10)) for row, window in step]
            for row, window in step:
                if 10 * window + 9 <= watermark:
                    late += 1
                else:
                    windows.setdefault(window, []).append((*row, at(10 * window), at(10 * window + 10)))
            harness.push_batch(batch_of(WINDOWED, rows))
        harness.end()
        emitted = [row for _, row in harness.changelog]
        assert harness.metrics.late_records_dropped == late
    expected: list[Any] = []
    for window in sorted(windows):
        expected += without(top(windows[window], "ROW_NUMBER", 1, 2), ranked).elements()
    assert [row[5] for row in emitted] == [row[5] for row in expected]
    assert Counter(emitted) == Counter(expected)


@pytest.mark.parametrize("mode", MODES, ids=str)
@given(changes=changelogs(ROW), offset=st.integers(0, 2), fetch=st.one_of(st.none(), st.integers(0, 5)))
@settings(max_examples=20, deadline=None)
def test_order_and_limit(mode: RunMode, changes: list[Change], offset: int, fetch: int | None) -> None:
    retracts = any(kind in ("-U", "-D") for kind, _ in changes)
    spec = SortLimitSpec(ROWS, ROWS, ORDER, offset, fetch, retracts)
    emitted = emitted_by(spec, changelog_of(ROWS, changes), mode)
    stop = None if fetch is None else offset + fetch
    assert emitted == [("+I", row) for row in ordered(surviving(changes))[offset:stop]]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_limit_alone_lets_rows_through(mode: RunMode) -> None:
    rows = [(1, "a", float(value), value) for value in range(10)]
    emitted = emitted_by(SortLimitSpec(ROWS, ROWS, (), 2, 5), batch_of(ROWS, rows), mode)
    assert emitted == [("+I", row) for row in rows[2:7]]


TIMED = RowType((Column("ts", TIME, TimeAttribute.ROWTIME), Column("v", lt.BIGINT)))


@pytest.mark.parametrize("mode", MODES, ids=str)
@given(steps=steps_of(st.tuples(st.integers(0, 40), st.integers(0, 3))))
@settings(max_examples=20, deadline=None)
def test_sorting_by_time(mode: RunMode, steps: list[Any]) -> None:
    watermark, late, kept = MIN_WATERMARK_MS, 0, []
    order = (SortKey(0), SortKey(1, ascending=False, nulls_first=False))
    with OperatorHarness(TemporalSortSpec(TIMED, TIMED, order), mode=mode) as harness:
        for step in steps:
            if isinstance(step, int):
                watermark = max(watermark, step)
                harness.watermark(step)
                continue
            late += sum(time <= watermark for time, _ in step)
            kept += [(at(time), value) for time, value in step if time > watermark]
            harness.push_batch(batch_of(TIMED, [(at(time), value) for time, value in step]))
        harness.end()
        assert [row for _, row in harness.changelog] == ordered(kept, order)
        assert harness.metrics.late_records_dropped == late


@pytest.mark.parametrize("mode", MODES, ids=str)
@given(changes=changelogs(ROW))
@settings(max_examples=25, deadline=None)
def test_upserts_show_the_last_row_that_is_left(mode: RunMode, changes: list[Change]) -> None:
    emitted = emitted_by(UpsertMaterializeSpec(ROWS, ROWS, (0,)), changelog_of(ROWS, changes), mode)
    shown = {row[0]: row for row in surviving(changes)}
    assert "-U" not in {kind for kind, _ in emitted}
    assert materialized(emitted, (0,)) == Counter(shown.values())
