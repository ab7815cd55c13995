"""The regular join against plain Python: all kinds, conditions, NULLs, retractions, any order of the two inputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Expression, InputRef
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import JoinInput, JoinKind, JoinSpec
from millstream.testing.modes import RunMode
from tests.unit.operators.table.changelogs import Change, changelog_of, changelogs, materialized, surviving
from tests.unit.operators.table.joins.join_twins import (
    JOIN_MODES,
    Row,
    interleaved,
    join_harness,
    joined_pairs,
    of_input,
)

LEFT = RowType((Column("k", lt.BIGINT), Column("s", lt.STRING), Column("a", lt.INT)))
RIGHT = RowType((Column("t", lt.STRING), Column("j", lt.BIGINT), Column("b", lt.INT)))
KEYS = {
    "one key": ((0,), (1,), ()),
    "two keys": ((0, 1), (1, 0), ()),
    "null-safe": ((0,), (1,), (True,)),
    "one of two null-safe": ((0, 1), (1, 0), (False, True)),
    "no keys": ((), (), ()),
}
LEFT_ROW = st.tuples(st.sampled_from([1, 2, None]), st.sampled_from(["x", "y", None]), st.integers(0, 3))
RIGHT_ROW = st.tuples(st.sampled_from(["x", "y", None]), st.sampled_from([1, 2, 3, None]), st.integers(0, 3))

ROWS_OF: list[st.SearchStrategy[list[Row]]] = [st.lists(row, max_size=20) for row in (LEFT_ROW, RIGHT_ROW)]


def condition() -> Expression:
    """``a < b OR s = t``"""
    less = bind_call("<", [InputRef(lt.INT, 2), InputRef(lt.INT, 5)])
    equal = bind_call("=", [InputRef(lt.STRING, 1), InputRef(lt.STRING, 3)])
    return bind_call("OR", [less, equal])


def spec_of(kind: JoinKind, keys: str, with_condition: bool = False, final_only: bool = False) -> JoinSpec:
    left, right, null_safe = KEYS[keys]
    output = LEFT if kind in (JoinKind.SEMI, JoinKind.ANTI) else outputs()
    return JoinSpec(
        JoinInput(LEFT, left, retracts=True),
        JoinInput(RIGHT, right, retracts=True),
        output,
        kind,
        condition() if with_condition else None,
        null_safe,
        final_only=final_only,
    )


def outputs() -> RowType:
    return RowType((*LEFT.columns, *(replace(column, name=column.name + "_r") for column in RIGHT.columns)))


def match_of(spec: JoinSpec) -> Any:
    def match(a: Row, b: Row) -> bool:
        safe = spec.null_safe or (False,) * len(spec.left.keys)
        for mine, theirs, null_safe in zip(spec.left.keys, spec.right.keys, safe, strict=True):
            if a[mine] != b[theirs] or (a[mine] is None and not null_safe):
                return False
        if spec.condition is None:
            return True
        return bool(a[2] < b[2] or (a[1] is not None and a[1] == b[0]))

    return match


def twin(spec: JoinSpec, left: list[Row], right: list[Row]) -> Counter[Row]:
    match = match_of(spec)
    pairs = [(a, b) for a in left for b in right if match(a, b)]
    return joined_pairs(spec.join, left, right, pairs, len(LEFT), len(RIGHT))


def run(spec: JoinSpec, steps: list[tuple[int, list[Change]]], mode: RunMode) -> Any:
    with join_harness(spec, mode) as harness:
        for index, piece in steps:
            harness.push_batch(changelog_of((LEFT, RIGHT)[index], piece), input_index=index)
        harness.end()
        return harness.changelog


@pytest.mark.parametrize("mode", JOIN_MODES, ids=str)
@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("kind", JoinKind, ids=lambda kind: kind.name)
@given(steps=interleaved(changelogs(LEFT_ROW, 20), changelogs(RIGHT_ROW, 20)), with_condition=st.booleans())
@settings(max_examples=5, deadline=None)
def test_equals_plain_python(
    kind: JoinKind, keys: str, mode: RunMode, steps: list[tuple[int, list[Change]]], with_condition: bool
) -> None:
    spec = spec_of(kind, keys, with_condition)
    left, right = (surviving(of_input(steps, index)) for index in (0, 1))
    assert materialized(run(spec, steps, mode)) == twin(spec, left, right)


@pytest.mark.parametrize("mode", JOIN_MODES[:3], ids=str)
@pytest.mark.parametrize("kind", JoinKind, ids=lambda kind: kind.name)
@given(
    steps=interleaved(ROWS_OF[0], ROWS_OF[1]),
    with_condition=st.booleans(),
    keys=st.sampled_from(list(KEYS)),
)
@settings(max_examples=6, deadline=None)
def test_batch_mode_emits_final_rows_once(
    kind: JoinKind, keys: str, mode: RunMode, steps: list[tuple[int, list[Row]]], with_condition: bool
) -> None:
    spec = spec_of(kind, keys, with_condition, final_only=True)
    spec = replace(spec, left=replace(spec.left, retracts=False), right=replace(spec.right, retracts=False))
    changes: list[tuple[int, list[Change]]] = [(index, [("+I", row) for row in piece]) for index, piece in steps]
    emitted = run(spec, changes, mode)
    assert {change for change, _ in emitted} <= {"+I"}
    assert Counter(row for _, row in emitted) == twin(spec, of_input(steps, 0), of_input(steps, 1))


@pytest.mark.parametrize("kind", JoinKind, ids=lambda kind: kind.name)
@given(steps=interleaved(changelogs(LEFT_ROW, 20), changelogs(RIGHT_ROW, 20)))
@settings(max_examples=25, deadline=None)
def test_batch_mode_over_changing_inputs(kind: JoinKind, steps: list[tuple[int, list[Change]]]) -> None:
    spec = spec_of(kind, "one key", True, final_only=True)
    left, right = (surviving(of_input(steps, index)) for index in (0, 1))
    emitted = run(spec, steps, RunMode(seed=3, restore_each_step=True))
    assert {change for change, _ in emitted} <= {"+I"}
    assert Counter(row for _, row in emitted) == twin(spec, left, right)


def test_inputs_that_only_grow_give_inserts_without_kinds() -> None:
    spec = spec_of(JoinKind.INNER, "one key")
    with join_harness(spec, RunMode()) as harness:
        harness.push_batch(changelog_of(LEFT, [("+I", (1, "x", 1))]), input_index=0)
        harness.push_batch(changelog_of(RIGHT, [("+I", ("y", 1, 2)), ("+I", ("z", 1, 3))]), input_index=1)
        assert harness.changelog == [("+I", (1, "x", 1, "y", 1, 2)), ("+I", (1, "x", 1, "z", 1, 3))]


def test_rows_of_a_side_are_forgotten_after_its_time_to_live() -> None:
    spec = spec_of(JoinKind.LEFT, "one key")
    spec = replace(spec, left=replace(spec.left, ttl_ms=5000), right=replace(spec.right, ttl_ms=1000))
    with join_harness(spec, RunMode(restore_each_step=True)) as harness:
        harness.push_batch(changelog_of(RIGHT, [("+I", ("y", 1, 2))]), input_index=1)
        harness.advance(1500)
        harness.push_batch(changelog_of(LEFT, [("+I", (1, "x", 1))]), input_index=0)
        assert harness.changelog == [("+I", (1, "x", 1, None, None, None))]
        harness.push_batch(changelog_of(RIGHT, [("+I", ("z", 1, 3))]), input_index=1)
        assert harness.changelog[1:] == [
            ("-D", (1, "x", 1, None, None, None)),
            ("+I", (1, "x", 1, "z", 1, 3)),
        ]
        harness.advance(7000)
        assert sum(subtask.context.metrics.snapshot()["state_entries"] for subtask in harness.subtasks) == 0
