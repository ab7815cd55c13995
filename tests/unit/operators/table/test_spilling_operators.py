"""Operators whose state is larger than memory emit what they emit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import DeduplicateSpec, GroupAggregateSpec, RankSpec, SortKey
from millstream.taskmanager.operators.table.aggregates.aggregate_set import columns_only
from millstream.taskmanager.state.columnar.spilling_table import SpillingTable
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode
from tests.unit.operators.table.changelogs import Change, changelog_of, changelogs

INPUT = RowType((Column("k", lt.BIGINT), Column("name", lt.STRING), Column("v", lt.BIGINT), Column("d", lt.DOUBLE)))
ROWS = st.tuples(
    st.none() | st.integers(0, 30), st.sampled_from([None, "a", "b"]), st.integers(0, 9), st.integers(0, 9).map(float)
)


@pytest.fixture(autouse=True)
def rows_in_memory() -> Iterator[None]:
    before, SpillingTable.rows_min = SpillingTable.rows_min, 3
    yield
    SpillingTable.rows_min = before


def call(name: str, argument: int | None = None, result: Any = lt.BIGINT, **more: Any) -> AggregateCall:
    arguments = () if argument is None else (argument,)
    return AggregateCall(name, arguments, tuple(INPUT[index].type for index in arguments), result, **more)


CALLS = (
    call("COUNT"),
    call("SUM", 2),
    call("AVG", 3, lt.DOUBLE),
    call("MIN", 2),
    call("MAX", 1, lt.STRING),
    call("LAST_VALUE", 2),
)


SORT = (SortKey(2, ascending=False), SortKey(3, ascending=True))


def groups(retracts: bool) -> GroupAggregateSpec:
    calls = CALLS[:3] if retracts else CALLS
    output = RowType((INPUT[0], INPUT[1], *(Column(f"a{index}", each.type) for index, each in enumerate(calls))))
    return GroupAggregateSpec(INPUT, output, (0, 1), calls, retracts, True)


SPECS: dict[str, Any] = {
    "groups": groups(retracts=False),
    "groups with expiry": replace(groups(retracts=False), ttl_ms=1_000_000),
    "distinct": GroupAggregateSpec(INPUT, INPUT.select((0, 1)), (0, 1), (), False, False),
    "first rows": DeduplicateSpec(INPUT, INPUT, (0, 1), None, False, True),
    "last rows": DeduplicateSpec(INPUT, INPUT, (0,), None, True, True),
    "last rows by time": DeduplicateSpec(INPUT, INPUT, (0,), 2, True, True),
    "best rows": RankSpec(INPUT, INPUT, "ROW_NUMBER", (0,), SORT, 1, 1, False, False, True),
}


def emitted(spec: Any, changes: list[Change], mode: RunMode, directory: Path | None) -> list[Any]:
    configuration: dict[str, Any] = {"execution.checkpointing.interval": 1}
    if directory is not None:
        configuration |= {
            "state.backend.type": "rocksdb",
            "state.backend.rocksdb.localdir": str(directory),
            "taskmanager.memory.managed.size": 4096,
        }
    with OperatorHarness(spec, mode=mode, configuration=configuration) as harness:
        harness.push_batch(changelog_of(INPUT, changes))
        harness.end()
        return harness.changelog


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("mode", [RunMode(batch_rows=2), RunMode(batch_rows=3, restore_each_step=True)], ids=str)
@given(rows=st.lists(ROWS, max_size=40))
@settings(max_examples=8, deadline=None)
def test_appended_rows(name: str, mode: RunMode, rows: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    changes: list[Change] = [("+I", row) for row in rows]
    directory = tmp_path_factory.mktemp("work")
    assert emitted(SPECS[name], changes, mode, directory) == emitted(SPECS[name], changes, mode, None)
    assert not list(directory.iterdir())


@given(changes=changelogs(ROWS, 40))
@settings(max_examples=20, deadline=None)
def test_rows_that_are_taken_back(changes: list[Change], tmp_path_factory: pytest.TempPathFactory) -> None:
    spec, mode = groups(retracts=True), RunMode(batch_rows=3, restore_each_step=True)
    assert emitted(spec, changes, mode, tmp_path_factory.mktemp("work")) == emitted(spec, changes, mode, None)


@pytest.mark.parametrize(
    ("calls", "retracts", "may"),
    [
        (CALLS, False, True),
        ((call("SUM", 2, distinct=True),), False, False),
        ((call("MIN", 2),), True, False),
        ((call("LISTAGG", 1, lt.STRING),), False, False),
        ((call("APPROX_COUNT_DISTINCT", 1),), False, True),
    ],
)
def test_groups_may_leave_memory_when_their_row_is_all_there_is(
    calls: tuple[AggregateCall, ...], retracts: bool, may: bool
) -> None:
    assert columns_only(calls, retracts) is may
