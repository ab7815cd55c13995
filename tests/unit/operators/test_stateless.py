"""map, filter and flat_map: results, event times, batches of any size, and who gets the blame."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.api.functions import FilterFunction, FlatMapFunction, MapFunction, RuntimeContext
from millstream.core.api.state import ValueStateDescriptor
from millstream.core.elements.batch import ArrowBatch, ObjectBatch
from millstream.core.errors import JobGraphError, RecordTypeError, UserCodeError
from millstream.core.graph.specs import FilterSpec, FlatMapSpec, MapSpec, OperatorSpec
from millstream.taskmanager.operators import stateless
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode

ROWS = st.lists(st.tuples(st.integers(-5, 5), st.one_of(st.none(), st.integers(0, 1000))), max_size=40)
MODES = st.one_of(st.just(RunMode()), st.just(RunMode(batch_rows=1)), st.integers(0, 50).map(lambda s: RunMode(seed=s)))


def repeat_times(value: int) -> Iterator[int]:
    for i in range(value):
        yield value * 10 + i


OPERATORS: dict[str, tuple[OperatorSpec, Any]] = {
    "map": (MapSpec(lambda v: v * 2), lambda v: [v * 2]),
    "map to None": (MapSpec(lambda v: None), lambda v: [None]),
    "filter": (FilterSpec(lambda v: v > 0), lambda v: [v] if v > 0 else []),
    "filter by truth": (FilterSpec(lambda v: v % 3), lambda v: [v] if v % 3 else []),
    "filter by None": (FilterSpec(lambda v: {1: 1}.get(v)), lambda v: [v] if v == 1 else []),
    "filter by numpy": (FilterSpec(lambda v: np.int64(v) > 0), lambda v: [v] if v > 0 else []),
    "flat_map generator": (FlatMapSpec(repeat_times), lambda v: list(repeat_times(v))),
    "flat_map list": (FlatMapSpec(lambda v: [v] * (v % 3)), lambda v: [v] * (v % 3)),
    "flat_map tuple or None": (FlatMapSpec(lambda v: (v, v) if v > 1 else None), lambda v: [v, v] if v > 1 else []),
    "flat_map range": (FlatMapSpec(range), lambda v: list(range(v))),
}


@pytest.mark.parametrize("name", OPERATORS)
@given(rows=ROWS, mode=MODES, timed=st.booleans())
@settings(max_examples=40)
def test_results_keep_order_and_event_times(
    name: str, rows: list[tuple[int, int | None]], mode: RunMode, timed: bool
) -> None:
    spec, model = OPERATORS[name]
    with OperatorHarness(spec, mode=mode) as harness:
        harness.push([value for value, _ in rows], [time for _, time in rows] if timed else None)
        expected = [(result, time if timed else None) for value, time in rows for result in model(value)]
        assert harness.records == expected


def test_a_large_expansion_leaves_in_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stateless, "EXPANDED_ROWS_MAX", 100)
    with OperatorHarness(FlatMapSpec(lambda v: [v] * 30)) as harness:
        harness.push(range(50), range(50))
        assert harness.output.batch_rows_max == 120
        assert harness.records == [(v, v) for v in range(50) for _ in range(30)]


def test_a_function_may_use_its_list_again() -> None:
    reused: list[int] = []

    def fill(value: int) -> list[int]:
        reused[:] = [value]
        return reused

    with OperatorHarness(FlatMapSpec(fill)) as harness:
        harness.push([1, 2, 3])
        assert harness.values == [1, 2, 3]


def test_rows_of_arrow_batches_are_dicts() -> None:
    records = pa.RecordBatch.from_pylist([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}])
    with OperatorHarness(MapSpec(lambda row: row["b"] * row["a"])) as harness:
        harness.push_batch(ArrowBatch(records, np.array([5, 6])))
        assert harness.records == [("x", 5), ("yy", 6)]


def test_keys_of_an_earlier_key_by_are_dropped() -> None:
    """The next key_by would take them for its own."""
    for spec in (MapSpec(lambda v: v), FilterSpec(lambda v: True), FlatMapSpec(lambda v: [v])):
        with OperatorHarness(spec) as harness:
            emitted: list[Any] = []
            harness.output.emit = emitted.append  # type: ignore[method-assign]
            harness.operator.process(ObjectBatch([1, 2], None, ["a", "b"]), 0)
            assert [batch.keys for batch in emitted] == [None]


class Rich(MapFunction[int, str], FilterFunction[int], FlatMapFunction[int, int]):
    """All three in one; remembers its life."""

    def __init__(self) -> None:
        self.life: list[str] = []

    def open(self, runtime_context: RuntimeContext) -> None:
        self.life.append(f"open {runtime_context.get_index_of_this_subtask()}")
        self.context = runtime_context
        self.seen = runtime_context.get_metrics_group().counter("seen")
        runtime_context.get_metrics_group().gauge("life", lambda: len(self.life))

    def close(self) -> None:
        self.life.append("close")

    def map(self, value: int) -> str:
        self.seen.inc()
        return f"{self.context.get_task_name_with_subtasks()}: {value}"

    def filter(self, value: int) -> bool:
        return value > 1

    def flat_map(self, value: int) -> list[int]:
        return [value] * value


def test_rich_functions_are_opened_and_closed() -> None:
    function = Rich()
    configuration = {"pipeline.global-job-parameters": {"city": "Bern"}}
    with OperatorHarness(
        MapSpec(function), name="m", parallelism=3, subtask_index=2, configuration=configuration
    ) as harness:
        harness.push([1, 2])
        assert harness.values == ["m (3/3): 1", "m (3/3): 2"]
        assert function.context.get_number_of_parallel_subtasks() == 3
        assert function.context.get_job_parameter("city", "?") == "Bern"
        assert function.context.get_job_parameter("country", "?") == "?"
        assert harness.metrics.snapshot()["user_seen_total"] == 2
        assert harness.metrics.snapshot()["user_life"] == 1
    assert function.life == ["open 2", "close"]
    for spec, expected in ((FilterSpec(Rich()), [2]), (FlatMapSpec(Rich()), [1, 2, 2])):
        with OperatorHarness(spec) as harness:
            harness.push([1, 2])
            assert harness.values == expected


def test_all_kinds_of_user_metrics() -> None:
    class Measures(MapFunction[int, int]):
        def open(self, runtime_context: RuntimeContext) -> None:
            group = runtime_context.get_metrics_group().add_group("outer").add_group("city", "Bern")
            self.counter, self.meter = group.counter("c"), group.meter("m")
            self.distribution = group.distribution("d")

        def map(self, value: int) -> int:
            self.counter.inc(value)
            self.counter.dec()
            self.meter.mark_event(2)
            self.distribution.update(value)
            return self.counter.get_count() + self.meter.get_count()

    with OperatorHarness(MapSpec(Measures())) as harness:
        assert harness.metrics.snapshot()["user_outer_city_Bern_d_count"] == 0
        harness.push([5, -3, 4])
        assert harness.values == [4 + 2, 0 + 4, 3 + 6]
        figures = harness.metrics.snapshot()
        user = {name.removeprefix("user_outer_city_Bern_"): figures[name] for name in figures if "Bern" in name}
        assert user == {"c_total": 3, "m_total": 6, "d_count": 3, "d_sum": 6, "d_min": -3, "d_max": 5}


class CountPerKey(MapFunction[str, int], FilterFunction[str], FlatMapFunction[str, int]):
    """Uses keyed state outside process functions, as PyFlink allows."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self.count = runtime_context.get_state(ValueStateDescriptor("count"))

    def map(self, value: str) -> int:
        count = (self.count.value() or 0) + 1
        self.count.update(count)
        return count

    def filter(self, value: str) -> bool:
        return self.map(value) == 1

    def flat_map(self, value: str) -> range:
        return range(self.map(value))


@pytest.mark.parametrize(
    ("spec_of", "expected"),
    [(MapSpec, [1, 1, 2, 3]), (FilterSpec, ["a", "b"]), (FlatMapSpec, [0, 0, 0, 1, 0, 1, 2])],
)
def test_rich_functions_on_keyed_streams_have_keyed_state(spec_of: Any, expected: list[Any]) -> None:
    for restore in (False, True):
        mode = RunMode(batch_rows=1, restore_each_step=restore)
        with OperatorHarness(spec_of(CountPerKey()), key_selector=lambda v: v, mode=mode) as harness:
            harness.push(["a", "b", "a", "a"])
            assert harness.values == expected


def test_keyed_state_without_keys_is_refused() -> None:
    with pytest.raises(JobGraphError, match=r"'m' asks for the keyed state 'count'.*key_by"):
        OperatorHarness(MapSpec(CountPerKey()), name="m")


# -- errors -------------------------------------------------------------------------------------------------------


def line_of(marker: str) -> int:
    with open(__file__, encoding="utf-8") as source:  # noqa: PTH123
        return next(number for number, line in enumerate(source, 1) if line.rstrip().endswith(f"# {marker}"))


def divide(value: int) -> float:
    return 10 / value  # here divide


def parse(value: str) -> Any:
    return json.loads(value)  # here parse


def broken_generator(value: int) -> Iterator[int]:
    yield value
    raise KeyError("gone")  # here generator


@pytest.mark.parametrize("mode", [RunMode(), RunMode(batch_rows=1), RunMode(seed=4)])
def test_an_error_names_operator_function_line_and_record(mode: RunMode) -> None:
    with OperatorHarness(MapSpec(divide), name="halve", mode=mode) as harness:
        with pytest.raises(UserCodeError) as caught:
            harness.push([5, 2, 0, 1])
        place = caught.value.place
        assert (place.operator, place.function, place.record) == ("halve", "divide", "0")
        assert (place.file, place.line) == (__file__, line_of("here divide"))
        assert "ZeroDivisionError: division by zero" in str(caught.value)
        for part in ("'halve'", "divide", f"line {place.line}", "record 0"):
            assert part in str(caught.value)
        assert "millstream/taskmanager" not in place.user_traceback
        assert "10 / value" in place.user_traceback


def test_the_line_is_the_users_own_not_that_of_a_library() -> None:
    with OperatorHarness(MapSpec(parse)) as harness:
        with pytest.raises(UserCodeError) as caught:
            harness.push(['{"a": 1}', "{nonsense"])
        assert (caught.value.place.file, caught.value.place.line) == (__file__, line_of("here parse"))
        assert "decoder.py" in caught.value.place.user_traceback
        assert caught.value.place.record == "'{nonsense'"


def test_an_error_in_the_middle_of_a_generator() -> None:
    with OperatorHarness(FlatMapSpec(broken_generator)) as harness:
        with pytest.raises(UserCodeError, match="KeyError: 'gone'") as caught:
            harness.push([1, 2])
        assert (caught.value.place.line, caught.value.place.record) == (line_of("here generator"), "1")


def test_a_builtin_that_raises_is_named() -> None:
    with (
        OperatorHarness(MapSpec(int)) as harness,
        pytest.raises(UserCodeError, match=r"failed in int on the record 'x'\nValueError"),
    ):
        harness.push(["1", "x"])


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_the_preview_of_a_record_is_short_and_never_raises() -> None:
    for record, preview in (
        ("x" * 10_000, "'" + "x" * 299 + "..."),
        (Unprintable(), "<Unprintable, whose repr raises"),
    ):
        with OperatorHarness(MapSpec(divide)) as harness:
            with pytest.raises(UserCodeError) as caught:
                harness.push([record])
            assert caught.value.place.record.startswith(preview)
            assert len(str(caught.value)) < 1000


def endless(value: int) -> Iterator[int]:
    return itertools.count()


def yes() -> bool:
    return True


WRONG_RETURNS: list[tuple[OperatorSpec, str]] = [
    (FlatMapSpec(lambda v: v), r"returned 7 of type int; flat_map must return an iterable or None"),
    (FilterSpec(lambda v: np.array([1, 2])), r"returned array\(\[1, 2\]\) of type ndarray; filter needs a bool"),
    (FilterSpec(lambda v: (v for _ in ())), r"of type generator; filter must return a bool"),
    (FilterSpec(lambda v: yes), r"of type function; filter must return a bool"),
]


@pytest.mark.parametrize(("spec", "message"), WRONG_RETURNS)
def test_a_wrong_return_value_names_operator_and_line(spec: Any, message: str) -> None:
    line = spec.function.__code__.co_firstlineno
    with OperatorHarness(spec, name="op") as harness:
        with pytest.raises(RecordTypeError, match=message) as caught:
            harness.push([7])
        assert (caught.value.place.operator, caught.value.place.record) == ("op", "7")
        assert (caught.value.place.file, caught.value.place.line) == (__file__, line)
        assert f"line {line}" in str(caught.value)
        assert "'op'" in str(caught.value)


def test_a_type_error_inside_flat_map_is_the_users_not_a_wrong_return() -> None:
    with (
        OperatorHarness(FlatMapSpec(lambda v: [v + "x"])) as harness,
        pytest.raises(UserCodeError, match="TypeError"),
    ):
        harness.push([1])


class FailsToOpen(MapFunction[int, int]):
    def open(self, runtime_context: RuntimeContext) -> None:
        raise OSError("no model")  # here open

    def map(self, value: int) -> int:
        return value


class FailsToClose(Rich):
    def close(self) -> None:
        raise ValueError("stuck")


def test_errors_in_open_and_close_name_the_function() -> None:
    with pytest.raises(UserCodeError, match=r"FailsToOpen\.open.*\nOSError: no model") as caught:
        OperatorHarness(MapSpec(FailsToOpen()), name="m")
    assert caught.value.place.line == line_of("here open")
    harness = OperatorHarness(MapSpec(FailsToClose()))
    with pytest.raises(UserCodeError, match=r"FailsToClose\.close.*\nValueError: stuck"):
        harness.close()
