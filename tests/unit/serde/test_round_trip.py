"""What is encoded comes back, values and types; damaged bytes are told as such and cost no memory."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import random
import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.api.row import Row
from millstream.core.elements.batch import ObjectBatch
from millstream.core.errors import MalformedRecordError
from millstream.core.serde import NoTypedEncoding, decode_batch, decode_value, encode_batch, encode_value


class Point(NamedTuple):
    x: int
    y: float


@dataclass
class Bid:
    auction: int
    price: float
    note: str | None = None


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Level(enum.IntEnum):
    LOW = 1


class Odd:
    """Has no typed encoding."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.sampled_from([*Colour, *Level])
)
HASHABLE = st.integers() | st.text() | st.booleans() | st.none() | st.binary()
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.frozensets(HASHABLE, max_size=4)
        | st.builds(Point, st.integers(), st.floats(allow_nan=False))
        | st.builds(Bid, st.integers(), st.floats(allow_nan=False), st.none() | st.text())
        | st.lists(inner, min_size=1, max_size=3).map(lambda items: Row(*items))
    ),
    max_leaves=8,
)
SHAPES = st.one_of(
    st.lists(VALUES, max_size=20),
    st.lists(st.tuples(st.integers(), st.text(), st.floats(allow_nan=False)), max_size=20),
    st.lists(st.builds(Bid, st.integers(), st.floats(allow_nan=False), st.none() | st.text()), max_size=20),
    st.lists(st.fixed_dictionaries({"a": st.integers(), "b": st.none() | st.text(), "c": VALUES}), max_size=20),
    st.lists(st.builds(Point, st.integers(), st.floats(allow_nan=False)), max_size=20),
    st.lists(st.text(), max_size=20),
    st.lists(st.booleans(), max_size=20),
)


def same(first: Any, second: Any) -> bool:
    """Equal, and of the same type all the way down."""
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        pairs = zip(first.items(), second.items(), strict=True)
        return len(first) == len(second) and all(same(a, c) and same(b, d) for (a, b), (c, d) in pairs)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, float):
        return (
            math.isnan(second)
            if math.isnan(first)
            else math.copysign(1, first) == math.copysign(1, second) and first == second
        )
    return bool(first == second)


def encoded(batch: ObjectBatch, **options: Any) -> bytes:
    return b"".join(encode_batch(batch, **options))


@settings(deadline=None, max_examples=200)
@given(value=VALUES)
def test_values_come_back_with_their_types(value: Any) -> None:
    assert same(decode_value(encode_value(value)), value)


@settings(deadline=None, max_examples=200)
@given(values=SHAPES, timed=st.booleans())
def test_batches_come_back_with_their_types_and_times(values: list[Any], timed: bool) -> None:
    times = np.arange(len(values), dtype=np.int64) * 1000 - 7 if timed else None
    batch = decode_batch(encoded(ObjectBatch(values, times)))
    assert isinstance(batch, ObjectBatch) and same(batch.values, values)
    if times is None:
        assert batch.timestamps is None
    else:
        assert batch.timestamps is not None and batch.timestamps.tolist() == times.tolist()


@pytest.mark.parametrize(
    "value",
    [
        math.nan, math.inf, -0.0, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**400, "\0", "\ud800", b"", "", (), [],
        {}, set(), decimal.Decimal("NaN"), decimal.Decimal("1.10"), uuid.UUID(int=7), Level.LOW, True, 1, 1.0,
        dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))), ((1, 2), (3,)),
    ],
    ids=repr,
)  # fmt: skip
def test_edge_values(value: Any) -> None:
    back = decode_value(encode_value(value))
    if isinstance(value, decimal.Decimal) and value.is_nan():
        assert back.is_nan()
        return
    assert same(back, value)
    mixed = decode_batch(encoded(ObjectBatch([value, "other", value])))
    assert isinstance(mixed, ObjectBatch) and same(mixed.values, [value, "other", value])
    alone = decode_batch(encoded(ObjectBatch([value, value])))
    assert isinstance(alone, ObjectBatch) and same(alone.values, [value, value])


def test_other_objects_are_pickled_unless_that_is_forbidden() -> None:
    assert decode_value(encode_value([Odd(1), Odd(2)])) == [Odd(1), Odd(2)]
    with pytest.raises(NoTypedEncoding, match="Odd"):
        encode_value(Odd(1), generic_types=False)
    with pytest.raises(NoTypedEncoding, match="Odd"):
        encoded(ObjectBatch([(1, Odd(1))]), generic_types=False)


@settings(deadline=None)
@given(values=SHAPES, seed=st.integers(0, 10**6))
def test_damaged_bytes_are_told_as_such(values: list[Any], seed: int) -> None:
    """Cut, changed or random: the batch is another one or ``MalformedRecordError``, never anything else."""
    chance = random.Random(seed)
    data = bytearray(encoded(ObjectBatch(values), generic_types=True))
    match chance.randrange(3):
        case 0:
            data = data[: chance.randrange(len(data))]
        case 1:
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
        case _:
            data = bytearray(chance.randbytes(chance.randrange(200)))
    if 127 in data:
        return  # might be taken for a pickle, which only authenticated peers can send
    try:
        decode_batch(bytes(data))
    except MalformedRecordError:
        return


def test_claimed_lengths_are_not_believed() -> None:
    whole = encoded(ObjectBatch([1, 2, 3]))
    for position in range(len(whole)):
        for byte in (0x7F, 0xFF):
            changed = whole[:position] + bytes([byte]) + whole[position + 1 :]
            try:
                decode_batch(changed)
            except MalformedRecordError:
                continue
