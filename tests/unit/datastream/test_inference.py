"""Types of streams: declared, annotated, from first values, or unknown."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from millstream.common import Row, Types
from millstream.datastream import DataStream, StreamExecutionEnvironment
from millstream.datastream.functions import FlatMapFunction, MapFunction, ProcessFunction
from millstream.datastream.inference import element_type, returned_type


@dataclass
class Order:
    customer: str
    amount: float


class Click(NamedTuple):
    user: str
    at_ms: int


class Opaque:
    pass


class Parse(MapFunction[str, Order]):
    def map(self, value: str) -> Order:
        return Order(value, 1.0)


class Words(FlatMapFunction[str, str]):
    def flat_map(self, value: str) -> Iterator[str]:
        yield value


class Clicks(ProcessFunction):
    def process_element(self, value: Any, ctx: Any) -> Iterable[Click] | None:
        return None


def to_pair(value: str) -> tuple[str, int]:
    return value, 1


def to_unknown(value: str):  # type: ignore[no-untyped-def]
    return value


def to_what_only_checkers_see(value: str) -> Elsewhere:  # type: ignore[name-defined]  # noqa: F821
    return value


def to_several(value: str) -> list[int]:
    return [1]


@pytest.mark.parametrize(
    ("function", "method", "expected"),
    [
        (to_pair, "map", "TUPLE<STRING, LONG>"),
        (Parse(), "map", "Order<customer: STRING, amount: DOUBLE>"),
        (str, "map", "STRING"),
        (Order, "map", "Order<customer: STRING, amount: DOUBLE>"),
        (functools.partial(to_pair), "map", None),
        (to_unknown, "map", None),
        (to_what_only_checkers_see, "map", None),
        (lambda value: value, "map", None),
        (len, "map", None),
    ],
)
def test_returned(function: Callable[..., Any], method: str, expected: str | None) -> None:
    found = returned_type(function, method)
    assert (None if found is None else str(found)) == expected


@pytest.mark.parametrize(
    ("function", "method", "expected"),
    [
        (to_several, "flat_map", "LONG"),
        (Words(), "flat_map", "STRING"),
        (Clicks(), "process_element", "Click<user: STRING, at_ms: LONG>"),
        (to_pair, "flat_map", None),
        (to_unknown, "flat_map", None),
    ],
)
def test_elements(function: Any, method: str, expected: str | None) -> None:
    found = element_type(function, method)
    assert (None if found is None else str(found)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], "LONG"),
        ([("a", 1)], "TUPLE<STRING, LONG>"),
        ([Click("u", 1)], "Click<user: STRING, at_ms: LONG>"),
        ([Row(id=1)], "ROW<id: LONG>"),
        ([1, "a"], None),
        ([], None),
        ([None, 3], "LONG"),
    ],
)
def test_first_values(env: StreamExecutionEnvironment, values: list[Any], expected: str | None) -> None:
    found = env.from_collection(values).get_type()
    assert (None if found is None else str(found)) == expected


def types(*streams: DataStream[Any]) -> list[str | None]:
    return [None if stream.get_type() is None else str(stream.get_type()) for stream in streams]


def test_types_pass_through_what_keeps_records(env: StreamExecutionEnvironment) -> None:
    pairs = env.from_collection([("a", 1)])
    keyed = pairs.key_by(0)
    streams = [pairs.filter(bool), pairs.rebalance(), pairs.union(pairs), keyed, keyed.sum(1), keyed.reduce(max)]
    assert types(*streams) == ["TUPLE<STRING, LONG>"] * 6
    assert types(pairs.map(lambda pair: pair), pairs.union(env.from_collection([1]))) == [None, None]


def test_a_declared_type_wins(env: StreamExecutionEnvironment) -> None:
    numbers = env.from_collection([1])
    assert types(numbers.map(to_unknown, output_type=Types.INT()), numbers.map(to_pair, tuple[str, float])) == [
        "INT",
        "TUPLE<STRING, DOUBLE>",
    ]


def test_what_may_be_pickled_is_marked_in_the_graph(env: StreamExecutionEnvironment) -> None:
    def make(value: int) -> Opaque:
        return Opaque()

    make.__annotations__["return"] = Opaque
    env.from_collection([1]).map(make)
    assert [
        node.output_type is not None and node.output_type.is_generic for node in env.get_stream_graph().nodes.values()
    ] == [
        False,
        True,
    ]
