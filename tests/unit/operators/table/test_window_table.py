"""Window table functions against plain Python."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.table import logical_types as lt
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import WindowTableSpec
from millstream.testing.harness import OperatorHarness
from tests.unit.operators.table.changelogs import batch_of
from tests.unit.operators.table.window_twins import WINDOWS, milliseconds, windows_of

INPUT = RowType((Column("n", lt.BIGINT), Column("ts", lt.timestamp(6))))
OUTPUT = RowType(
    (*INPUT.columns, *(Column(name, lt.timestamp(3)) for name in ("window_start", "window_end", "window_time")))
)


@pytest.mark.parametrize("name", WINDOWS)
@given(times=st.lists(st.one_of(st.none(), st.integers(-100, 100)), max_size=20))
@settings(max_examples=40, deadline=None)
def test_each_row_comes_once_a_window(name: str, times: list[int | None]) -> None:
    rows = [(n, None if time is None else time * 1000 + 999) for n, time in enumerate(times)]
    with OperatorHarness(WindowTableSpec(INPUT, OUTPUT, WINDOWS[name], 1)) as harness:
        harness.push_batch(batch_of(INPUT, rows, ["+U"] * len(rows)))
    expected = [
        ("+U", (n, start, end, end - 1))
        for n, time in enumerate(times)
        if time is not None
        for start, end in windows_of(time, WINDOWS[name])
    ]
    assert [(kind, (row[0], *map(milliseconds, row[2:]))) for kind, row in harness.changelog] == expected
    dropped = harness.metrics.snapshot().get("numNullRowTimeRecordsDropped", 0)
    assert dropped == sum(time is None for time in times)
