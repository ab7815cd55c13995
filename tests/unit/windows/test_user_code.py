"""State, side outputs and errors of user functions inside windows; which operator a specification gets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from millstream.core.api.functions import (
    ProcessWindowFunction,
    ReduceFunction,
    RuntimeContext,
    WindowContext,
)
from millstream.core.api.output_tag import OutputTag
from millstream.core.api.state import ReducingStateDescriptor, ValueStateDescriptor
from millstream.core.api.windows import (
    CountEvictor,
    CountTrigger,
    EventTimeSessionWindows,
    EventTimeTrigger,
    GlobalWindows,
    ProcessingTimeSessionWindows,
    ProcessingTimeTrigger,
    PurgingTrigger,
    SlidingEventTimeWindows,
    TimeWindow,
    Trigger,
    TumblingEventTimeWindows,
    TumblingProcessingTimeWindows,
)
from millstream.core.errors import JobGraphError, UserCodeError
from millstream.core.graph.specs import WindowSpec
from millstream.taskmanager.operators.windowing.general import GeneralWindowOperator
from millstream.taskmanager.operators.windowing.grid import GridWindowOperator
from millstream.taskmanager.operators.windowing.session import SessionWindowOperator
from millstream.testing import OperatorHarness, RunMode, run_in_all_modes

tumbling = TumblingEventTimeWindows.of(10)
session = EventTimeSessionWindows.with_gap(5)


class Another(EventTimeTrigger[Any, Any]):
    """Makes the general operator do what the fast ones do."""


def harness(spec: WindowSpec, mode: RunMode | None = None, **arguments: Any) -> OperatorHarness:
    arguments.setdefault("key_selector", lambda value: value[0])
    return OperatorHarness(spec, mode=mode, **arguments)


class Numbering(ProcessWindowFunction[Any, Any, str, TimeWindow]):
    """Counts firings of the window, windows of the key, and, in ``open``'s state, records of the key."""

    fired = ValueStateDescriptor("n")
    windows = ValueStateDescriptor("windows")

    def __init__(self) -> None:
        self.cleared: list[tuple[int, int | None]] = []

    def open(self, runtime_context: RuntimeContext) -> None:
        self.records = runtime_context.get_reducing_state(ReducingStateDescriptor("records", lambda a, b: a + b))

    def process(self, key: str, context: WindowContext[TimeWindow], elements: Iterable[Any]) -> Iterable[Any]:
        fired = context.window_state().get_state(self.fired)
        windows = context.global_state().get_state(self.windows)
        fired.update((fired.value() or 0) + 1)
        if fired.value() == 1:
            windows.update((windows.value() or 0) + 1)
        self.records.add(len(list(elements)))
        yield key, context.window().start, fired.value(), windows.value(), self.records.get()

    def clear(self, context: WindowContext[TimeWindow]) -> None:
        fired = context.window_state().get_state(self.fired)
        self.cleared.append((context.window().start, fired.value()))
        fired.clear()


@pytest.mark.parametrize("trigger", [None, Another()], ids=["fast", "general"])
def test_state_of_windows_keys_and_functions(trigger: Any) -> None:
    functions: list[Numbering] = []

    def new(mode: RunMode) -> OperatorHarness:
        functions.append(Numbering())
        return harness(WindowSpec(tumbling, trigger, allowed_lateness_ms=100, function=functions[-1]), mode)

    def script(run: OperatorHarness) -> None:
        run.push(["a1", "b1", "a2"], [1, 2, 3])
        run.watermark(9)
        run.push(["a3", "a4"], [4, 14])
        run.end()

    run = run_in_all_modes(new, script)
    assert run.values == [
        ("a", 0, 1, 1, 2),
        ("b", 0, 1, 1, 1),
        ("a", 0, 2, 1, 5),
        ("a", 10, 1, 2, 6),
    ]
    assert all(function.cleared == [(0, 2), (0, 1), (10, 1)] for function in functions)


@pytest.mark.parametrize("trigger", [None, Another()], ids=["fast", "general"])
def test_window_state_is_refused_for_sessions(trigger: Any) -> None:
    with (
        harness(WindowSpec(session, trigger, function=Numbering())) as run,
        pytest.raises(JobGraphError, match="merge"),
    ):
        run.push(["a"], [1])
        run.end()


class Splitting(ProcessWindowFunction[Any, Any, str, TimeWindow]):
    tag = OutputTag("rest")

    def process(self, key: str, context: WindowContext[TimeWindow], elements: Iterable[Any]) -> Iterable[Any]:
        for number, element in enumerate(elements):
            yield (self.tag, element) if number else element


@pytest.mark.parametrize("assigner", [tumbling, session])
def test_side_outputs(assigner: Any) -> None:
    with harness(WindowSpec(assigner, function=Splitting())) as run:
        run.push(["a1", "a2"], [1, 2])
        run.end()
        assert run.values == ["a1"]
        assert [row.value for row in run.side_outputs["rest"]] == ["a2"]


class Failing(ReduceFunction[Any]):
    def reduce(self, value1: Any, value2: Any) -> Any:
        raise ValueError("does not add up")


class FailingProcess(ProcessWindowFunction[Any, Any, str, TimeWindow]):
    def process(self, key: str, context: WindowContext[TimeWindow], elements: Iterable[Any]) -> Iterable[Any]:
        raise ValueError("no result")


@pytest.mark.parametrize("assigner", [tumbling, session, SlidingEventTimeWindows.of(10, 5)])
@pytest.mark.parametrize("trigger", [None, Another()], ids=["fast", "general"])
def test_errors_name_operator_line_and_record(assigner: Any, trigger: Any) -> None:
    spec = WindowSpec(assigner, trigger, reduce=Failing())
    with harness(spec, name="daily") as run, pytest.raises(UserCodeError, match=r"daily.*'a2'") as caught:
        run.push(["a1", "b1", "a2", "a3"], [1, 2, 3, 4])
    assert caught.value.place.file == __file__
    assert "does not add up" in str(caught.value)
    with (
        harness(WindowSpec(assigner, trigger, function=FailingProcess())) as run,
        pytest.raises(UserCodeError, match=r"key='a'.*TimeWindow"),
    ):
        run.push(["a1"], [1])
        run.end()


def test_an_error_in_the_key_selector_names_the_record() -> None:
    with harness(WindowSpec(tumbling)) as run, pytest.raises(UserCodeError, match="record 7"):
        run.push(["a", 7], [1, 2])


def test_open_and_close_are_called_once_each() -> None:
    calls: list[str] = []

    class Watched(ReduceFunction[Any]):
        def open(self, runtime_context: RuntimeContext) -> None:
            calls.append("open")

        def close(self) -> None:
            calls.append("close")

        def reduce(self, value1: Any, value2: Any) -> Any:
            return value1

    with harness(WindowSpec(tumbling, reduce=Watched())):
        assert calls == ["open"]
    assert calls == ["open", "close"]


class OneOff(TumblingEventTimeWindows[Any]):
    """An assigner of the user's own, although nearly a grid."""

    def assign_windows(self, element: Any, timestamp: int, context: Any) -> list[TimeWindow]:
        return super().assign_windows(element, timestamp + 1, context)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (WindowSpec(tumbling), GridWindowOperator),
        (WindowSpec(tumbling, EventTimeTrigger()), GridWindowOperator),
        (WindowSpec(TumblingProcessingTimeWindows.of(5), ProcessingTimeTrigger()), GridWindowOperator),
        (WindowSpec(tumbling, ProcessingTimeTrigger()), GeneralWindowOperator),
        (WindowSpec(tumbling, PurgingTrigger.of(EventTimeTrigger())), GeneralWindowOperator),
        (WindowSpec(tumbling, Another()), GeneralWindowOperator),
        (WindowSpec(tumbling, evictor=CountEvictor.of(1)), GeneralWindowOperator),
        (WindowSpec(OneOff(10)), GeneralWindowOperator),
        (WindowSpec(session), SessionWindowOperator),
        (WindowSpec(ProcessingTimeSessionWindows.with_gap(5)), SessionWindowOperator),
        (WindowSpec(session, CountTrigger.of(1)), GeneralWindowOperator),
        (WindowSpec(GlobalWindows.create()), GeneralWindowOperator),
    ],
)
def test_the_operator_of_a_specification(spec: WindowSpec, expected: type) -> None:
    with harness(spec) as run:
        assert type(run.operator) is expected


def test_an_assigner_of_ones_own_is_asked() -> None:
    with harness(WindowSpec(OneOff(10))) as run:
        run.push(["a"], [9])
        run.end()
        assert run.records == [(["a"], 19)]


def test_state_of_another_operator_is_refused() -> None:
    with harness(WindowSpec(tumbling)) as run:
        run.push(["a"], [1])
        snapshot = run.snapshot()
    with pytest.raises(Exception, match="new uid"), harness(WindowSpec(session)) as other:
        other.restore(snapshot)


class Remembering(Trigger[Any, Any]):
    """Fires when a record equals the one before, with value state of its own under a window function's name."""

    last = ValueStateDescriptor("n")

    def on_element(self, element: Any, timestamp: int, window: Any, ctx: Trigger.TriggerContext) -> Any:
        from millstream.core.api.windows import TriggerResult

        last = ctx.get_partitioned_state(self.last)
        same = last.value() == element
        last.update(element)
        return TriggerResult.FIRE if same else TriggerResult.CONTINUE

    def on_event_time(self, time: int, window: Any, ctx: Trigger.TriggerContext) -> Any:
        from millstream.core.api.windows import TriggerResult

        return TriggerResult.CONTINUE

    on_processing_time = on_event_time

    def clear(self, window: Any, ctx: Trigger.TriggerContext) -> None:
        ctx.get_partitioned_state(self.last).clear()


def test_trigger_state_and_window_state_may_share_a_name_and_all_state_goes_with_the_window() -> None:
    def script(run: OperatorHarness) -> None:
        run.push(["a1", "a1", "b1", "a1"], [1, 2, 3, 4])
        run.end()

    run = run_in_all_modes(
        lambda mode: harness(WindowSpec(tumbling, Remembering(), function=Numbering()), mode), script
    )
    assert [value[:3] for value in run.values] == [("a", 0, 1), ("a", 0, 2)]
    operator = run.operator
    assert isinstance(operator, GeneralWindowOperator)
    assert operator.entry_count() == 0
    left = {name for name, table in operator.backend._tables.items() if table}  # type: ignore[attr-defined]
    assert left == {"windows", "records"}, "state of the key stays, state of the window is gone"
