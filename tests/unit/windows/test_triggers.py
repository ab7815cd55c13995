"""Each trigger as a table: steps in, what the window emits at each step."""

from __future__ import annotations

from typing import Any

import pytest

from millstream.core.api.windows import (
    ContinuousEventTimeTrigger,
    ContinuousProcessingTimeTrigger,
    CountTrigger,
    DeltaTrigger,
    EventTimeSessionWindows,
    EventTimeTrigger,
    GlobalWindows,
    NeverTrigger,
    ProcessingTimeoutTrigger,
    ProcessingTimeSessionWindows,
    ProcessingTimeTrigger,
    PurgingTrigger,
    Trigger,
    TriggerResult,
    TumblingEventTimeWindows,
    TumblingProcessingTimeWindows,
    WindowAssigner,
)
from millstream.core.errors import ConfigError, JobGraphError
from millstream.core.graph.specs import WindowSpec
from millstream.testing import ALL_MODES, OperatorHarness, RunMode

Script = list[tuple[str, Any, list[Any]]]
"""(action, argument, contents emitted by it): ``at`` (a record with its event time), ``mark``, ``clock``."""

day = TumblingEventTimeWindows.of(100)
clock_day = TumblingProcessingTimeWindows.of(100)
everything = GlobalWindows.create()


def play(spec: WindowSpec, script: Script, mode: RunMode | None = None) -> None:
    with OperatorHarness(spec, key_selector=lambda _: "k", mode=mode) as harness:
        for number, (action, argument, expected) in enumerate(script):
            match action:
                case "at":
                    harness.push([argument], [argument])
                case "mark":
                    harness.watermark(argument)
                case "clock":
                    harness.advance_to(argument)
                case "end":
                    harness.end()
            assert harness.take() == expected, f"step {number}: {action} {argument}"


def both_ways(spec: WindowSpec, script: Script) -> None:
    for mode in (ALL_MODES[0], RunMode(restore_each_step=True)):
        play(spec, script, mode)


CASES: dict[str, tuple[WindowAssigner[Any, Any], Trigger[Any, Any] | None, Script]] = {
    "event time": (
        day,
        EventTimeTrigger.create(),
        [("at", 1, []), ("at", 2, []), ("mark", 98, []), ("mark", 99, [[1, 2]]), ("at", 3, []), ("end", None, [])],
    ),
    "event time, one record after the end": (day, None, [("mark", 50, []), ("at", 20, []), ("end", None, [[20]])]),
    "processing time": (
        clock_day,
        ProcessingTimeTrigger.create(),
        [("at", 1, []), ("clock", 99, []), ("at", 2, []), ("clock", 100, [[1, 2]]), ("at", 3, []),
         ("clock", 200, [[3]])],
    ),
    "processing time on event-time windows": (
        everything,
        PurgingTrigger.of(ContinuousProcessingTimeTrigger.of(10)),
        [("at", 1, []), ("clock", 10, []), ("clock", 11, [[1]]), ("at", 2, []), ("clock", 25, [[2]])],
    ),
    "continuous event time": (
        day,
        ContinuousEventTimeTrigger.of(30),
        [("at", 5, []), ("mark", 29, []), ("mark", 30, [[5]]), ("at", 40, []), ("mark", 65, [[5, 40]]),
         ("mark", 99, [[5, 40], [5, 40]]), ("end", None, [])],
    ),
    "continuous event time on a global window ends": (
        everything,
        ContinuousEventTimeTrigger.of(30),
        [("at", 5, []), ("mark", 31, [[5]]), ("end", None, [[5], [5]])],
    ),
    "continuous processing time": (
        clock_day,
        ContinuousProcessingTimeTrigger.of(40),
        [("at", 1, []), ("clock", 40, []), ("clock", 41, [[1]]), ("clock", 82, [[1]]), ("clock", 100, [[1]]),
         ("clock", 300, [])],
    ),
    "count": (
        everything,
        CountTrigger.of(2),
        [("at", 1, []), ("at", 2, [[1, 2]]), ("at", 3, []), ("at", 4, [[1, 2, 3, 4]]), ("end", None, [])],
    ),
    "count, purging": (
        everything,
        PurgingTrigger.of(CountTrigger.of(2)),
        [("at", 1, []), ("at", 2, [[1, 2]]), ("at", 3, []), ("at", 4, [[3, 4]])],
    ),
    "count starts anew in every window": (
        day,
        CountTrigger.of(2),
        [("at", 1, []), ("mark", 99, []), ("at", 101, []), ("at", 102, [[101, 102]])],
    ),
    "delta": (
        everything,
        DeltaTrigger.of(10, lambda before, now: now - before),
        [("at", 1, []), ("at", 11, []), ("at", 12, [[1, 11, 12]]), ("at", 22, []), ("at", 23, [[1, 11, 12, 22, 23]])],
    ),
    "never": (everything, NeverTrigger(), [("at", 1, []), ("mark", 1000, []), ("end", None, [])]),
    "default of global windows is never": (everything, None, [("at", 1, []), ("end", None, [])]),
    "end of stream": (
        GlobalWindows.create_with_end_of_stream_trigger(),
        None,
        [("at", 1, []), ("at", 2, []), ("end", None, [[1, 2]])],
    ),
    "time-out from the first record": (
        everything,
        ProcessingTimeoutTrigger.of(CountTrigger.of(3), 50),
        [("at", 1, []), ("clock", 30, []), ("at", 2, []), ("clock", 50, []), ("clock", 51, [[1, 2]]), ("at", 3, []),
         ("at", 4, []), ("at", 5, [[1, 2, 3, 4, 5]]), ("clock", 500, [])],
    ),
    "time-out from the last record": (
        everything,
        ProcessingTimeoutTrigger.of(PurgingTrigger.of(CountTrigger.of(3)), 50, True),
        [("at", 1, []), ("clock", 30, []), ("at", 2, []), ("clock", 80, []), ("clock", 81, [[1, 2]]),
         ("clock", 200, [])],
    ),
    "time-out that keeps the count": (
        everything,
        ProcessingTimeoutTrigger.of(CountTrigger.of(3), 50, False, False),
        [("at", 1, []), ("at", 2, []), ("clock", 51, [[1, 2]]), ("at", 3, [[1, 2, 3]])],
    ),
    "sessions count over a merge": (
        EventTimeSessionWindows.with_gap(10),
        CountTrigger.of(3),
        [("at", 0, []), ("at", 15, []), ("at", 8, [[0, 15, 8]])],
    ),
    "sessions of processing time": (
        ProcessingTimeSessionWindows.with_gap(10),
        None,
        [("at", 1, []), ("clock", 9, []), ("at", 2, []), ("clock", 18, []), ("clock", 19, [[1, 2]]), ("at", 3, []),
         ("clock", 100, [[3]])],
    ),
    "continuous trigger on sessions": (
        EventTimeSessionWindows.with_gap(20),
        ContinuousEventTimeTrigger.of(10),
        [("at", 1, []), ("at", 15, []), ("mark", 10, [[1, 15]]), ("mark", 34, [[1, 15], [1, 15], [1, 15]])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_trigger(case: str) -> None:
    assigner, trigger, script = CASES[case]
    both_ways(WindowSpec(assigner, trigger), script)


def test_late_records_fire_again_until_the_lateness_is_over() -> None:
    both_ways(
        WindowSpec(day, EventTimeTrigger(), allowed_lateness_ms=50),
        [("at", 1, []), ("mark", 99, [[1]]), ("at", 2, [[1, 2]]), ("mark", 148, []), ("at", 3, [[1, 2, 3]]),
         ("mark", 149, []), ("at", 4, [])],
    )  # fmt: skip


def test_a_purging_trigger_emits_late_records_alone() -> None:
    both_ways(
        WindowSpec(day, PurgingTrigger.of(EventTimeTrigger()), allowed_lateness_ms=50),
        [("at", 1, []), ("mark", 99, [[1]]), ("at", 2, [[2]]), ("end", None, [])],
    )


class PurgeOnNegative(CountTrigger[Any, Any]):
    """Drops the contents when a negative record comes."""

    def on_element(self, element: Any, timestamp: int, window: Any, ctx: Trigger.TriggerContext) -> TriggerResult:
        result = super().on_element(element, timestamp, window, ctx)
        return TriggerResult.PURGE if element < 0 else result


def test_purge_drops_without_emitting() -> None:
    both_ways(
        WindowSpec(everything, PurgeOnNegative(3)),
        [("at", 1, []), ("at", -1, []), ("at", 2, [[2]]), ("at", 3, [])],
    )


def test_a_trigger_that_cannot_merge_is_refused_for_sessions() -> None:
    spec = WindowSpec(EventTimeSessionWindows.with_gap(10), DeltaTrigger.of(1, lambda a, b: b - a))
    with pytest.raises(JobGraphError, match="DeltaTrigger"):
        OperatorHarness(spec, key_selector=lambda _: "k")


@pytest.mark.parametrize("make", [lambda: CountTrigger.of(0), lambda: ContinuousEventTimeTrigger.of(0)])
def test_wrong_arguments_are_refused(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()
