"""Deduplication and normalisation of upserts against plain Python."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.table import logical_types as lt
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import ChangelogNormalizeSpec, DeduplicateSpec
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode
from tests.unit.operators.table.changelogs import MODES, batch_of, changelog_of, materialized

ROWS = RowType((Column("v", lt.STRING), Column("k", lt.BIGINT), Column("t", lt.BIGINT)))
ROW = st.tuples(
    st.sampled_from(["a", "b", None]),
    st.sampled_from([1, 2, 3, None]),
    st.integers(-3, 3),
)


def run(spec: Any, batch: Any, mode: RunMode) -> list[Any]:
    with OperatorHarness(spec, mode=mode) as harness:
        harness.push_batch(batch)
        harness.end()
        return harness.changelog


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("update_before", [True, False])
@pytest.mark.parametrize("keep_last", [True, False])
@pytest.mark.parametrize("order", [2, None])
@given(rows=st.lists(ROW, max_size=25))
@settings(max_examples=15, deadline=None)
def test_first_and_last_rows(
    mode: RunMode, update_before: bool, keep_last: bool, order: int | None, rows: list[Any]
) -> None:
    kept: dict[Any, Any] = {}
    for row in rows:
        known = kept.get(row[1])
        if known is None:
            kept[row[1]] = row
        elif order is None:
            kept[row[1]] = row if keep_last else known
        elif (row[order] >= known[order]) if keep_last else (row[order] < known[order]):
            kept[row[1]] = row
    emitted = run(DeduplicateSpec(ROWS, ROWS, (1,), order, keep_last, update_before), batch_of(ROWS, rows), mode)
    assert materialized(emitted, (1,)) == Counter(kept.values())
    if update_before:
        assert materialized(emitted) == Counter(kept.values())
    finals = run(
        DeduplicateSpec(ROWS, ROWS, (1,), order, keep_last, update_before, final_only=True), batch_of(ROWS, rows), mode
    )
    assert {kind for kind, _ in finals} <= {"+I"}
    assert materialized(finals) == Counter(kept.values())


def test_the_first_row_is_emitted_once_and_at_once() -> None:
    rows = [("a", 1, 0), ("b", 2, 0), ("c", 1, 0)]
    emitted = run(DeduplicateSpec(ROWS, ROWS, (1,), None, False, True), batch_of(ROWS, rows), RunMode())
    assert emitted == [("+I", rows[0]), ("+I", rows[1])]


def test_keys_are_new_again_after_their_time_to_live() -> None:
    with OperatorHarness(DeduplicateSpec(ROWS, ROWS, (1,), None, False, True, ttl_ms=1000)) as harness:
        for _ in range(2):
            harness.push_batch(batch_of(ROWS, [("a", 1, 0)] * 2))
            harness.advance(1500)
        assert harness.changelog == [("+I", ("a", 1, 0))] * 2
        assert harness.metrics.snapshot()["state_entries"] == 0


UPSERTS = st.lists(st.tuples(st.sampled_from(["+I", "+U", "-D"]), ROW), max_size=25)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("update_before", [True, False])
@given(changes=UPSERTS)
@settings(max_examples=25, deadline=None)
def test_upserts_become_a_changelog(mode: RunMode, update_before: bool, changes: list[Any]) -> None:
    kept: dict[Any, Any] = {}
    for kind, row in changes:
        if kind == "-D":
            kept.pop(row[1], None)
        else:
            kept[row[1]] = row
    emitted = run(ChangelogNormalizeSpec(ROWS, ROWS, (1,), update_before), changelog_of(ROWS, changes), mode)
    assert materialized(emitted, (1,)) == Counter(kept.values())
    if update_before:
        assert materialized(emitted) == Counter(kept.values())


def test_a_repeated_row_is_silent() -> None:
    changes = [("+I", ("a", 1, 0)), ("+U", ("a", 1, 0)), ("-D", (None, 1, None))]
    emitted = run(ChangelogNormalizeSpec(ROWS, ROWS, (1,), True), changelog_of(ROWS, changes), RunMode(batch_rows=1))
    assert emitted == [("+I", ("a", 1, 0)), ("-D", ("a", 1, 0))]
