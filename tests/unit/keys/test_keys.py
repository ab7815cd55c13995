"""The key hash is for ever: values pinned here are part of the savepoint format."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import subprocess
import sys
import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.errors import RecordTypeError
from millstream.core.keys import (
    arrow_key_groups,
    key_group,
    key_group_range,
    key_groups,
    stable_hash,
    subtask_of_key_group,
    subtasks_of_key_groups,
    table_key_groups,
)


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 3


class Name(enum.StrEnum):
    ANN = "ann"


class Pair(NamedTuple):
    a: int
    b: str


@dataclass(frozen=True)
class Frozen:
    a: int
    b: str


@dataclass
class Loose:
    a: int


PINNED: list[tuple[Any, int]] = [
    (0, 3793791033),
    (1, 2433363436),
    (-1, 3839455607),
    (2**63 - 1, 711448405),
    (-(2**63), 1209974946),
    (2**63, 3387787181),
    ("", 1553592548),
    ("a", 1433687449),
    ("\u65e5\u672c", 1777290387),
    (b"", 1364858923),
    (b"a", 3024151398),
    (None, 2388835637),
    (True, 2433363436),
    (1.5, 4077183983),
    (-0.25, 3305348372),
    (float("inf"), 3816257672),
    ((1, "a"), 1852112007),
    ((), 1414877260),
    ((None, (2,)), 2234529271),
    (Pair(1, "a"), 1852112007),
    (Frozen(1, "a"), 1852112007),
    (Colour.RED, 2530003804),
    (dt.date(2020, 2, 29), 2397261246),
    (dt.datetime(2020, 2, 29, 1, 2, 3), 3136724992),
    (dt.timedelta(seconds=1), 1153941849),
    (uuid.UUID(int=7), 2476971005),
    (decimal.Decimal("1.10"), 2087113663),
]


@pytest.mark.parametrize(("key", "expected"), PINNED, ids=lambda value: repr(value)[:30])
def test_pinned_hashes(key: Any, expected: int) -> None:
    assert stable_hash(key) == expected, "savepoints of earlier releases would not find their keys"


NOON = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, 1.0), (1, True), (0, False), (1, decimal.Decimal(1)), (0.5, decimal.Decimal("0.5")), (1, np.int64(1)),
        ((1, "a"), Pair(1, "a")), (3, Level.LOW), ("ann", Name.ANN), (0.0, -0.0), (2.0**60, 2**60),
        (NOON, NOON.astimezone(dt.timezone(dt.timedelta(hours=2)))),
    ],
    ids=repr,
)  # fmt: skip
def test_equal_keys_hash_alike(first: Any, second: Any) -> None:
    assert first == second
    assert stable_hash(first) == stable_hash(second)


@given(st.integers() | st.floats(allow_nan=False), st.integers() | st.floats(allow_nan=False))
def test_equal_numbers_hash_alike(first: float, second: float) -> None:
    if first == second:
        assert stable_hash(first) == stable_hash(second)


@given(st.lists(st.integers(-(2**70), 2**70) | st.text() | st.booleans() | st.none(), min_size=1, max_size=50))
def test_many_at_once_are_as_each_alone(keys: list[Any]) -> None:
    assert key_groups(keys, 128).tolist() == [key_group(key, 128) for key in keys]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.integers(1, 300))
def test_integer_columns_are_as_integers(keys: list[int], groups: int) -> None:
    expected = [key_group(key, groups) for key in keys]
    assert key_groups(keys, groups).tolist() == expected
    assert arrow_key_groups([pa.array(keys, pa.int64())], groups).tolist() == expected


@given(st.lists(st.none() | st.text(), min_size=1), st.integers(1, 300))
def test_text_columns_are_as_text(keys: list[str | None], groups: int) -> None:
    expected = [key_group(key, groups) for key in keys]
    assert arrow_key_groups([pa.array(keys, pa.string())], groups).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 9), st.text(max_size=2)), min_size=1))
def test_several_columns_are_as_tuples(keys: list[tuple[int, str]]) -> None:
    columns = [pa.array([number for number, _ in keys]), pa.array([text for _, text in keys])]
    assert arrow_key_groups(columns, 128).tolist() == [key_group(key, 128) for key in keys]


ARROW_VALUES = [
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.int8(), st.integers(-128, 127)),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text()),
    (pa.large_string(), st.text(max_size=30)),
    (pa.binary(), st.binary(max_size=30)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.decimal128(12, 3), st.decimals(-(10**8), 10**8, places=3)),
    (pa.date32(), st.dates()),
    (pa.null(), st.none()),
]


@pytest.mark.parametrize("several", [False, True], ids=["one column", "several columns"])
@pytest.mark.parametrize(("kind", "values"), ARROW_VALUES, ids=[str(kind) for kind, _ in ARROW_VALUES])
@settings(deadline=None, max_examples=30)  # the first call compiles
@given(data=st.data())
def test_columns_of_every_type_are_as_their_values(
    kind: pa.DataType, values: st.SearchStrategy[Any], several: bool, data: st.DataObject
) -> None:
    column = data.draw(st.lists(st.none() | values, min_size=1, max_size=12))
    groups = data.draw(st.integers(1, 300))
    first = pa.array([None, *column], kind).slice(1)  # with an offset
    keys: list[Any] = first.to_pylist()
    columns = [first]
    if several:
        texts = data.draw(st.lists(st.none() | st.text(max_size=9), min_size=len(column), max_size=len(column)))
        columns.append(pa.array(texts, pa.string()))
        keys = list(zip(keys, texts, strict=True))
    expected = [key_group(key, groups) for key in keys]
    assert arrow_key_groups(columns, groups).tolist() == expected
    if kind != pa.date32():
        assert table_key_groups(columns, groups).tolist() == expected


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.time64("us")], ids=str)
def test_times_in_tables_are_as_the_integers_that_are_stored(kind: pa.DataType) -> None:
    stored = [0, None, 1, 86_399]
    column = pa.array(stored, pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)
    assert table_key_groups([column], 128).tolist() == [key_group(value, 128) for value in stored]


def test_nested_values_are_keys_of_tables() -> None:
    column = pa.array([[1, 2], None, [1, 2], [2, 1]])
    first, null, again, other = table_key_groups([column], 1 << 15).tolist()
    assert first == again != other and null == key_group(None, 1 << 15)
    with pytest.raises(RecordTypeError, match="no stable hash"):
        arrow_key_groups([column], 128)


def test_rows_without_key_columns_have_one_group() -> None:
    assert table_key_groups([], 128, 3).tolist() == [key_group((), 128)] * 3


def test_the_hash_does_not_depend_on_the_process() -> None:
    keys = "('a', b'b', (1, 'c'), 1.5, None)"
    code = f"from millstream.core.keys import stable_hash; print([stable_hash(key) for key in {keys}])"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(found) == 1


@given(st.integers(1, 400), st.integers(1, 400))
def test_ranges_share_out_the_groups(groups: int, parallelism: int) -> None:
    owners = [subtask_of_key_group(group, groups, parallelism) for group in range(groups)]
    for subtask in range(parallelism):
        own = key_group_range(subtask, groups, parallelism)
        assert list(own) == [group for group, owner in enumerate(owners) if owner == subtask]
    assert subtasks_of_key_groups(np.arange(groups, dtype=np.int32), groups, parallelism).tolist() == owners


def test_keys_spread_over_groups() -> None:
    counts = np.bincount(key_groups(list(range(128_000)), 128), minlength=128)
    assert counts.min() > 800 and counts.max() < 1200


@pytest.mark.parametrize("key", [[1], {"a": 1}, {1}, Loose(1), object(), (1, [2])], ids=lambda key: type(key).__name__)
def test_keys_without_a_stable_hash_are_refused(key: Any) -> None:
    with pytest.raises(RecordTypeError):
        key_groups([key], 128)
