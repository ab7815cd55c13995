"""Indexes whose slots are given back, and rows as words, against dicts and tuples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.kernels.row_index import RowIndex
from millstream.core.kernels.slot_index import SlotIndex, home_of
from millstream.taskmanager.state.columnar.row_encoding import encode_rows, row_hashes, rows_equal

CODES = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 30)


class Model:
    """What an index does, with a dict and a list."""

    def __init__(self) -> None:
        self.slots: dict[Any, int] = {}
        self.free: list[int] = []

    def slots_of(self, keys: list[Any]) -> tuple[list[int], list[int]]:
        slots, firsts = [], []
        for i, key in enumerate(keys):
            if key not in self.slots:
                firsts.append(i)
                self.slots[key] = self.free.pop() if self.free else len(self.slots)
            slots.append(self.slots[key])
        return slots, firsts

    def remove(self, slots: list[int]) -> None:
        by_slot = {slot: key for key, slot in self.slots.items()}
        for slot in slots:
            if slot in by_slot:
                del self.slots[by_slot.pop(slot)]
                self.free.append(slot)


@settings(deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.lists(CODES, max_size=40)), max_size=12))
def test_slots_of_integers_are_given_out_again(steps: list[tuple[bool, list[int]]]) -> None:
    index, model = SlotIndex(), Model()
    for adds, codes in steps:
        array = np.array(codes, np.int64)
        if adds:
            slots, firsts = index.slots_of(array)
            assert (slots.tolist(), firsts.tolist()) == model.slots_of(codes)
        else:
            found = index.find(array)
            assert found.tolist() == [model.slots.get(code, -1) for code in codes]
            index.remove(found[found >= 0])
            model.remove(found.tolist())
        assert len(index) == len(model.slots)
        assert np.flatnonzero(index.live[: index.slots_end]).tolist() == sorted(model.slots.values())


def test_a_cleared_index_is_as_a_new_one() -> None:
    integers, rows = SlotIndex(), RowIndex()
    numbers, words = np.arange(5000) % 4000, encode_rows([pa.array([f"row {n % 4000}" for n in range(5000)])], 5000)
    for _ in range(2):
        for slots, firsts in (integers.slots_of(numbers), rows.slots_of_rows(*words)):
            assert slots.tolist() == numbers.tolist() and firsts.tolist() == list(range(4000))
        assert integers.codeless_slot() == (4000, True)
        integers.clear()
        rows.clear()
        assert len(integers) == len(rows) == 0 and not integers.live.any()
        assert (integers.find(numbers) == -1).all() and (rows.find_rows(*words) == -1).all()


def test_removal_from_long_runs_keeps_what_stands_behind() -> None:
    mask = (1 << 11) - 1
    colliding = [code for code in range(1 << 18) if int(home_of(code)) & mask in (mask - 1, mask, 0)][:300]
    index, model = SlotIndex(), Model()
    index.slots_of(np.array(colliding, np.int64))
    model.slots_of(colliding)
    for start in range(0, 300, 7):
        leaving = colliding[start::13]
        slots = index.find(np.array(leaving, np.int64))
        index.remove(slots[slots >= 0])
        model.remove(slots.tolist())
        found = index.find(np.array(colliding, np.int64)).tolist()
        assert found == [model.slots.get(code, -1) for code in colliding]


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.booleans(),
            st.lists(st.tuples(st.none() | st.text("aé", max_size=20), st.none() | st.integers(0, 2)), max_size=30),
        ),
        max_size=10,
    )
)
def test_slots_of_rows_are_given_out_again(steps: list[tuple[bool, list[tuple[str | None, int | None]]]]) -> None:
    index, model = RowIndex(), Model()
    for adds, rows in steps:
        encoded = encode_rows(
            [pa.array([text for text, _ in rows], pa.string()), pa.array([n for _, n in rows], pa.int32())], len(rows)
        )
        if adds:
            slots, firsts = index.slots_of_rows(*encoded)
            assert (slots.tolist(), firsts.tolist()) == model.slots_of(rows)
        else:
            found = index.find_rows(*encoded)
            assert found.tolist() == [model.slots.get(row, -1) for row in rows]
            index.remove(found[found >= 0])
            model.remove(found.tolist())


def test_words_of_removed_rows_are_given_back() -> None:
    index = RowIndex()
    kept = np.empty(0, np.int64)
    for turn in range(30):
        rows = encode_rows([pa.array([f"{turn} {n} and some more text" for n in range(5000)])], 5000)
        slots, _ = index.slots_of_rows(*rows)
        kept = slots[:10] if turn == 0 else kept
        index.remove(np.setdiff1d(slots, kept))
    assert index.slots_end <= 5010 and index.estimated_bytes < 2_000_000
    first = encode_rows([pa.array([f"0 {n} and some more text" for n in range(10)])], 10)
    assert index.find_rows(*first).tolist() == kept.tolist()


VALUES = st.tuples(
    st.none() | st.sampled_from(["", "a", "abcdefgh", "abcdefghi"]),
    st.none() | st.sampled_from([0, 1]),
    st.none() | st.sampled_from([0.0, -0.0, 1.5, float("nan")]),
    st.none() | st.sampled_from([b"", b"\x00"]),
    st.none() | st.booleans(),
)
TYPES = [pa.string(), pa.int64(), pa.float32(), pa.large_binary(), pa.bool_()]


@settings(deadline=None)
@given(rows=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=20))
def test_rows_have_equal_words_when_they_are_equal(rows: list[tuple[tuple[Any, ...], tuple[Any, ...]]]) -> None:
    sides = []
    for side in range(2):
        columns = [pa.array([row[side][i] for row in rows], kind) for i, kind in enumerate(TYPES)]
        sides.append(encode_rows(columns, len(rows)))
    expected = [plain(left) == plain(right) for left, right in rows]
    assert rows_equal(*sides).tolist() == expected
    same_hash = row_hashes(sides[0]) == row_hashes(sides[1])
    assert same_hash.tolist() == expected


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple("nan" if value != value else value for value in row)
