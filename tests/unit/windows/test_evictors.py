"""Each evictor as a table: contents of the window, and what its function sees the first and the second time."""

from __future__ import annotations

from typing import Any

import pytest

from millstream.core.api.windows import (
    CountEvictor,
    CountTrigger,
    DeltaEvictor,
    Evictor,
    GlobalWindows,
    TimeEvictor,
    TimestampedValue,
    TumblingEventTimeWindows,
)
from millstream.core.graph.specs import WindowSpec
from millstream.testing import OperatorHarness, RunMode


def difference(left: int, right: int) -> int:
    return abs(left - right)


class EvictAll(Evictor[Any]):
    """Leaves nothing."""

    def evict_before(self, elements: list[TimestampedValue], size: int, window: Any, ctx: Any) -> None:
        assert size == len(elements)
        assert ctx.get_current_watermark() < 0
        elements.clear()

    def evict_after(self, elements: list[TimestampedValue], size: int, window: Any, ctx: Any) -> None:
        assert not elements


@pytest.mark.parametrize("restore_each_step", [False, True])
@pytest.mark.parametrize(
    ("evictor", "first", "second"),
    [
        (CountEvictor.of(2), [2, 9], [4, 7]),
        (CountEvictor.of(2, True), [1, 2, 9], [2, 9, 3, 4, 7]),
        (CountEvictor.of(0), [], []),
        (TimeEvictor.of(7), [9], [9, 3, 4, 7]),
        (TimeEvictor.of(8), [2, 9], [2, 9, 3, 4, 7]),
        (TimeEvictor.of(7, True), [1, 2, 9], [9, 3, 4, 7]),
        (DeltaEvictor.of(8, difference), [2, 9], [2, 9, 3, 4, 7]),
        (DeltaEvictor.of(2, difference, True), [1, 2, 9], [9, 3, 4, 7]),
        (EvictAll(), [], []),
    ],
)
def test_evictor(evictor: Any, first: list[int], second: list[int], restore_each_step: bool) -> None:
    spec = WindowSpec(GlobalWindows.create(), CountTrigger.of(3), evictor)
    mode = RunMode(restore_each_step=restore_each_step)
    with OperatorHarness(spec, key_selector=lambda _: "k", mode=mode) as harness:
        harness.push([1, 2, 9], [1, 2, 9])
        assert harness.take() == [first]
        harness.push([3, 4, 7], [3, 4, 7])
        assert harness.take() == [second]


def test_a_reduce_sees_what_the_evictor_left() -> None:
    spec = WindowSpec(
        TumblingEventTimeWindows.of(10), evictor=CountEvictor.of(2), reduce=lambda left, right: left + right
    )
    with OperatorHarness(spec, key_selector=lambda _: "k") as harness:
        harness.push([1, 2, 4], [1, 2, 3])
        harness.end()
        assert harness.values == [6]


def test_records_without_event_time_are_not_evicted_by_time() -> None:
    spec = WindowSpec(GlobalWindows.create(), CountTrigger.of(2), TimeEvictor.of(1))
    with OperatorHarness(spec, key_selector=lambda _: "k") as harness:
        harness.push([1, 2])
        assert harness.values == [[1, 2]]
