"""Rows that come as often as they say, against plain Python."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.table import logical_types as lt
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import ReplicateSpec
from millstream.testing.harness import OperatorHarness
from tests.unit.operators.table.changelogs import MODES, changelog_of, changelogs, materialized, surviving

INPUT = RowType((Column("k", lt.BIGINT), Column("s", lt.STRING), Column("n", lt.BIGINT.with_nullable(False))))
ROW = st.tuples(st.sampled_from([1, None]), st.sampled_from(["a", None]), st.integers(-2, 3))


@pytest.mark.parametrize("mode", MODES, ids=str)
@given(changes=changelogs(ROW))
@settings(max_examples=25, deadline=None)
def test_equals_plain_python(mode: Any, changes: Any) -> None:
    expected: Counter[Any] = Counter()
    for *row, times in surviving(changes):
        expected[tuple(row)] += max(0, times)
    with OperatorHarness(ReplicateSpec(INPUT, RowType(INPUT.columns[:2])), mode=mode) as harness:
        harness.push_batch(changelog_of(INPUT, changes))
        harness.end()
        assert {kind for kind, _ in harness.changelog} <= {"+I", "-D"}
        assert materialized(harness.changelog) == +expected
