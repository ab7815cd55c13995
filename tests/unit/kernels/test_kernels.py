"""Kernels against what they mean, in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.kernels.hash_index import Int64Index
from millstream.core.kernels.running import RUNNING

KEYS = st.lists(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9), max_size=60), max_size=6)


@settings(deadline=None)  # the first call compiles
@given(batches=KEYS)
def test_slots_follow_the_first_appearance_of_keys(batches: list[list[int]]) -> None:
    index, known = Int64Index(), dict[int, int]()
    for keys in batches:
        before = len(known)
        expected = [known.setdefault(key, len(known)) for key in keys]
        slots, firsts = index.slots_of(np.array(keys, np.int64))
        assert slots.tolist() == expected
        assert [keys[i] for i in firsts] == list(known)[before:]
    assert index.keys().tolist() == list(known)


def test_an_index_grows_and_keeps_its_slots() -> None:
    index = Int64Index()
    keys = np.arange(0, 300_000 * 1024, 1024, dtype=np.int64)
    for start in range(0, len(keys), 7_777):
        index.slots_of(keys[start : start + 7_777])
    slots, firsts = index.slots_of(keys)
    assert slots.tolist() == list(range(len(keys))) and not len(firsts)


@pytest.mark.parametrize("kind", ["sum", "min", "max"])
@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.floats(width=32) | st.integers(-9, 9).map(float)), max_size=40),
    cut=st.integers(0, 40),
)
def test_running_aggregates_equal_a_loop(kind: str, rows: list[tuple[int, float]], cut: int) -> None:
    combine = {
        "sum": lambda old, new: old + new,
        "min": lambda old, new: new if new < old else old,
        "max": lambda old, new: new if new > old else old,
    }[kind]
    totals: dict[int, float] = {}
    index, state = Int64Index(), np.empty(16, np.float64)
    for part in (rows[:cut], rows[cut:]):
        expected: list[Any] = []
        for key, value in part:
            totals[key] = combine(totals[key], value) if key in totals else value
            expected.append(totals[key])
        known = index.size
        slots, _ = index.slots_of(np.array([key for key, _ in part], np.int64))
        out = np.empty(len(part), np.float64)
        RUNNING[kind](slots, np.array([value for _, value in part], np.float64), state, known, out)
        np.testing.assert_array_equal(out, np.array(expected, np.float64))
