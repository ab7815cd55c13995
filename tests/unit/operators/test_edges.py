"""Where streams begin and end: source, sink, collect, and event times given in the middle."""

from __future__ import annotations

from typing import Any

import cloudpickle
import numpy as np
import pytest

from millstream.connectors.collection import CollectionSource, CollectionSplit
from millstream.core.api.sink import Sink, SinkContext, SinkWriter
from millstream.core.api.source import (
    EnumeratorContext,
    PollStatus,
    ReaderContext,
    Source,
    SourceReader,
    SplitBatch,
    SplitEnumerator,
)
from millstream.core.api.watermarks import WatermarkStrategy
from millstream.core.clock import ManualClock
from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.elements.control import MAX_WATERMARK_MS, LatencyMarker, Watermark
from millstream.core.errors import ExternalError, RecordTypeError, UserCodeError
from millstream.core.graph.specs import CollectSpec, SinkSpec, SourceSpec, TimestampsAndWatermarksSpec
from millstream.core.serde import decode_batch
from millstream.core.source_events import ADD_SPLITS, ASK_AGAIN, REQUEST_SPLIT, numbered
from millstream.testing.harness import OperatorHarness

BY_VALUE = WatermarkStrategy.for_bounded_out_of_orderness(5).with_timestamp_assigner(lambda value: value)


# -- source -------------------------------------------------------------------------------------------------------


class Scripted(Source[str]):
    """A reader that answers what the test says."""

    def __init__(self, answers: list[Any], wait_s: float | None = None) -> None:
        self.answers, self.wait_s = answers, wait_s

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[str]:
        raise AssertionError("made in the JobManager")

    def create_reader(self, context: ReaderContext) -> SourceReader[str]:
        self.context = context
        self.reader = ScriptedReader(self)
        return self.reader


class ScriptedReader(SourceReader[str]):
    def __init__(self, source: Scripted) -> None:
        self.source = source
        self.splits: list[str] = []
        self.life: list[str] = []

    def start(self) -> None:
        self.life.append("start")

    def poll(self) -> SplitBatch | PollStatus:
        answer = self.source.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, SplitBatch | PollStatus)
        return answer

    def add_splits(self, splits: list[str]) -> None:
        self.splits += splits

    def notify_no_more_splits(self) -> None:
        self.life.append("no more")

    def snapshot_state(self) -> list[str]:
        return self.splits

    def wait_s(self) -> float | None:
        return self.source.wait_s

    def close(self) -> None:
        self.life.append("close")


def batch_of(*values: int) -> ObjectBatch:
    return ObjectBatch(list(values))


def test_a_bounded_source_from_its_first_request_to_the_last_watermark() -> None:
    with OperatorHarness(SourceSpec(CollectionSource([3, 1, 2]), BY_VALUE)) as harness:
        source: Any = harness.operator
        assert not harness.poll()
        assert not harness.poll()
        [request] = harness.sent_events
        assert (request.kind, request.payload) == ("request_split", b"")
        request.reply(True, b"")
        harness.event(ADD_SPLITS, numbered(1, cloudpickle.dumps([CollectionSplit(0)])))
        assert harness.poll()
        assert harness.records == [(3, 3), (1, 1), (2, 2)]
        assert harness.watermarks_ms == [-3]
        assert not harness.poll()
        assert len(harness.sent_events) == 2
        harness.event("no_more_splits", b"")
        assert not source.is_finished()
        assert harness.poll()
        assert source.is_finished()
        source.finish()
        assert harness.watermarks_ms == [-3, MAX_WATERMARK_MS]


def test_a_refused_request_is_repeated_later() -> None:
    with OperatorHarness(SourceSpec(Scripted([PollStatus.SPLIT_WANTED] * 3))) as harness:
        harness.poll()
        harness.sent_events[0].reply(False, b"")
        assert harness.context.take_scheduled(1000) is not None
        harness.poll()
        harness.poll()
        assert len(harness.sent_events) == 2


def test_watermarks_follow_the_slowest_split() -> None:
    answers = [
        SplitBatch(batch_of(100), "a"),
        SplitBatch(batch_of(50), "b"),
        SplitBatch(batch_of(60), "b", split_finished=True),
        SplitBatch(batch_of(110), "a"),
    ]
    with OperatorHarness(SourceSpec(Scripted(answers), BY_VALUE)) as harness:
        for _ in range(4):
            harness.poll()
        assert harness.watermarks_ms == [94, 104]


def test_an_idle_split_says_so_and_comes_back() -> None:
    strategy = BY_VALUE.with_idleness(100)
    answers = [SplitBatch(batch_of(10), "a"), *[PollStatus.NOTHING_NOW] * 3, SplitBatch(batch_of(20), "a")]
    with OperatorHarness(SourceSpec(Scripted(answers), strategy), clock=ManualClock(5000)) as harness:
        harness.poll()
        harness.poll()
        harness.advance(99)
        assert harness.output.statuses == []
        harness.advance(1)
        assert harness.output.statuses == [True]
        harness.poll()
        harness.poll()
        harness.poll()
        assert harness.output.statuses == [True, False]
        assert harness.watermarks_ms == [4, 14]


def test_a_rate_limit_schedules_the_next_poll() -> None:
    source = Scripted([PollStatus.NOTHING_NOW], wait_s=0.25)
    with OperatorHarness(SourceSpec(source), clock=ManualClock(1000)) as harness:
        assert not harness.poll()
        assert harness.context.take_scheduled(2000) == 1250
        source.context.wake_up()
        assert harness.context.wake_ups == 1
        source.context.report_malformed(3)
        assert harness.metrics.malformed_records == 3


def test_side_outputs_and_times_of_the_source_itself() -> None:
    stamped = ObjectBatch([1], np.array([77]))
    answers = [SplitBatch(stamped, "a", side_outputs=(("malformed", batch_of(9)),))]
    with OperatorHarness(SourceSpec(Scripted(answers))) as harness:
        harness.poll()
        assert harness.records == [(1, 77)]
        assert harness.side_outputs == {"malformed": [(9, None)]}
        assert harness.watermarks_ms == []


def test_a_reader_that_is_to_ask_later_does_not_ask_before() -> None:
    with OperatorHarness(SourceSpec(CollectionSource([1]))) as harness:
        harness.poll()
        harness.sent_events[0].reply(True, b"")
        harness.event("ask_later", cloudpickle.dumps(500))
        for passed_ms, requests in [(0, 1), (499, 1), (1, 2), (1000, 2)]:
            harness.advance(passed_ms)
            harness.poll()
            assert len(harness.sent_events) == requests


def test_splits_that_are_sent_once_more_are_had_already() -> None:
    source = Scripted([])
    with OperatorHarness(SourceSpec(source)) as harness:
        for number, split in [(1, "s1"), (1, "s1"), (3, "s3"), (2, "s2"), (3, "s3"), (4, "s4")]:
            harness.event(ADD_SPLITS, numbered(number, cloudpickle.dumps([split])))
        assert source.reader.splits == ["s1", "s3", "s4"]


def test_a_reader_that_waits_for_an_answer_asks_again_when_it_is_told_to() -> None:
    with OperatorHarness(SourceSpec(CollectionSource([1]))) as harness:
        harness.event(ASK_AGAIN, b"")
        assert len(harness.sent_events) == 0, "it waits for nothing"
        harness.poll()
        harness.event(ASK_AGAIN, b"")
        assert [event.kind for event in harness.sent_events] == [REQUEST_SPLIT, REQUEST_SPLIT]


def test_positions_are_snapshotted_and_the_reader_closed() -> None:
    source = Scripted([])
    harness = OperatorHarness(SourceSpec(source))
    first = source.reader
    harness.event(ADD_SPLITS, numbered(1, cloudpickle.dumps(["s1", "s2"])))
    harness.restore(harness.snapshot())
    assert source.reader is not first
    assert source.reader.splits == ["s1", "s2"]
    assert first.life == ["start", "close"]
    harness.close()
    assert source.reader.life == ["start", "close"]


@pytest.mark.parametrize(
    ("raised", "expected"), [(FileNotFoundError("bids.csv"), ExternalError), (ValueError("odd"), UserCodeError)]
)
def test_errors_of_a_reader_name_the_operator(raised: Exception, expected: type[Exception]) -> None:
    with OperatorHarness(SourceSpec(Scripted([raised])), name="bids") as harness:
        with pytest.raises(expected, match=r"'bids'.*\s.*") as caught:
            harness.poll()
        assert str(raised) in str(caught.value)
        assert "Scripted" in str(caught.value)


def test_errors_of_a_timestamp_assigner_name_the_record() -> None:
    strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(lambda v: v["at"])
    answers = [SplitBatch(ObjectBatch([{"at": 1}, {}]), "a")]
    with OperatorHarness(SourceSpec(Scripted(answers), strategy), name="bids") as harness:
        with pytest.raises(UserCodeError, match=r"'bids' failed in lambda.*\{\}\nKeyError") as caught:
            harness.poll()
        assert caught.value.place.file == __file__


# -- sink ---------------------------------------------------------------------------------------------------------


class RecordingSink(Sink):
    def __init__(self, fails: str = "", error: Exception | None = None) -> None:
        self.calls: list[Any] = []
        self.fails, self.error = fails, error

    def create_writer(self, context: SinkContext) -> SinkWriter:
        self.context = context
        return RecordingWriter(self)


class RecordingWriter(SinkWriter):
    def __init__(self, sink: RecordingSink) -> None:
        self._sink = sink

    def _note(self, name: str, *details: Any) -> None:
        self._sink.calls.append((name, *details))
        if name == self._sink.fails and self._sink.error is not None:
            raise self._sink.error

    def open(self) -> None:
        self._note("open")

    def write(self, batch: Batch) -> None:
        assert isinstance(batch, ObjectBatch)
        self._note("write", batch.values)

    def write_watermark(self, watermark: Watermark) -> None:
        self._note("watermark", watermark.timestamp_ms)

    def flush(self) -> None:
        self._note("flush")

    def on_time(self, wall_ms: int) -> None:
        self._note("on_time", wall_ms)

    def close(self) -> None:
        self._note("close")


def test_the_life_of_a_writer() -> None:
    sink = RecordingSink()
    with OperatorHarness(SinkSpec(sink), clock=ManualClock(5000), parallelism=4, subtask_index=2) as harness:
        assert (sink.context.subtask_index, sink.context.parallelism) == (2, 4)
        harness.push([1, 2])
        harness.watermark(9)
        harness.advance(2500)
        harness.end()
    assert sink.calls == [
        ("open",),
        ("write", [1, 2]),
        ("watermark", 9),
        ("on_time", 6000),
        ("on_time", 7000),
        ("watermark", MAX_WATERMARK_MS),
        ("flush",),
        ("close",),
    ]


def test_a_failed_or_cancelled_job_does_not_flush() -> None:
    sink = RecordingSink()
    with OperatorHarness(SinkSpec(sink)) as harness:
        harness.push([1])
    assert [call[0] for call in sink.calls] == ["open", "write", "close"]


@pytest.mark.parametrize("fails", ["open", "write", "watermark", "on_time", "flush", "close"])
@pytest.mark.parametrize(("error", "kind"), [(OSError("disk full"), ExternalError), (TypeError("odd"), UserCodeError)])
def test_errors_of_a_writer_name_the_operator(fails: str, error: Exception, kind: type[Exception]) -> None:
    sink = RecordingSink(fails, error)
    with pytest.raises(kind, match="'out'") as caught:
        harness = OperatorHarness(SinkSpec(sink), name="out")
        harness.push([1])
        harness.watermark(1)
        harness.advance(1000)
        harness.end()
        harness.close()
    assert str(error) in str(caught.value)
    assert "RecordingSink" in str(caught.value)


def test_latency_markers_end_in_a_gauge() -> None:
    with OperatorHarness(SinkSpec(RecordingSink()), clock=ManualClock(1000)) as harness:
        assert "latency_ms" not in harness.metrics.snapshot()
        harness.operator.process_latency_marker(LatencyMarker(960, "source", 0))
        assert harness.metrics.snapshot()["latency_ms"] == 40
        assert harness.output.latency_markers == []


# -- collect ------------------------------------------------------------------------------------------------------


def test_one_batch_is_on_its_way_at_a_time() -> None:
    with OperatorHarness(CollectSpec(), clock=ManualClock(1000)) as harness:
        assert harness.operator.is_ready()
        harness.push([1, 2], [5, 6])
        harness.push([3], [7])
        harness.push([4], [8])
        assert len(harness.sent_events) == 1
        harness.sent_events[0].reply(False, b"")
        harness.advance(19)
        assert len(harness.sent_events) == 1
        harness.advance(1)
        assert len(harness.sent_events) == 2
        harness.sent_events[1].reply(True, b"")
        harness.operator.finish()
        assert harness.operator.has_pending()
        harness.sent_events[2].reply(True, b"")
        assert harness.sent_events[3].kind == "collect_end"
        assert harness.operator.has_pending()
        harness.sent_events[3].reply(True, b"")
        assert not harness.operator.has_pending()
        sent = [decode_batch(event.payload) for event in harness.sent_events[:3]]
        assert [batch.values for batch in sent if isinstance(batch, ObjectBatch)] == [[1, 2], [1, 2], [3, 4]]


def test_a_client_that_takes_nothing_stops_the_input() -> None:
    with OperatorHarness(CollectSpec()) as harness:
        pushed = 0
        while harness.operator.is_ready():
            harness.push(["x" * 10_000])
            pushed += 1
            assert pushed < 1000
        assert len(harness.sent_events) == 1 and pushed > 50
        harness.sent_events[0].reply(True, b"")
        assert harness.operator.is_ready(), "all that waited is one batch"


def test_large_batches_are_cut() -> None:
    with OperatorHarness(CollectSpec()) as harness:
        rows = ["x" * 100_000 for _ in range(50)]
        harness.push(rows)
        received: list[Any] = []
        for number in range(60):
            if number == len(harness.sent_events):
                break
            event = harness.sent_events[number]
            assert len(event.payload) < 2 * 1024 * 1024
            batch = decode_batch(event.payload)
            assert isinstance(batch, ObjectBatch)
            received += batch.values
            event.reply(True, b"")
        assert received == rows
        assert harness.operator.is_ready()


# -- event times in the middle ------------------------------------------------------------------------------------


def test_new_event_times_and_watermarks() -> None:
    with OperatorHarness(TimestampsAndWatermarksSpec(BY_VALUE)) as harness:
        harness.push([10, 30, 20], [1, 2, 3])
        harness.watermark(1000)
        harness.push([25])
        harness.push([40])
        assert harness.records == [(10, 10), (30, 30), (20, 20), (25, 25), (40, 40)]
        assert harness.watermarks_ms == [24, 34]
        harness.end()
        assert harness.watermarks_ms == [24, 34, MAX_WATERMARK_MS]


def test_keys_do_not_pass_a_timestamps_operator() -> None:
    with OperatorHarness(TimestampsAndWatermarksSpec(BY_VALUE)) as harness:
        emitted: list[Any] = []
        harness.output.emit = emitted.append  # type: ignore[method-assign]
        harness.operator.process(ObjectBatch([1], None, ["a"]), 0)
        assert emitted[0].keys is None


def test_idleness_in_the_middle() -> None:
    strategy = BY_VALUE.with_idleness(1000)
    with OperatorHarness(TimestampsAndWatermarksSpec(strategy), clock=ManualClock(0)) as harness:
        harness.push([10])
        harness.advance(5000)
        assert harness.output.statuses == [True]
        harness.push([20])
        assert harness.output.statuses == [True, False]


def test_the_watermark_does_not_go_back_over_a_restore() -> None:
    with OperatorHarness(TimestampsAndWatermarksSpec(BY_VALUE)) as harness:
        harness.push([100])
        harness.restore(harness.snapshot())
        harness.push([50, 120])
        assert harness.watermarks_ms == [94, 114]


def test_an_assigner_that_returns_no_time_is_named() -> None:
    strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(lambda value: "soon")
    with OperatorHarness(TimestampsAndWatermarksSpec(strategy), name="times") as harness:
        with pytest.raises(RecordTypeError, match="'times'") as caught:
            harness.push([1])
        assert "soon" in str(caught.value)
        assert caught.value.place.operator == "times"
        assert caught.value.place.file == __file__
