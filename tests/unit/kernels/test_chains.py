"""Chains of rows against lists."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.taskmanager.state.columnar.row_chains import RowChains
from millstream.taskmanager.state.columnar.row_slots import RowSlots


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 50), max_size=6)), max_size=8
    ),
    asked=st.lists(st.integers(-1, 4), max_size=12),
)
def test_chains_are_lists_of_rows(steps: list[tuple[list[int], list[int]]], asked: list[int]) -> None:
    chains, slots = RowChains(), RowSlots()
    chains.reserve(5, 0)
    lists: dict[int, list[int]] = {group: [] for group in range(5)}
    for groups, leaving in steps:
        rows = slots.allocate(len(groups))
        assert len(set(rows.tolist())) == len(groups)
        assert not {row for held in lists.values() for row in held} & set(rows.tolist())
        chains.reserve(5, slots.end)
        chains.append(np.array(groups, np.int64), rows)
        for group, row in zip(groups, rows.tolist(), strict=True):
            lists[group].append(row)
        present = sorted(row for held in lists.values() for row in held)
        chosen = np.array(sorted({present[n % len(present)] for n in leaving} if present else ()), np.int64)
        filled = {group for group, held in lists.items() if held}
        emptied = chains.unlink(chosen)
        slots.free(chosen)
        for held in lists.values():
            held[:] = [row for row in held if row not in chosen]
        assert sorted(emptied.tolist()) == sorted(group for group in filled if not lists[group])
        assert len(slots) == sum(map(len, lists.values()))
    positions, rows = chains.rows_of(np.array(asked, np.int64))
    expected = [(i, row) for i, group in enumerate(asked) for row in lists.get(group, [])]
    assert list(zip(positions.tolist(), rows.tolist(), strict=True)) == expected
    left = {group: iter(held) for group, held in lists.items()}
    once = [next(left[group], -1) if group >= 0 else -1 for group in asked]
    assert chains.one_of_each(np.array(asked, np.int64)).tolist() == once
