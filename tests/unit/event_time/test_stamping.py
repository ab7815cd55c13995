"""BatchStamper: event times from fields, functions and columns; watermarks; idleness."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.api.watermarks import (
    TimestampAssigner,
    TimestampField,
    WatermarkGenerator,
    WatermarkStrategy,
)
from millstream.core.clock import ManualClock
from millstream.core.elements.batch import NO_TIMESTAMP_MS, ArrowBatch, ObjectBatch
from millstream.core.elements.control import MIN_WATERMARK_MS
from millstream.core.errors import ConfigError, RecordTypeError
from millstream.core.event_time.stamping import BatchStamper

bounded = WatermarkStrategy.for_bounded_out_of_orderness


def times_of(strategy: WatermarkStrategy, values: list[Any], given_ms: list[int] | None = None) -> list[int]:
    given_times = None if given_ms is None else np.array(given_ms, dtype=np.int64)
    batch = BatchStamper(strategy, ManualClock()).stamp(ObjectBatch(values, given_times))
    assert batch.timestamps is not None
    return [int(t) for t in batch.timestamps]


class ByLength(TimestampAssigner):
    def extract_timestamp(self, value: Any, record_timestamp: int) -> int:
        return len(value) if record_timestamp == NO_TIMESTAMP_MS else record_timestamp + len(value)


@pytest.mark.parametrize(
    ("assigner", "values", "expected"),
    [
        (lambda v: v["t"], [{"t": 3}, {"t": 1}], [3, 1]),
        (lambda v, before: v["t"] + (before == NO_TIMESTAMP_MS), [{"t": 3}], [4]),
        (ByLength(), ["abc"], [3]),
        ("t", [{"t": 5}], [5]),
        (TimestampField(1), [("x", 9)], [9]),
        (lambda v: v, [datetime(1970, 1, 1, 0, 0, 1), datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)], [1000, 2000]),
        (lambda v: v, [1.9, True + 1], [1, 2]),
    ],
)
def test_assigners(assigner: Any, values: list[Any], expected: list[int]) -> None:
    assert times_of(bounded(0).with_timestamp_assigner(assigner), values) == expected


def test_record_timestamp_of_the_source_is_given() -> None:
    assert times_of(bounded(0).with_timestamp_assigner(ByLength()), ["ab"], [100]) == [102]


@pytest.mark.parametrize("wrong", [None, "soon", True, 2**70])
def test_a_wrong_time_names_the_record(wrong: Any) -> None:
    stamper = BatchStamper(bounded(0).with_timestamp_assigner(lambda v: v[1]), ManualClock())
    with pytest.raises(RecordTypeError, match="here it is"):
        stamper.stamp(ObjectBatch([("fine", 1), ("here it is", wrong)]))
    assert stamper.failed_record == ("here it is", wrong)


def test_an_error_in_the_function_leaves_the_record() -> None:
    stamper = BatchStamper(bounded(0).with_timestamp_assigner(lambda v: 10 // v), ManualClock())
    with pytest.raises(ZeroDivisionError):
        stamper.stamp(ObjectBatch([5, 2, 0, 1]))
    assert stamper.failed_record == 0


def test_a_missing_field_is_named() -> None:
    stamper = BatchStamper(bounded(0).with_timestamp_assigner("when"), ManualClock())
    with pytest.raises(RecordTypeError, match="'when'"):
        stamper.stamp(ObjectBatch([{"t": 1}]))


@pytest.mark.parametrize("column", [pa.array([1000, 2000]), pa.array([1, 2], pa.timestamp("s"))])
def test_arrow_columns(column: pa.Array) -> None:
    stamper = BatchStamper(bounded("1s").with_timestamp_assigner("t"), ManualClock())
    batch = stamper.stamp(ArrowBatch(pa.record_batch({"t": column})))
    assert batch.timestamps is not None
    assert batch.timestamps.tolist() == [1000, 2000]
    assert stamper.watermark() == 999


def test_watermark_is_the_largest_time_less_delay_less_one() -> None:
    stamper = BatchStamper(bounded(10).with_timestamp_assigner(lambda v: v), ManualClock())
    assert stamper.watermark() is None
    stamper.stamp(ObjectBatch([100, 300, 200]))
    assert stamper.watermark() == 289


def test_without_assigner_the_given_times_stay() -> None:
    stamper = BatchStamper(WatermarkStrategy.for_monotonous_timestamps(), ManualClock())
    batch = ObjectBatch(["a"], np.array([42], dtype=np.int64))
    assert stamper.stamp(batch) is batch
    assert stamper.watermark() == 41


@given(st.lists(st.lists(st.integers(-1000, 1000), min_size=1, max_size=5), max_size=10), st.integers(0, 50))
def test_watermark_never_goes_back_nor_past_the_delay(batches: list[list[int]], delay_ms: int) -> None:
    stamper = BatchStamper(bounded(delay_ms).with_timestamp_assigner(lambda v: v), ManualClock())
    largest = last = MIN_WATERMARK_MS
    for values in batches:
        stamper.stamp(ObjectBatch(values))
        largest = max(largest, *values)
        mark = stamper.watermark()
        assert mark == largest - delay_ms - 1
        assert mark >= last
        last = mark


class Punctuated(WatermarkGenerator):
    def __init__(self) -> None:
        self.mark = MIN_WATERMARK_MS

    def on_event(self, value: Any, timestamp_ms: int) -> None:
        if value == "mark":
            self.mark = timestamp_ms

    def current_watermark_ms(self) -> int:
        return self.mark


def test_a_generator_of_ones_own_and_a_fresh_one_for_each_split() -> None:
    strategy = WatermarkStrategy.for_generator(Punctuated)
    first, second = BatchStamper(strategy, ManualClock()), BatchStamper(strategy, ManualClock())
    first.stamp(ObjectBatch(["x", "mark", "y"], np.array([1, 5, 9], dtype=np.int64)))
    assert (first.watermark(), second.watermark()) == (5, None)


def test_no_watermarks() -> None:
    stamper = BatchStamper(WatermarkStrategy.no_watermarks().with_timestamp_assigner(lambda v: v), ManualClock())
    stamper.stamp(ObjectBatch([5]))
    assert stamper.watermark() is None


def test_idleness_counts_from_the_last_record() -> None:
    clock = ManualClock()
    stamper = BatchStamper(bounded(0).with_idleness("1s"), clock)
    assert stamper.ms_until_idle() == 1000
    clock.advance(999)
    assert not stamper.is_idle()
    clock.advance(1)
    assert stamper.is_idle()
    stamper.stamp(ObjectBatch([1], np.array([1], dtype=np.int64)))
    assert not stamper.is_idle()


def test_alignment_is_refused_rather_than_ignored() -> None:
    with pytest.raises(ConfigError, match="with_watermark_alignment"):
        bounded(0).with_watermark_alignment("group", "1s")
