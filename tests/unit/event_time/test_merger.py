"""WatermarkMerger: monotone, the least of the channels that count, idle and ended channels ignored."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.elements import Watermark, WatermarkStatus
from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS
from millstream.core.event_time.merger import WatermarkMerger


def test_waits_for_every_channel() -> None:
    merger = WatermarkMerger(2)
    assert merger.update(0, Watermark(10)) is None
    assert merger.update(1, Watermark(5)) == Watermark(5)
    assert merger.update(1, Watermark(20)) == Watermark(10)
    assert merger.update(1, Watermark(15)) is None, "a channel's watermark never goes back"


def test_an_idle_channel_is_ignored_and_catches_up_later() -> None:
    merger = WatermarkMerger(2)
    merger.update(0, Watermark(100))
    assert merger.set_idle(1, True) == Watermark(100)
    assert merger.set_idle(1, False) is None
    assert merger.update(1, Watermark(50)) is None, "behind what was passed on: does not count yet"
    assert merger.update(0, Watermark(200)) == Watermark(200)
    assert merger.update(1, Watermark(300)) is None
    assert merger.update(0, Watermark(400)) == Watermark(300)


def test_all_idle_is_idle_and_comes_back() -> None:
    merger = WatermarkMerger(2)
    merger.update(0, Watermark(7))
    assert merger.set_idle(1, True) == Watermark(7)
    assert merger.set_idle(0, True) == WatermarkStatus(idle=True)
    assert merger.set_idle(0, True) is None
    assert merger.set_idle(1, False) == WatermarkStatus(idle=False)
    assert merger.update(1, Watermark(9)) == Watermark(9)


def test_a_returning_channel_passes_on_a_watermark_it_had_before() -> None:
    merger = WatermarkMerger(2)
    merger.update(0, Watermark(10))
    merger.update(1, Watermark(100))
    merger.set_idle(1, True)
    assert merger.set_idle(0, True) == WatermarkStatus(idle=True)
    assert merger.set_idle(1, False) == WatermarkStatus(idle=False)
    assert merger.update(1, Watermark(100)) == Watermark(100)


def test_an_ended_channel_no_longer_counts_until_all_have_ended() -> None:
    merger = WatermarkMerger(2)
    assert merger.update(0, Watermark(MAX_WATERMARK_MS)) is None
    assert merger.update(1, Watermark(3)) == Watermark(3)
    assert merger.set_idle(1, True) == WatermarkStatus(idle=True), "the ended one ends nothing for the idle one"
    assert merger.update(1, Watermark(MAX_WATERMARK_MS)) == Watermark(MAX_WATERMARK_MS)


def test_one_channel_passes_everything_on() -> None:
    merger = WatermarkMerger(1)
    assert [merger.update(0, Watermark(t)) for t in (1, 1, 5)] == [Watermark(1), None, Watermark(5)]


Event = tuple[int, int | bool]
events = st.lists(st.tuples(st.integers(0, 2), st.one_of(st.booleans(), st.integers(0, 50))), max_size=60)


@settings(max_examples=500)
@given(events)
def test_monotone_never_ahead_of_a_counting_channel_and_idle_only_when_all_are(steps: list[Event]) -> None:
    merger = WatermarkMerger(3)
    marks, idle = [MIN_WATERMARK_MS] * 3, [False] * 3
    passed, merged_idle = MIN_WATERMARK_MS, False
    for channel, change in steps:
        if isinstance(change, bool):
            idle[channel] = change
            result = merger.set_idle(channel, change)
        else:
            marks[channel] = max(marks[channel], change)
            result = merger.update(channel, Watermark(change))
        merger.check()
        counting = [m for m, i in zip(marks, idle, strict=True) if not i and m >= passed]
        match result:
            case Watermark(timestamp_ms):
                assert timestamp_ms > passed
                assert timestamp_ms == min(counting)
                passed = timestamp_ms
            case WatermarkStatus(now_idle):
                assert now_idle != merged_idle
                merged_idle = now_idle
            case None:
                # What a returning channel already knew waits for the next step of any channel.
                assert not counting or min(counting) <= passed or isinstance(change, bool) or idle[channel]
        assert merged_idle == all(idle)
