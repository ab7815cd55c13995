"""Back-pressure in the harness: input and timers wait, snapshots do not."""

from __future__ import annotations

from typing import Any

from millstream.core.graph.specs import KeyedProcessSpec, ReduceSpec, SourceSpec
from millstream.datastream import KeyedProcessFunction
from millstream.testing import ManualClock, OperatorHarness, RunMode, SequenceSource


class Late(KeyedProcessFunction):
    """Says for what time and when its timer fired."""

    def process_element(self, value: Any, ctx: KeyedProcessFunction.Context) -> Any:
        ctx.timer_service().register_processing_time_timer(100)
        yield value

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
        yield "timer", timestamp, ctx.timer_service().current_processing_time()


def test_timers_come_late_and_before_the_input_that_waited() -> None:
    with OperatorHarness(KeyedProcessSpec(Late()), key_selector=lambda value: value, clock=ManualClock(50)) as harness:
        harness.push(["a"])
        with harness.full_output():
            harness.push(["b"])
            harness.advance(100)
            harness.watermark(7)
            assert harness.values == ["a"] and harness.watermarks_ms == []
        assert harness.values[:3] == ["a", ("timer", 100, 150), "b"]
        assert harness.watermarks_ms == [7]


def test_a_snapshot_under_back_pressure_holds_what_was_processed() -> None:
    def add(left: int, right: int) -> int:
        return left + right

    with OperatorHarness(ReduceSpec(add), key_selector=lambda value: 0) as harness:
        harness.push([1])
        with harness.full_output():
            harness.push([10])
            snapshot = harness.snapshot()
            harness.restore(snapshot)
        assert harness.values == [1, 11], "what waited comes after the restore"


def test_a_source_is_not_polled() -> None:
    with OperatorHarness(SourceSpec(SequenceSource(1, 1))) as harness:
        with harness.full_output():
            assert not harness.poll()
        assert harness.sent_events == []
        harness.poll()
        assert [event.kind for event in harness.sent_events] == ["request_split"]


def test_the_mode_lets_input_wait_but_never_lose_its_order() -> None:
    def add(left: int, right: int) -> int:
        return left + right

    waited = 0
    for seed in range(10):
        mode = RunMode(batch_rows=1, seed=seed, back_pressure=True)
        with OperatorHarness(ReduceSpec(add), key_selector=lambda value: 0, mode=mode) as harness:
            harness.push([1, 2, 3, 4])
            waited += len(harness._recorded.records) < 4
            assert harness.values == [1, 3, 6, 10]
    assert 0 < waited < 10


def test_a_failure_does_not_hide_behind_input_that_waits() -> None:
    with OperatorHarness(
        ReduceSpec(lambda a, b: a), key_selector=lambda value: 0, mode=RunMode(back_pressure=True)
    ) as harness:
        try:
            harness.push([1])
            raise LookupError
        except LookupError:
            pass
    assert harness.values == [1]
