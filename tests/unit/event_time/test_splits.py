"""SplitWatermarks: the least over the splits of a source, idle splits aside."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from millstream.core.api.watermarks import WatermarkStrategy
from millstream.core.clock import ManualClock
from millstream.core.elements import Watermark, WatermarkStatus
from millstream.core.elements.batch import ObjectBatch
from millstream.core.elements.control import MIN_WATERMARK_MS
from millstream.core.event_time.splits import SplitWatermarks

strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(lambda v: v)


def test_the_slower_split_decides() -> None:
    splits = SplitWatermarks(strategy, ManualClock())
    splits.add_splits(["a", "b"])
    splits.stamp("a", ObjectBatch([100]))
    assert splits.poll() == []
    splits.stamp("b", ObjectBatch([50]))
    assert splits.poll() == [Watermark(49)]
    splits.finish_split("b")
    assert splits.poll() == [Watermark(99)]


def test_the_last_split_leaves_its_watermark() -> None:
    splits = SplitWatermarks(strategy, ManualClock())
    splits.stamp("a", ObjectBatch([100]))
    splits.finish_split("a")
    assert splits.poll() == [Watermark(99)]
    splits.stamp("b", ObjectBatch([10]))
    assert splits.poll() == [], "never back"


def test_idle_splits_do_not_hold_back_and_all_idle_is_idle() -> None:
    clock = ManualClock()
    splits = SplitWatermarks(strategy.with_idleness("1s"), clock)
    splits.add_splits(["a", "b"])
    clock.advance(600)
    splits.stamp("a", ObjectBatch([100]))
    assert splits.poll() == []
    assert splits.ms_until_idle() == 400
    clock.advance(400)
    assert splits.poll() == [Watermark(99)]
    clock.advance(600)
    assert splits.poll() == [WatermarkStatus(idle=True)]
    splits.stamp("b", ObjectBatch([300]))
    assert splits.poll() == [WatermarkStatus(idle=False), Watermark(299)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100)), max_size=40))
def test_monotone_and_the_least_of_the_splits(steps: list[tuple[str, int]]) -> None:
    splits = SplitWatermarks(strategy, ManualClock())
    splits.add_splits("abc")
    largest = dict.fromkeys("abc", MIN_WATERMARK_MS)
    last = MIN_WATERMARK_MS
    for split, time_ms in steps:
        splits.stamp(split, ObjectBatch([time_ms]))
        largest[split] = max(largest[split], time_ms)
        for change in splits.poll():
            assert isinstance(change, Watermark)
            assert change.timestamp_ms > last
            last = change.timestamp_ms
        least = min(largest.values())
        assert last == (MIN_WATERMARK_MS if least == MIN_WATERMARK_MS else least - 1)
