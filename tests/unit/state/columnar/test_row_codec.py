"""Rows as bytes and back, whatever their types."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from millstream.taskmanager.state.columnar.row_codec import RowCodec

INTEGERS = st.integers(-100, 100)
MOMENTS = st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2100, 1, 1))
VALUES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int8(), INTEGERS),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.bool_(), st.booleans()),
    (pa.float32(), INTEGERS.map(float)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.string(), st.text(max_size=20)),
    (pa.large_binary(), st.binary(max_size=20)),
    (pa.date32(), st.dates()),
    (pa.timestamp("us"), MOMENTS),
    (pa.decimal128(20, 3), st.decimals(-(10**9), 10**9, places=3)),
    (pa.list_(pa.string()), st.lists(st.none() | st.text(max_size=3), max_size=3)),
    (pa.struct([("a", pa.int64()), ("b", pa.string())]), st.fixed_dictionaries({"a": INTEGERS, "b": st.text("x")})),
]


@given(data=st.data())
def test_rows_come_back_as_they_were(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=12))
    rows = data.draw(st.integers(0, 5))
    columns = [
        pa.array(data.draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind) for kind, values in chosen
    ]
    times = np.array(data.draw(st.lists(INTEGERS, min_size=rows, max_size=rows)), np.int64)
    codec = RowCodec([kind for kind, _ in chosen])
    encoded = codec.encode(times, columns)
    found_times, found = codec.decode(encoded)
    assert found_times.tolist() == times.tolist()
    assert [column.to_pylist() for column in found] == [column.to_pylist() for column in columns]
    for column, expected in zip(found, columns, strict=True):
        column.validate(full=True)
        assert column.type == expected.type


def test_parts_of_arrays_are_encoded_like_whole_ones() -> None:
    whole = [pa.array([7, None, 3, 4]), pa.array(["a", "bb", None, "dddd"]), pa.array([True, False, None, True])]
    codec = RowCodec([column.type for column in whole])
    times = np.zeros(2, np.int64)
    parts = [column.slice(1, 2) for column in whole]
    copies = [pa.array(part.to_pylist(), part.type) for part in parts]
    assert codec.encode(times, parts) == codec.encode(times, copies)
