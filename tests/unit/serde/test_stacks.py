"""Values taken by row from stacked batches are those that were encoded."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.elements.batch import ObjectBatch
from millstream.core.errors import MalformedRecordError
from millstream.core.serde import encode_batch
from millstream.core.serde.batches import EncodedColumns, encoded_columns
from millstream.core.serde.stacks import Layout, Stack, is_stackable, layout_of


@dataclass
class Reading:
    sensor: str
    degrees: float


class Point(NamedTuple):
    x: int
    y: int


INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.text(st.characters(exclude_characters="\0"))
VALUES: list[st.SearchStrategy[Any]] = [
    INT64,
    TEXT,
    st.floats(allow_nan=False),
    st.booleans(),
    st.none(),
    st.tuples(INT64, TEXT, st.none(), st.booleans()),
    st.builds(Reading, TEXT, st.floats(allow_nan=False)),
    st.builds(Point, INT64, INT64),
    st.builds(lambda name, count: {"name": name, "count": count}, TEXT, INT64),
]
BATCHES = st.sampled_from(VALUES).flatmap(lambda one: st.lists(st.lists(one, min_size=1, max_size=6), min_size=1))


def encoded(values: list[Any]) -> EncodedColumns:
    return encoded_columns(b"".join(encode_batch(ObjectBatch(values))))


def layout(values: list[Any]) -> Layout:
    found = layout_of(encoded(values))
    assert is_stackable(found)
    return found


def stack_of(batches: list[list[Any]]) -> Stack:
    stack = Stack(layout(batches[0]))
    for batch in batches:
        stack.add(encoded(batch))
    stack.seal()
    return stack


@given(BATCHES, st.data())
def test_values_by_row(batches: list[list[Any]], data: st.DataObject) -> None:
    stack, everything = stack_of(batches), [value for batch in batches for value in batch]
    for _ in range(3):  # the later times some text has been cut
        rows = data.draw(st.lists(st.integers(0, len(everything) - 1)))
        taken = stack.values(np.array(rows, np.int64))
        assert taken == [everything[row] for row in rows]
        assert list(map(type, taken)) == [type(everything[row]) for row in rows]
    assert len(stack) == len(everything)


def test_lone_surrogates_and_empty_texts() -> None:
    batches = [["", "\udc80", "ü€"], [""], ["", ""]]
    assert stack_of(batches).values(np.arange(6)) == ["", "\udc80", "ü€", "", "", ""]


@pytest.mark.parametrize("values", [[1, "a"], [[1]], [1 << 70], ["a\0b"], [(1, None), (2, "x")], [{1: 2}], [()]])
def test_what_cannot_be_taken_apart_by_row(values: list[Any]) -> None:
    assert not is_stackable(layout_of(encoded(values)))


def test_batches_that_look_different() -> None:
    assert layout([(1, "a")]) == layout([(2, "b"), (3, "c")])
    different = [[(1, "a")], [("a", 1)], [(1, "a", 1)], [{"a": 1, "b": "c"}], [{"a": 1, "c": "c"}], [1], [1.0]]
    assert all(layout(one) != layout(other) for one, other in itertools.combinations(different, 2))


def test_damage_is_noticed() -> None:
    with pytest.raises(MalformedRecordError):
        encoded_columns(b"\1\5")
    whole = encoded([1, 2, 3])
    stack = Stack(layout([1]))
    with pytest.raises(MalformedRecordError, match="a column of 4 numbers has 24 bytes"):
        stack.add(whole._replace(rows=4))
    texts = Stack(layout(["a"]))
    texts.add(encoded(["a", "b"])._replace(rows=3))
    texts.seal()
    with pytest.raises(MalformedRecordError, match="a column of 3 texts has 2"):
        texts.values(np.arange(3))
