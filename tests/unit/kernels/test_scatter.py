"""Rows by target against a sort, and values in heaps against lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.kernels import heaps
from millstream.core.kernels.scatter import order_by_target
from millstream.core.kernels.slot_index import distinct_marked


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@settings(deadline=None)
@given(targets=st.lists(st.integers(0, 6), max_size=60))
def test_rows_are_sorted_by_target(dtype: type, targets: list[int]) -> None:
    array = np.array(targets, dtype)
    order, edges = np.empty(len(array), np.int64), np.zeros(8, np.int64)
    order_by_target(array, edges, order)
    assert order.tolist() == sorted(range(len(targets)), key=targets.__getitem__)
    assert np.diff(edges).tolist() == [targets.count(target) for target in range(7)]


@settings(deadline=None)
@given(slots=st.lists(st.integers(0, 9), max_size=30), marks=st.lists(st.booleans(), min_size=10, max_size=10))
def test_marked_slots_are_found_once(slots: list[int], marks: list[bool]) -> None:
    array = np.array(marks)
    found = distinct_marked(np.array(slots, np.int64), array)
    assert found.tolist() == list(dict.fromkeys(slot for slot in slots if marks[slot]))
    assert array.tolist() == marks


@settings(deadline=None)
@given(data=st.binary(max_size=60), begin=st.integers(0, 20), size=st.integers(0, 40), at=st.integers(0, 20))
def test_bytes_are_copied(data: bytes, begin: int, size: int, at: int) -> None:
    source = np.frombuffer(data.ljust(60, b".") + bytes(heaps.SLACK_BYTES), np.uint8)
    target = np.full(60 + heaps.SLACK_BYTES, 7, np.uint8)
    heaps.copy_bytes(source, begin, target, at, size)
    assert target[at : at + size].tolist() == source[begin : begin + size].tolist()
    assert (target[:at] == 7).all() and (target[at + size + heaps.SLACK_BYTES :] == 7).all()
