"""Columns against a dict from slot to value."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.taskmanager.state.columnar.columns import FallbackColumn, FixedColumn, VarColumn, column_for

TYPES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint8(), st.integers(0, 255)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.bool_(), st.booleans()),
    (pa.date32(), st.dates()),
    (pa.timestamp("us", "UTC"), st.integers(-(2**40), 2**40)),
    (pa.string(), st.text(max_size=12)),
    (pa.large_binary(), st.binary(max_size=12)),
    (pa.decimal128(10, 2), st.decimals(-(10**6), 10**6, places=2)),
    (pa.list_(pa.int64()), st.lists(st.integers(-5, 5), max_size=3)),
    (
        pa.struct([("a", pa.int64()), ("b", pa.string())]),
        st.fixed_dictionaries({"a": st.integers(0, 9), "b": st.text()}),
    ),
]


@pytest.mark.parametrize(("kind", "values"), TYPES, ids=[str(kind) for kind, _ in TYPES])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_what_is_set_is_gathered(kind: pa.DataType, values: st.SearchStrategy[Any], data: st.DataObject) -> None:
    column = column_for(kind)
    model: dict[int, Any] = {}
    for _ in range(data.draw(st.integers(1, 5))):
        rows = data.draw(st.dictionaries(st.integers(0, 40), st.none() | values, max_size=12))
        column.reserve(max([*rows, 0]) + 1)
        given_rows = pa.array([None, *rows.values()], kind).slice(1)
        column.set(np.array(list(rows), np.int64), given_rows)
        model.update(zip(rows, given_rows.to_pylist(), strict=True))
        cleared = data.draw(st.lists(st.sampled_from(sorted(model)), max_size=3)) if model else []
        column.clear(np.array(cleared, np.int64))
        model.update(dict.fromkeys(cleared))
        asked = data.draw(st.lists(st.sampled_from(sorted(model)), max_size=20)) if model else []
        found = column.gather(np.array(asked, np.int64))
        found.validate(full=True)
        assert found.type == kind
        assert found.to_pylist() == [model[slot] for slot in asked]


def test_the_type_chooses_the_form() -> None:
    assert isinstance(column_for(pa.timestamp("ms")), FixedColumn)
    assert isinstance(column_for(pa.string()), VarColumn)
    assert isinstance(column_for(pa.map_(pa.string(), pa.int64())), FallbackColumn)


def test_a_heap_of_replaced_text_stays_small() -> None:
    column = VarColumn(pa.string())
    column.reserve(1000)
    slots = np.arange(1000)
    for turn in range(400):
        column.set(slots, pa.array([f"the text number {turn} of slot {slot}" for slot in range(1000)]))
    assert column.gather(slots[-1:]).to_pylist() == ["the text number 399 of slot 999"]
    assert column.estimated_bytes() < 400_000


def test_a_heap_of_removed_text_is_given_back() -> None:
    column = VarColumn(pa.string())
    column.reserve(10_000)
    slots = np.arange(10_000)
    column.set(slots, pa.array(["x" * 100] * 10_000))
    full = column.estimated_bytes()
    column.clear(slots[1:])
    assert column.estimated_bytes() < full / 4
    assert column.gather(slots[:2]).to_pylist() == ["x" * 100, None]


def test_kernels_see_and_change_the_values_of_fixed_columns() -> None:
    column = column_for(pa.timestamp("s"))
    assert isinstance(column, FixedColumn)
    column.reserve(4)
    column.values[2] = 86_400
    column.valid[2] = True
    found = column.gather(np.array([1, 2]))
    assert found.to_pylist() == [None, datetime.datetime(1970, 1, 2)]
    column.clear(np.array([2]))
    assert column.values[2] == 0


def test_dictionaries_and_chunks_are_taken_as_their_values() -> None:
    column = column_for(pa.string())
    column.reserve(3)
    slots = np.arange(3)
    column.set(slots, pa.array(["a", None, "a"]).dictionary_encode())
    assert column.gather(slots).to_pylist() == ["a", None, "a"]
    column.set(slots, pa.chunked_array([["x"], ["y", None]]))
    assert column.gather(slots).to_pylist() == ["x", "y", None]
