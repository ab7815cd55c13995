"""Joins of lists of rows in plain Python, and the ways to bring two inputs to an operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

from millstream.core.table.specs import ColumnKey, JoinKind
from millstream.testing.modes import RunMode
from millstream.testing.parallel import ParallelHarness

Row = tuple[Any, ...]
ItemT = TypeVar("ItemT")

JOIN_MODES: Final = (
    RunMode(),
    RunMode(batch_rows=1),
    RunMode(seed=2, restore_each_step=True),
    RunMode(batch_rows=2, parallelisms=(3, 1, 2)),
)


def joined_pairs(
    kind: JoinKind,
    left: Sequence[Row],
    right: Sequence[Row],
    pairs: Sequence[tuple[Row, Row]],
    left_width: int,
    right_width: int,
) -> Counter[Row]:
    """The rows of a join whose ``pairs`` are known; equal rows have equal partners."""
    matched_left, matched_right = {a for a, _ in pairs}, {b for _, b in pairs}
    if kind is JoinKind.SEMI:
        return Counter(row for row in left if row in matched_left)
    if kind is JoinKind.ANTI:
        return Counter(row for row in left if row not in matched_left)
    rows = Counter((*a, *b) for a, b in pairs)
    if kind.keeps_left:
        rows.update((*row, *[None] * right_width) for row in left if row not in matched_left)
    if kind.keeps_right:
        rows.update((*[None] * left_width, *row) for row in right if row not in matched_right)
    return rows


@st.composite
def interleaved(
    draw: st.DrawFn, left: st.SearchStrategy[list[ItemT]], right: st.SearchStrategy[list[ItemT]]
) -> list[tuple[int, list[ItemT]]]:
    """Two inputs in pieces, ``(input, piece)``, in any order."""
    waiting = [draw(left), draw(right)]
    steps: list[tuple[int, list[ItemT]]] = []
    while any(waiting):
        index = draw(st.sampled_from([index for index in (0, 1) if waiting[index]]))
        size = draw(st.integers(1, min(8, len(waiting[index]))))
        steps.append((index, waiting[index][:size]))
        waiting[index] = waiting[index][size:]
    return steps


def of_input(steps: Sequence[tuple[int, list[ItemT]]], index: int) -> list[ItemT]:
    """What one input got, in order."""
    return [item for each, piece in steps if each == index for item in piece]


def join_harness(spec: Any, mode: RunMode) -> ParallelHarness:
    """Two subtasks between which the rows are divided by key; one where there are no keys."""
    keys = (ColumnKey(spec.left.keys), ColumnKey(spec.right.keys))
    if not spec.left.keys:
        mode = RunMode(mode.batch_rows, mode.seed, mode.restore_each_step or bool(mode.parallelisms))
    return ParallelHarness(spec, key_selectors=keys, mode=mode, parallelism=2 if spec.left.keys else 1)


def plain(row: Row) -> Row:
    """Times as milliseconds."""
    return tuple(
        round((value.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
        if isinstance(value, datetime)
        else value
        for value in row
    )
