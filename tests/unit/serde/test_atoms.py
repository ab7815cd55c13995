"""The short way of encoding gives the bytes of the long one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.errors import MalformedRecordError
from millstream.core.serde import decode_value, encode_value
from millstream.core.serde.values import pack

_ATOM = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text() | st.binary()


@given(_ATOM | st.lists(_ATOM).map(tuple) | st.lists(st.lists(_ATOM).map(tuple)).map(tuple))
def test_bytes_are_those_of_the_long_way(value: Any) -> None:
    assert encode_value(value) == pack(value, True)
    assert decode_value(encode_value(value)) == value


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 250, 255, 256, 65_533, 65_536, 70_000])
def test_tuples_of_every_size(size: int) -> None:
    for value in [("x" * size,), (b"x" * size, 1), (None,) * size, ("\ud800" * size,)]:
        assert encode_value(value) == pack(value, True)
        assert decode_value(memoryview(encode_value(value))) == value


def test_a_tuple_that_is_none_is_refused() -> None:
    with pytest.raises(MalformedRecordError, match="tuple holds int"):
        decode_value(bytes([0xC7, 3, 1, 0xCD, 1, 1]))


def test_the_packer_goes_on_after_a_value_it_cannot_take() -> None:
    assert encode_value((1, 2**80)) == pack((1, 2**80), True)
    assert encode_value((1, 2)) == pack((1, 2), True)
