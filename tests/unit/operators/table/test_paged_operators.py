"""Operators that keep any number of rows a key emit the same with most of their rows on disk as in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import InputRef
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.row_type import Column, RowType, TimeAttribute
from millstream.core.table.specs import (
    FrameKind,
    GeneralOverSpec,
    GroupAggregateSpec,
    IntervalJoinSpec,
    JoinInput,
    JoinKind,
    JoinSpec,
    OverSpec,
    RankSpec,
    SortKey,
    TemporalJoinSpec,
    TemporalSortSpec,
    UpsertMaterializeSpec,
    WindowJoinSpec,
    WindowRankSpec,
)
from millstream.taskmanager.state.columnar.paged_columns import PagedColumnSet
from millstream.taskmanager.state.columnar.pages import Pages
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode
from tests.unit.operators.table.changelogs import Change, changelog_of

TIME = lt.timestamp(3)
ROW = RowType(
    (
        Column("k", lt.BIGINT),
        Column("name", lt.STRING),
        Column("v", lt.INT),
        Column("ts", TIME, TimeAttribute.ROWTIME),
        Column("window_end", TIME),
    )
)
WIDTH = len(ROW)
PAIR = RowType((*ROW.columns, *(Column(f"{column.name}_r", column.type) for column in ROW.columns)))
STEPS, STEP_ROWS, STEP_MS = 6, 40, 100


@pytest.fixture(autouse=True)
def pages_in_memory() -> Iterator[None]:
    before, Pages.frames_min = Pages.frames_min, 2
    yield
    Pages.frames_min = before


def side(retracts: bool = False, ttl_ms: int = 0) -> JoinInput:
    return JoinInput(ROW, (0,), retracts, ttl_ms=ttl_ms)


def joined(kind: JoinKind, retracts: bool, with_condition: bool = False, ttl_ms: int = 0) -> JoinSpec:
    output = ROW if kind in (JoinKind.SEMI, JoinKind.ANTI) else PAIR
    less = bind_call("<", [InputRef(lt.INT, 2), InputRef(lt.INT, WIDTH + 2)])
    inputs = side(retracts, ttl_ms), side(retracts, ttl_ms)
    return JoinSpec(*inputs, output, kind, less if with_condition else None)


JOINS: dict[str, Any] = {
    "inner join": joined(JoinKind.INNER, retracts=False),
    "inner join with a condition and expiry": joined(JoinKind.INNER, False, True, ttl_ms=1_000_000),
    "inner join of changelogs": joined(JoinKind.INNER, retracts=True),
    "full join of changelogs": joined(JoinKind.FULL, True, True),
    "semi join of changelogs": joined(JoinKind.SEMI, retracts=True),
    "anti join of changelogs": joined(JoinKind.ANTI, retracts=True),
    "interval join": IntervalJoinSpec(side(), side(), PAIR, JoinKind.LEFT, 3, 3, -150, 50),
    "window join": WindowJoinSpec(
        JoinInput(ROW, (0, 4)), JoinInput(ROW, (0, 4)), PAIR, JoinKind.FULL, (4, 4), (4, 4), None
    ),
    "temporal join": TemporalJoinSpec(side(), side(), PAIR, JoinKind.LEFT, 3, 3, True),
}

RANKED = RowType((*ROW.columns, Column("rank", lt.BIGINT)))
BEST = (SortKey(2, ascending=False), SortKey(1, ascending=True))


def over(call: AggregateCall) -> RowType:
    return RowType((*ROW.columns, Column("a", call.type)))


SUM = AggregateCall("SUM", (2,), (lt.INT,), lt.BIGINT)
LIST = AggregateCall("ARRAY_AGG", (1,), (lt.STRING,), lt.array(lt.STRING))
LOGS: dict[str, Any] = {
    "lists": GroupAggregateSpec(ROW, RowType((ROW[0], Column("a", LIST.type))), (0,), (LIST,), False, True),
    "lists of changelogs": GroupAggregateSpec(
        ROW, RowType((ROW[0], Column("a", LIST.type))), (0,), (LIST,), True, True
    ),
    "top-n": RankSpec(ROW, RANKED, "ROW_NUMBER", (0,), BEST, 1, 4, True, False, True),
    "top-n with expiry": RankSpec(ROW, ROW, "RANK", (0,), BEST, 1, 4, False, False, True, ttl_ms=1_000_000),
    "top-n of changelogs": RankSpec(ROW, RANKED, "ROW_NUMBER", (0,), BEST, 1, 3, True, True, True),
    "top-n by row of changelogs": RankSpec(ROW, ROW, "DENSE_RANK", (0,), BEST, 2, 3, False, True, True),
    "OVER": OverSpec(ROW, over(SUM), (0,), 3, True, FrameKind.ROWS, 9, (SUM,)),
    "general OVER of changelogs": GeneralOverSpec(
        ROW, over(SUM), (0,), BEST, FrameKind.ROWS, 2, 1, (SUM,), retracts=True, update_before=True
    ),
    "sort by time": TemporalSortSpec(ROW, ROW, (SortKey(3, ascending=True), SortKey(2, ascending=True))),
    "window top-n": WindowRankSpec(ROW, ROW, (0,), BEST, 4, 4, 1, 40, False),
    "rows of a key of changelogs": UpsertMaterializeSpec(ROW, ROW, (0,)),
}


def changes_of(seed: int, retracts: bool) -> list[list[Change]]:
    """Steps of rows whose times grow, and of which some are taken back later."""
    random = np.random.default_rng(seed)
    there: list[tuple[Any, ...]] = []
    steps = []
    for step in range(STEPS):
        changes: list[Change] = []
        for _ in range(STEP_ROWS):
            if retracts and there and random.random() < 0.3:
                changes.append(("-D", there.pop(int(random.integers(len(there))))))
                continue
            key = None if random.random() < 0.1 else int(random.integers(30))
            time = step * STEP_MS + int(random.integers(2 * STEP_MS))
            name = [None, "a", "some text", ""][int(random.integers(4))]
            row = (key, name, int(random.integers(5)), time, (time // STEP_MS + 1) * STEP_MS)
            changes.append(("+I", row))
            there.append(row)
        steps.append(changes)
    return steps


def emitted(spec: Any, inputs: list[list[list[Change]]], mode: RunMode, directory: Path | None) -> list[Any]:
    configuration: dict[str, Any] = {"execution.checkpointing.interval": 1}
    if directory is not None:
        configuration |= {
            "state.backend.type": "rocksdb",
            "state.backend.rocksdb.localdir": str(directory),
            "taskmanager.memory.managed.size": 4096,
        }
    on_disk = 0
    with OperatorHarness(spec, mode=mode, configuration=configuration, key_selectors=(None,) * len(inputs)) as harness:
        for step, changes in enumerate(zip(*inputs, strict=True)):
            for index, each in enumerate(changes):
                harness.push_batch(changelog_of(ROW, each), input_index=index)
                on_disk = max(on_disk, pages_on_disk(harness))
            harness.watermark(step * STEP_MS - 50)
        harness.end()
        # Rarely so few rows are kept at once that all are in memory; if that is always so, no example is left.
        assume(directory is None or on_disk > 1)
        return harness.changelog


def pages_on_disk(harness: OperatorHarness) -> int:
    operator: Any = harness.operator
    columns = [table._columns for table in operator.backend._all_tables()]
    return sum(int(each._pages._stored.sum()) for each in columns if isinstance(each, PagedColumnSet))


@pytest.mark.parametrize("name", JOINS)
@pytest.mark.parametrize("mode", [RunMode(batch_rows=20), RunMode(restore_each_step=True)], ids=str)
@given(seed=st.integers(0, 1000))
@settings(max_examples=2, deadline=None)
def test_joins(name: str, mode: RunMode, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("work")
    inputs = [changes_of(seed + index, "changelogs" in name) for index in (0, 1)]
    assert emitted(JOINS[name], inputs, mode, directory) == emitted(JOINS[name], inputs, mode, None)
    assert not list(directory.iterdir())


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("mode", [RunMode(batch_rows=20), RunMode(restore_each_step=True)], ids=str)
@given(seed=st.integers(0, 1000))
@settings(max_examples=2, deadline=None)
def test_rows_of_partitions(name: str, mode: RunMode, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("work")
    inputs = [changes_of(seed, "changelogs" in name)]
    assert emitted(LOGS[name], inputs, mode, directory) == emitted(LOGS[name], inputs, mode, None)
    assert not list(directory.iterdir())
