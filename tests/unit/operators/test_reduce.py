"""Rolling reduce and built-in aggregations against plain loops, for every shape of record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.api.functions import ReduceFunction, RuntimeContext
from millstream.core.api.row import Row
from millstream.core.elements.batch import ObjectBatch
from millstream.core.errors import RecordTypeError, UserCodeError
from millstream.core.graph.specs import AggregationKind, AggregationSpec, ReduceSpec
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import ALL_MODES, RunMode

MODES = st.sampled_from(ALL_MODES)
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(-9, 9)), max_size=25)


class Point(NamedTuple):
    key: int
    amount: int
    note: str = "n"


@dataclass(frozen=True)
class Frozen:
    key: int
    amount: int


@dataclass(slots=True)
class Slotted:
    key: int
    amount: int


class Plain:
    def __init__(self, key: int, amount: int) -> None:
        self.key, self.amount = key, amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and (self.key, self.amount) == (other.key, other.amount)

    def __hash__(self) -> int:
        return hash((self.key, self.amount))


class Shape(NamedTuple):
    make: Callable[[int, int], Any]
    field: int | str | None
    key: Callable[[Any], Any]
    amount: Callable[[Any], Any]
    changed: Callable[[Any, Any], Any]


SHAPES: dict[str, Shape] = {
    "pair": Shape(lambda k, a: (k, a), 1, lambda r: r[0], lambda r: r[1], lambda r, a: (r[0], a)),
    "triple": Shape(lambda k, a: (k, a, "x"), 1, lambda r: r[0], lambda r: r[1], lambda r, a: (r[0], a, r[2])),
    "from the end": Shape(lambda k, a: (k, "x", a), -1, lambda r: r[0], lambda r: r[2], lambda r, a: (*r[:2], a)),
    "NamedTuple by name": Shape(
        Point, "amount", lambda r: r.key, lambda r: r.amount, lambda r, a: r._replace(amount=a)
    ),
    "NamedTuple by position": Shape(Point, 1, lambda r: r.key, lambda r: r.amount, lambda r, a: r._replace(amount=a)),
    "list": Shape(lambda k, a: [k, a], 1, lambda r: r[0], lambda r: r[1], lambda r, a: [r[0], a]),
    "dict": Shape(lambda k, a: {"k": k, "a": a}, "a", lambda r: r["k"], lambda r: r["a"], lambda r, a: {**r, "a": a}),
    "Row by name": Shape(lambda k, a: Row(k=k, a=a), "a", lambda r: r.k, lambda r: r.a, lambda r, a: Row(k=r.k, a=a)),
    "Row by position": Shape(lambda k, a: Row(k, a), 1, lambda r: r[0], lambda r: r[1], lambda r, a: Row(r[0], a)),
    "frozen dataclass": Shape(Frozen, "amount", lambda r: r.key, lambda r: r.amount, lambda r, a: replace(r, amount=a)),
    "slotted dataclass by position": Shape(
        Slotted, 1, lambda r: r.key, lambda r: r.amount, lambda r, a: replace(r, amount=a)
    ),
    "object": Shape(Plain, "amount", lambda r: r.key, lambda r: r.amount, lambda r, a: Plain(r.key, a)),
    "scalar": Shape(lambda k, a: a, None, lambda r: r % 3, lambda r: r, lambda r, a: a),
    "scalar by position 0": Shape(lambda k, a: a, 0, lambda r: r % 3, lambda r: r, lambda r, a: a),
}


def expected(shape: Shape, kind: AggregationKind, records: list[Any]) -> list[Any]:
    state: dict[Any, Any] = {}
    results = []
    for record in records:
        key, new = shape.key(record), shape.amount(record)
        if key not in state:
            state[key] = record
        elif kind == "sum":
            state[key] = shape.changed(state[key], shape.amount(state[key]) + new)
        elif (new < shape.amount(state[key])) if kind.startswith("min") else (new > shape.amount(state[key])):
            state[key] = record if kind.endswith("_by") else shape.changed(state[key], new)
        results.append(state[key])
    return results


@pytest.mark.parametrize("kind", ["sum", "min", "max", "min_by", "max_by"])
@pytest.mark.parametrize("name", SHAPES)
@given(pairs=PAIRS, mode=MODES)
@settings(max_examples=12)
def test_aggregations_of_every_shape(
    name: str, kind: AggregationKind, pairs: list[tuple[int, int]], mode: RunMode
) -> None:
    shape = SHAPES[name]
    records = [shape.make(key, amount) for key, amount in pairs]
    with OperatorHarness(AggregationSpec(kind, shape.field), key_selector=shape.key, mode=mode) as harness:
        harness.push(records, range(len(records)))
        results = expected(shape, kind, records)
        assert harness.records == list(zip(results, range(len(records)), strict=True))
        assert list(map(type, harness.values)) == list(map(type, results))
    assert records == [shape.make(key, amount) for key, amount in pairs], "records were changed in place"


def test_the_first_record_wins_a_tie() -> None:
    for kind in ("min_by", "max_by"):
        with OperatorHarness(AggregationSpec(kind, 1), key_selector=lambda r: r[0]) as harness:
            harness.push([(1, 5, "first"), (1, 5, "second")])
            assert harness.values == [(1, 5, "first")] * 2


def test_records_of_several_shapes_each_keep_their_own() -> None:
    records = [(1, 2), (2, 1, "x"), [3, 7], (1, 3), (2, 4, "y"), [3, 1], (1, 1, "later")]
    for mode in (RunMode(), RunMode(batch_rows=1)):
        with OperatorHarness(AggregationSpec("sum", 1), key_selector=lambda r: r[0], mode=mode) as harness:
            harness.push(records)
            assert harness.values == [(1, 2), (2, 1, "x"), [3, 7], (1, 5), (2, 5, "x"), [3, 8], (1, 6)]


def test_other_numbers_add_up_too() -> None:
    with OperatorHarness(AggregationSpec("sum", 1), key_selector=lambda r: r[0]) as harness:
        harness.push([("a", Decimal("0.1")), ("a", Decimal("0.2"))])
        assert harness.values[-1] == ("a", Decimal("0.3"))


@pytest.mark.parametrize(
    ("records", "field", "cause"),
    [
        ([("a", 1), ("a", "x")], 1, "TypeError"),
        ([{"k": 1}], "amount", "KeyError"),
        ([Frozen(1, 2)], "price", "AttributeError"),
        ([(1, 2)], 5, "IndexError"),
        ([Plain(1, 2)], 3, "LookupError"),
    ],
)
def test_a_field_that_does_not_fit_is_named_with_the_record(records: list[Any], field: Any, cause: str) -> None:
    with OperatorHarness(AggregationSpec("sum", field), key_selector=lambda r: 0, name="total") as harness:
        with pytest.raises(RecordTypeError, match=rf"'total' cannot take the sum of field {field!r}") as caught:
            harness.push(records)
        assert cause in str(caught.value)
        assert repr(records[-1]) in str(caught.value)


@given(pairs=PAIRS, mode=MODES)
def test_reduce_emits_every_intermediate_value(pairs: list[tuple[int, int]], mode: RunMode) -> None:
    with OperatorHarness(
        ReduceSpec(lambda a, b: (a[0], a[1] - b[1])), key_selector=lambda r: r[0], mode=mode
    ) as harness:
        harness.push(pairs, range(len(pairs)))
        state: dict[int, tuple[int, int]] = {}
        results = []
        for key, amount in pairs:
            state[key] = (key, state[key][1] - amount) if key in state else (key, amount)
            results.append(state[key])
        assert harness.values == results
        assert [record.timestamp_ms for record in harness.records] == list(range(len(pairs)))
        assert harness.metrics.snapshot()["state_entries"] == len(state)


class Longest(ReduceFunction[str]):
    def open(self, runtime_context: RuntimeContext) -> None:
        self.is_open = True

    def reduce(self, value1: str, value2: str) -> str:
        assert self.is_open
        return max(value1, value2, key=len)


def test_reduce_functions_and_values_that_are_none() -> None:
    with OperatorHarness(ReduceSpec(Longest()), key_selector=lambda r: r[0]) as harness:
        harness.push(["a", "abc", "ab", "b"])
        assert harness.values == ["a", "abc", "abc", "b"]
    with OperatorHarness(ReduceSpec(lambda a, b: (a, b)), key_selector=lambda r: 0) as harness:
        harness.push([None, None, 1])
        assert harness.values == [None, (None, None), ((None, None), 1)]


def test_keys_that_the_partitioner_found_are_used_and_not_passed_on() -> None:
    def never(value: Any) -> Any:
        raise AssertionError("asked again")

    for spec in (ReduceSpec(lambda a, b: a + b), AggregationSpec("sum", None)):
        with OperatorHarness(spec, key_selector=never) as harness:
            emitted: list[ObjectBatch] = []
            harness.output.emit = emitted.append  # type: ignore[method-assign, assignment]
            harness.operator.process(ObjectBatch([1, 2, 3], None, ["a", "b", "a"]), 0)
            assert [(batch.values, batch.keys) for batch in emitted] == [([1, 2, 4], None)]


def test_errors_of_reduce_and_of_the_key_selector() -> None:
    with (
        OperatorHarness(ReduceSpec(lambda a, b: a / b), key_selector=lambda r: 0, name="quotient") as harness,
        pytest.raises(UserCodeError, match=r"'quotient' failed in lambda.*record 0\nZeroDivisionError"),
    ):
        harness.push([1, 0])
    with OperatorHarness(ReduceSpec(lambda a, b: a), key_selector=lambda r: r["k"], name="keyed") as harness:
        with pytest.raises(UserCodeError, match=r"'keyed' failed in lambda.*\{\}\nKeyError") as caught:
            harness.push([{}])
        assert caught.value.place.file == __file__
