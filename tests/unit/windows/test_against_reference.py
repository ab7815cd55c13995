"""Random streams through the window operators and through the plain-Python reference: equal in every run mode."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.api.windows import (
    EventTimeSessionWindows,
    EventTimeTrigger,
    SlidingEventTimeWindows,
    TumblingEventTimeWindows,
    WindowAssigner,
)
from millstream.core.elements.control import MAX_WATERMARK_MS
from millstream.core.graph.specs import WindowSpec
from millstream.taskmanager.operators.windowing.general import GeneralWindowOperator
from millstream.testing import ALL_MODES, OperatorHarness, RunMode, run_in_all_modes

sys.path.insert(0, str(Path(__file__).parent))
from reference import ReferenceWindows, grid_spans

Step = tuple[str, int, int] | int
"""A record (key, number, event time) or a watermark."""

# Dense, so that windows overlap, fill up, and get records just after they fired.
records = st.tuples(st.sampled_from("ab"), st.integers(0, 99), st.integers(-20, 50))
streams = st.lists(st.one_of(st.lists(records, min_size=1, max_size=6), st.integers(-25, 60)), max_size=14)


class KeepAll:
    """A window function that emits everything it is told."""

    def apply(self, key: Any, window: Any, inputs: Any) -> Any:
        yield key, (window.start, window.end), list(inputs)


class AnotherEventTimeTrigger(EventTimeTrigger[Any, Any]):
    """The same rules in another class, which the fast operator does not know."""


def run_reference(reference: ReferenceWindows, stream: list[Any]) -> None:
    for step in stream:
        if isinstance(step, int):
            reference.advance(step)
        else:
            for record in step:
                reference.push(record[0], record, record[2])
    reference.advance(MAX_WATERMARK_MS)


def script(stream: list[Any]) -> Any:
    def run(harness: OperatorHarness) -> None:
        for step in stream:
            if isinstance(step, int):
                harness.watermark(step)
            else:
                harness.push(step, [record[2] for record in step])
        harness.end()

    return run


def check(spec: WindowSpec, reference: ReferenceWindows, stream: list[Any], modes: tuple[RunMode, ...]) -> None:
    run_reference(reference, stream)
    harness = run_in_all_modes(
        lambda mode: OperatorHarness(spec, key_selector=lambda record: record[0], mode=mode),
        script(stream),
        modes,
    )
    assert harness.values == reference.emitted
    assert [record.timestamp_ms for record in harness.records] == [span[1] - 1 for _, span, _ in reference.emitted]
    assert [tuple(row) for row in harness.side_outputs.get("late", [])] == reference.late


GRIDS: list[tuple[WindowAssigner[Any, Any], tuple[int, int, int]]] = [
    (TumblingEventTimeWindows.of(10), (10, 10, 0)),
    (TumblingEventTimeWindows.of(25, -7), (25, 25, -7)),
    (SlidingEventTimeWindows.of(20, 10), (20, 10, 0)),
    (SlidingEventTimeWindows.of(25, 10, 3), (25, 10, 3)),
    (SlidingEventTimeWindows.of(5, 10), (5, 10, 0)),
]


@pytest.mark.parametrize("lateness_ms", [0, 15])
@pytest.mark.parametrize("trigger", [None, AnotherEventTimeTrigger()], ids=["fast", "general"])
@pytest.mark.parametrize(("assigner", "grid"), GRIDS, ids=lambda value: str(value))
@settings(max_examples=25, deadline=None)
@given(stream=streams)
def test_grids(assigner: Any, grid: tuple[int, int, int], trigger: Any, lateness_ms: int, stream: list[Any]) -> None:
    spec = WindowSpec(assigner, trigger, allowed_lateness_ms=lateness_ms, late_tag="late", function=KeepAll())
    check(spec, ReferenceWindows(grid_spans(*grid), lateness_ms=lateness_ms), stream, ALL_MODES)


@pytest.mark.parametrize("lateness_ms", [0, 15])
@pytest.mark.parametrize("trigger", [None, AnotherEventTimeTrigger()], ids=["fast", "general"])
@settings(max_examples=200, deadline=None)
@given(stream=streams)
def test_sessions(trigger: Any, lateness_ms: int, stream: list[Any]) -> None:
    spec = WindowSpec(
        EventTimeSessionWindows.with_gap(10),
        trigger,
        allowed_lateness_ms=lateness_ms,
        late_tag="late",
        function=KeepAll(),
    )
    check(spec, ReferenceWindows(gap=lambda _: 10, lateness_ms=lateness_ms), stream, ALL_MODES)


@settings(max_examples=60, deadline=None)
@given(stream=streams)
def test_sessions_with_a_gap_of_each_record(stream: list[Any]) -> None:
    def gap(record: Any) -> int:
        return 1 + int(record[1]) % 20

    spec = WindowSpec(EventTimeSessionWindows.with_dynamic_gap(gap), late_tag="late", function=KeepAll())
    check(spec, ReferenceWindows(gap=gap), stream, ALL_MODES)


@settings(max_examples=40, deadline=None)
@given(stream=streams)
def test_both_operators_reduce_alike(stream: list[Any]) -> None:
    results = []
    for trigger in (None, AnotherEventTimeTrigger()):
        spec = WindowSpec(
            SlidingEventTimeWindows.of(20, 10),
            trigger,
            allowed_lateness_ms=10,
            reduce=lambda left, right: (left[0], left[1] + right[1], max(left[2], right[2])),
        )
        with OperatorHarness(spec, key_selector=lambda r: r[0]) as harness:
            script(stream)(harness)
        assert isinstance(harness.operator, GeneralWindowOperator) == (trigger is not None)
        results.append((harness.records, harness.metrics.late_records_dropped))
    assert results[0] == results[1]
