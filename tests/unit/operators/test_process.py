"""Process functions and co-functions: times, timers, keyed state, side outputs, errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from millstream.core.api.functions import (
    CoFlatMapFunction,
    CoMapFunction,
    CoProcessFunction,
    KeyedCoProcessFunction,
    KeyedProcessFunction,
    ProcessFunction,
    RuntimeContext,
    TimeDomain,
)
from millstream.core.api.output_tag import OutputTag
from millstream.core.api.state import ListStateDescriptor, ValueStateDescriptor
from millstream.core.clock import ManualClock
from millstream.core.errors import JobGraphError, RecordTypeError, UserCodeError
from millstream.core.graph.specs import (
    CoFlatMapSpec,
    CoMapSpec,
    CoProcessSpec,
    KeyedCoProcessSpec,
    KeyedProcessSpec,
    ProcessSpec,
)
from millstream.taskmanager.operators import emission
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import ALL_MODES, RunMode, run_in_all_modes

ODD = OutputTag("odd")


class Split(ProcessFunction):
    def process_element(self, value: int, ctx: Any) -> Iterator[Any]:
        if value % 2:
            yield ODD, value
        else:
            yield value, ctx.timestamp()
            yield value, ctx.timer_service().current_watermark()


def test_side_outputs_and_times() -> None:
    with OperatorHarness(ProcessSpec(Split())) as harness:
        harness.push([1, 2], [10, None])
        harness.watermark(15)
        harness.push([3, 4], [20, 21])
        low = -(2**63)
        assert harness.records == [((2, None), None), ((2, low), None), ((4, 21), 21), ((4, 15), 21)]
        assert harness.side_outputs == {"odd": [(1, 10), (3, 20)]}
        assert harness.watermarks_ms == [15]


class Returns(ProcessFunction):
    def __init__(self, returned: Any) -> None:
        self.returned = returned

    def process_element(self, value: Any, ctx: Any) -> Any:
        return self.returned


@pytest.mark.parametrize(
    ("returned", "values"),
    [(None, []), ([], []), ([1, 2], [1, 2]), ((3,), [3]), (range(2), [0, 1]), ([(1, 2)], [(1, 2)])],
)
def test_what_a_process_function_may_return(returned: Any, values: list[Any]) -> None:
    with OperatorHarness(ProcessSpec(Returns(returned))) as harness:
        harness.push(["x"])
        assert harness.values == values


@pytest.mark.parametrize("returned", [5, "text", {"a": 1}, b"bytes"])
def test_what_it_may_not_return(returned: Any) -> None:
    with (
        OperatorHarness(ProcessSpec(Returns(returned)), name="p") as harness,
        pytest.raises(RecordTypeError, match="it must yield values, or return a list") as caught,
    ):
        harness.push(["x"])
    assert (caught.value.place.operator, caught.value.place.record) == ("p", "'x'")
    assert caught.value.place.line == Returns.process_element.__code__.co_firstlineno


def test_much_output_leaves_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emission, "ROWS_MAX", 10)
    both = [item for i in range(35) for item in (i, (ODD, i))]
    with OperatorHarness(ProcessSpec(Returns(both))) as harness:
        harness.push(["x", "y"], [None, 7])
        assert harness.output.batch_rows_max == 10
        assert harness.records == [(i, None) for i in range(35)] + [(i, 7) for i in range(35)]
        assert harness.side_outputs["odd"] == harness.records


def test_timers_need_keys() -> None:
    class WantsTimer(ProcessFunction):
        def process_element(self, value: Any, ctx: Any) -> None:
            ctx.timer_service().register_event_time_timer(5)

    with (
        OperatorHarness(ProcessSpec(WantsTimer()), name="p") as harness,
        pytest.raises(JobGraphError, match=r"'p' sets a timer.*key_by"),
    ):
        harness.push([1])


class Sessions(KeyedProcessFunction):
    """Collects words per key until a timer 10 ms after the last one; ``!`` deletes the timer."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self.words = runtime_context.get_list_state(ListStateDescriptor("words"))
        self.due = runtime_context.get_state(ValueStateDescriptor("due"))

    def process_element(self, value: tuple[str, str], ctx: Any) -> None:
        assert ctx.get_current_key() == value[0]
        timers = ctx.timer_service()
        if self.due.value() is not None:
            timers.delete_event_time_timer(self.due.value())
        self.due.clear()
        if value[1] != "!":
            self.words.add(value[1])
            self.due.update(ctx.timestamp() + 10)
            timers.register_event_time_timer(ctx.timestamp() + 10)
            timers.register_event_time_timer(ctx.timestamp() + 10)

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Any]:
        assert ctx.time_domain() is TimeDomain.EVENT_TIME
        assert ctx.timestamp() == timestamp
        yield ctx.get_current_key(), list(self.words.get()), ctx.timer_service().current_watermark()
        self.words.clear()
        self.due.clear()


def test_event_time_timers_in_all_modes() -> None:
    def script(harness: OperatorHarness) -> None:
        harness.push([("a", "x"), ("b", "y"), ("a", "z"), ("c", "w"), ("c", "!")], [1, 2, 5, 6, 7])
        harness.watermark(11)
        assert harness.records == []
        harness.watermark(12)
        harness.push([("a", "late"), ("d", "q")], [3, 20])
        harness.watermark(13)
        harness.end()

    def new_harness(mode: RunMode) -> OperatorHarness:
        return OperatorHarness(KeyedProcessSpec(Sessions()), key_selector=lambda v: v[0], mode=mode)

    result = run_in_all_modes(new_harness, script)
    last = 2**63 - 1
    assert result.records == [
        (("b", ["y"], 12), 12),
        (("a", ["x", "z", "late"], 13), 13),
        (("d", ["q"], last), 30),
    ]
    assert result.metrics.timers_fired == 3
    assert result.metrics.snapshot()["state_entries"] == 1  # the word of "c" whose timer was deleted


class Heartbeat(KeyedProcessFunction):
    """Every 100 ms three times after the first record of a key."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self.beats = runtime_context.get_state(ValueStateDescriptor("beats"))

    def process_element(self, value: str, ctx: Any) -> None:
        if self.beats.value() is None:
            self.beats.update(0)
            now_ms = ctx.timer_service().current_processing_time()
            ctx.timer_service().register_processing_time_timer(now_ms + 100)

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Any]:
        beats = self.beats.value() + 1
        self.beats.update(beats)
        yield ctx.get_current_key(), beats, timestamp, ctx.time_domain().name
        if beats < 3:
            ctx.timer_service().register_processing_time_timer(timestamp + 100)


@pytest.mark.parametrize("mode", ALL_MODES)
def test_processing_time_timers(mode: RunMode) -> None:
    spec = KeyedProcessSpec(Heartbeat())
    with OperatorHarness(spec, key_selector=lambda v: v, mode=mode, clock=ManualClock(1000)) as harness:
        harness.push(["a", "a"], [1, 2])
        harness.advance(50)
        harness.push(["b"], [3])
        harness.advance(49)
        assert harness.records == []
        harness.advance(51)
        assert harness.take() == [("a", 1, 1100, "PROCESSING_TIME"), ("b", 1, 1150, "PROCESSING_TIME")]
        harness.advance(1000)
        assert [(key, beats, at) for key, beats, at, _ in harness.values] == [
            ("a", 2, 1200),
            ("b", 2, 1250),
            ("a", 3, 1300),
            ("b", 3, 1350),
        ]
        assert {record.timestamp_ms for record in harness.records} == {None}


def test_an_error_in_on_timer_names_the_timer() -> None:
    class Fails(KeyedProcessFunction):
        def process_element(self, value: Any, ctx: Any) -> None:
            ctx.timer_service().register_event_time_timer(5)

        def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Any]:
            yield 1 / 0

    with OperatorHarness(KeyedProcessSpec(Fails()), key_selector=lambda v: v, name="k") as harness:
        harness.push(["a"])
        with pytest.raises(UserCodeError, match=r"'k' failed in .*on_timer.*TimerOfKey\(key='a', timestamp_ms=5\)"):
            harness.watermark(5)


def test_a_timer_needs_whole_milliseconds() -> None:
    class Sloppy(KeyedProcessFunction):
        def process_element(self, value: Any, ctx: Any) -> None:
            ctx.timer_service().register_event_time_timer(1.5)

    with (
        OperatorHarness(KeyedProcessSpec(Sloppy()), key_selector=lambda v: v) as harness,
        pytest.raises(UserCodeError, match="'float' object cannot be interpreted as an integer"),
    ):
        harness.push(["a"])


def test_an_error_after_some_output_names_the_record() -> None:
    class Third(KeyedProcessFunction):
        def process_element(self, value: int, ctx: Any) -> Iterator[int]:
            yield 1 // (3 - value)

    for mode in (RunMode(), RunMode(batch_rows=1)):
        with OperatorHarness(KeyedProcessSpec(Third()), key_selector=lambda v: v, mode=mode) as harness:
            with pytest.raises(UserCodeError) as caught:
                harness.push([1, 2, 3, 4])
            assert caught.value.place.record == "3"


# -- two inputs ---------------------------------------------------------------------------------------------------


class Labels(CoMapFunction):
    def map1(self, value: int) -> str | None:
        return f"one {value}" if value else None

    def map2(self, value: int) -> str:
        return f"two {value}"


class Repeats(CoFlatMapFunction):
    def flat_map1(self, value: int) -> Iterator[int]:
        yield from range(value)

    def flat_map2(self, value: int) -> list[int] | None:
        return [value] if value else None


class Both(CoProcessFunction):
    def process_element1(self, value: int, ctx: Any) -> Iterator[Any]:
        yield 1, value, ctx.timestamp()

    def process_element2(self, value: int, ctx: Any) -> Iterator[Any]:
        yield ODD, (2, value)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (CoMapSpec(Labels()), [("one 1", 10), ("two 0", 20), ("two 2", 22)]),
        (CoFlatMapSpec(Repeats()), [(0, 10), (2, 22)]),
        (CoProcessSpec(Both()), [((1, 1, 10), 10), ((1, 0, 11), 11)]),
    ],
)
@pytest.mark.parametrize("mode", ALL_MODES)
def test_co_functions_without_keys(spec: Any, expected: list[Any], mode: RunMode) -> None:
    with OperatorHarness(spec, key_selectors=[None, None], mode=mode) as harness:
        harness.push([1, 0], [10, 11], input_index=0)
        harness.push([0, 2], [20, 22], input_index=1)
        assert harness.records == expected
        if isinstance(spec, CoProcessSpec):
            assert harness.side_outputs == {"odd": [((2, 0), 20), ((2, 2), 22)]}


class Remember(CoMapFunction):
    """The second stream sets what the first one gets, by key."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self.known = runtime_context.get_state(ValueStateDescriptor("known"))

    def map1(self, value: tuple[str, int]) -> Any:
        return (*value, self.known.value())

    def map2(self, value: dict[str, Any]) -> None:
        self.known.update(value["what"])


class Join(KeyedCoProcessFunction):
    """Waits up to 10 ms for the other side."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self.left = runtime_context.get_state(ValueStateDescriptor("left"))

    def process_element1(self, value: tuple[str, int], ctx: Any) -> None:
        self.left.update(value)
        ctx.timer_service().register_event_time_timer(ctx.timestamp() + 10)

    def process_element2(self, value: dict[str, Any], ctx: Any) -> Iterator[Any]:
        left = self.left.value()
        if left is not None:
            yield left, value["what"]
            self.left.clear()

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Any]:
        if self.left.value() is not None:
            yield self.left.value(), None
            self.left.clear()


SELECTORS = [lambda v: v[0], lambda v: v["who"]]


@pytest.mark.parametrize("mode", ALL_MODES)
def test_two_inputs_share_keyed_state(mode: RunMode) -> None:
    with OperatorHarness(CoMapSpec(Remember()), key_selectors=SELECTORS, mode=mode) as harness:
        harness.push([{"who": "a", "what": 1}], input_index=1)
        harness.push([("a", 5), ("b", 6)], input_index=0)
        assert harness.values == [("a", 5, 1), ("b", 6, None)]
    with OperatorHarness(KeyedCoProcessSpec(Join()), key_selectors=SELECTORS, mode=mode) as harness:
        harness.push([("a", 5), ("b", 6)], [1, 2], input_index=0)
        harness.push([{"who": "b", "what": "x"}, {"who": "c", "what": "y"}], [3, 4], input_index=1)
        harness.watermark(100, input_index=0)
        assert harness.records == [((("b", 6), "x"), 3)]
        harness.watermark(11, input_index=1)
        assert harness.records[1:] == [((("a", 5), None), 11)]
        assert harness.watermarks_ms == [11]
