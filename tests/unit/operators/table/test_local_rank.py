"""The part of top-n and deduplication before the exchange, against sorted lists and against the operators behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.kernels.best_rows import mark_best
from millstream.core.table.specs import DeduplicateSpec, LocalRankSpec, RankSpec, SortKey
from millstream.sql.planner.local_ranks import local_deduplicate, local_rank
from millstream.sql.planner.physical import PhysicalOperator
from millstream.testing.harness import OperatorHarness
from tests.unit.operators.table.changelogs import batch_of, materialized
from tests.unit.operators.table.test_rank import ORDER, ROW, ROWS, top, with_rank

BATCHES = st.lists(st.lists(ROW, max_size=12), max_size=6)


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 1)), max_size=60),
    levels=st.integers(0, 2),
    most=st.integers(1, 5),
    last_wins=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_marks_the_best_of_each_group(rows: list[tuple[int, ...]], levels: int, most: int, last_wins: bool) -> None:
    groups = np.array([row[0] for row in rows], np.int64)
    codes = np.array([[row[1 + level] for row in rows] for level in range(levels)], np.int64).reshape(levels, len(rows))
    kept = mark_best(groups, np.bincount(groups, minlength=4), codes, most, last_wins)
    expected = set()
    for group in range(4):
        own = [place for place, row in enumerate(rows) if row[0] == group]
        own.sort(key=lambda place: (rows[place][1 : 1 + levels], -place if last_wins else place))
        expected |= set(own[:most])
    assert set(np.flatnonzero(kept).tolist()) == expected


def emitted_by(spec: Any, batches: list[Any]) -> list[Any]:
    with OperatorHarness(spec) as harness:
        for batch in batches:
            harness.push_batch(batch)
        harness.end()
        return harness.changelog


def reduced(spec: LocalRankSpec, batches: list[list[Any]]) -> list[Any]:
    """The batches that come out."""
    found = []
    with OperatorHarness(spec) as harness:
        for rows in batches:
            if rows:
                before = len(harness.changelog)
                harness.push_batch(batch_of(ROWS, rows))
                found.append(batch_of(ROWS, [row for _, row in harness.changelog[before:]]))
    return found


def local_of(spec: RankSpec | DeduplicateSpec) -> LocalRankSpec:
    source = PhysicalOperator("Source", spec, ROWS)
    (part,) = local_rank([source], spec) if isinstance(spec, RankSpec) else local_deduplicate([source], spec)
    assert isinstance(part.spec, LocalRankSpec)
    return part.spec


@pytest.mark.parametrize("last", [1, 2, 3])
@given(batches=BATCHES)
@settings(max_examples=40, deadline=None)
def test_the_top_n_is_the_same(last: int, batches: list[list[Any]]) -> None:
    spec = RankSpec(ROWS, with_rank(True), "ROW_NUMBER", (0,), ORDER, 1, last, True, False, True)
    emitted = emitted_by(spec, reduced(local_of(spec), batches))
    assert materialized(emitted) == top([row for rows in batches for row in rows], "ROW_NUMBER", 1, last)


@pytest.mark.parametrize("keep_last", [True, False])
@pytest.mark.parametrize("order", [2, 3, None])
@given(batches=BATCHES)
@settings(max_examples=40, deadline=None)
def test_the_row_of_a_key_is_the_same(keep_last: bool, order: int | None, batches: list[list[Any]]) -> None:
    spec = DeduplicateSpec(ROWS, ROWS, (0,), order, keep_last, True)
    whole = emitted_by(spec, [batch_of(ROWS, rows) for rows in batches if rows])
    emitted = emitted_by(spec, reduced(local_of(spec), batches))
    for key in (1, 2, None):  # those of different keys may come in another order
        assert [change for change in emitted if change[1][0] == key] == [c for c in whole if c[1][0] == key]


def test_batches_that_hold_nothing_to_leave_out_pass_unseen_for_a_while() -> None:
    spec = LocalRankSpec(ROWS, ROWS, (0,), (SortKey(3),), 1)
    same = [(1, "a", 0.5, number) for number in range(20)]
    other = [(number, "a", 0.5, number) for number in range(20)]
    assert [batch.num_rows for batch in reduced(spec, [same, other, *[same] * 40])] == [1, 20, *[20] * 31, *[1] * 9]


def test_what_may_go_away_is_not_left_out() -> None:
    source = PhysicalOperator("Source", LocalRankSpec(ROWS, ROWS, (), (), 1), ROWS)
    for function, last, retracts in (("RANK", 3, False), ("ROW_NUMBER", None, False), ("ROW_NUMBER", 3, True)):
        spec = RankSpec(ROWS, with_rank(True), function, (0,), ORDER, 1, last, True, retracts, True)
        assert local_rank([source], spec) == [source]
