"""The numbered source: every record once, at any parallelism, through restores and failures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from millstream.connectors.sequence import NumberSequenceSource
from millstream.core.api.watermarks import WatermarkStrategy
from millstream.core.elements.control import MAX_WATERMARK_MS
from millstream.core.errors import MillstreamError
from millstream.testing import (
    ALL_MODES,
    ManualClock,
    RunMode,
    SequenceRecord,
    SequenceSource,
    SourceHarness,
    compare_outputs,
)

MODES = [*ALL_MODES, RunMode(seed=7, parallelisms=(2, 4, 1)), RunMode(batch_rows=5, parallelisms=(4, 2))]


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("parallelism", [1, 3])
def test_every_record_comes_once_and_in_order_of_its_key(mode: RunMode, parallelism: int) -> None:
    source = SequenceSource(["a", "b", "c", "d"], 30, splits=3)
    with SourceHarness(source, mode=mode, parallelism=parallelism) as harness:
        read = harness.read_all()
        assert harness.is_finished()
    assert not (difference := compare_outputs(source.expected(), read)), difference
    for key in source.keys:
        assert [record.sequence for record in read if record.key == key] == list(range(30))


def test_a_snapshot_holds_positions_and_splits_not_given_out() -> None:
    source = SequenceSource(6, 100)
    with SourceHarness(source, parallelism=2, mode=RunMode(batch_rows=7)) as harness:
        before = harness.read(150)
        snapshot = harness.snapshot()
        harness.read(100)
        harness.restore(snapshot)
        after = harness.read_all()
    assert not (difference := compare_outputs(source.expected(), before + after)), difference
    with SourceHarness(source, parallelism=5) as other:
        other.restore(snapshot)
        assert not compare_outputs(source.expected(), before + other.read_all())


@pytest.mark.parametrize("times", [1, 3])
def test_it_fails_as_often_as_wanted_and_goes_on(tmp_path: Path, times: int) -> None:
    source = SequenceSource(4, 50, splits=2).fail_at(60, tmp_path / "failures", times)
    committed: list[SequenceRecord] = []
    failures = 0
    with SourceHarness(source, mode=RunMode(batch_rows=25)) as harness:
        snapshot = harness.snapshot()
        while not harness.is_finished():
            try:
                read = harness.read(50)
                snapshot = harness.snapshot()
                committed += read
            except MillstreamError as error:
                assert "fails at record 60, as its test wants" in str(error)
                failures += 1
                harness.restore(snapshot)
    assert failures == times
    assert not (difference := compare_outputs(source.expected(), committed)), difference


def test_it_fails_when_a_file_appears(tmp_path: Path) -> None:
    trigger = tmp_path / "fail now"
    with SourceHarness(SequenceSource(1, 100).fail_on(trigger), mode=RunMode(batch_rows=10)) as harness:
        assert harness.read(20) == [SequenceRecord(0, number) for number in range(20)]
        trigger.touch()
        with pytest.raises(MillstreamError, match="as its test wants"):
            harness.read(20)
        assert not trigger.exists()
        assert len(harness.read_all()) == 80


def test_it_may_end_the_process(tmp_path: Path) -> None:
    code = (
        "from millstream.testing import SequenceSource, SourceHarness\n"
        f"SourceHarness(SequenceSource(1, 10).fail_at(5, {str(tmp_path / 'failures')!r}, kill=True)).read_all()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 9


def test_rates_follow_the_clock_of_the_harness() -> None:
    clock = ManualClock(1000)
    with SourceHarness(SequenceSource(1, 100, rows_per_second=10), clock=clock) as harness:
        assert len(harness.read_all()) == 100
    assert clock.wall_ms() == pytest.approx(11_000, abs=200)


def test_watermarks_of_a_source() -> None:
    strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(lambda record: record.sequence)
    with SourceHarness(SequenceSource(1, 3), strategy) as harness:
        harness.read_all()
        harness.end()
        assert [record.timestamp_ms for record in harness.records] == [0, 1, 2]
        assert harness.watermarks_ms[-1] == MAX_WATERMARK_MS


def test_other_sources_run_in_it_too() -> None:
    with SourceHarness(NumberSequenceSource(1, 1000), parallelism=3, mode=RunMode(parallelisms=(2, 3))) as harness:
        assert sorted(harness.read_all()) == list(range(1, 1001))


@pytest.mark.parametrize(
    "make",
    [
        lambda: SequenceSource(0, 1),
        lambda: SequenceSource([], 1),
        lambda: SequenceSource(1, 0),
        lambda: SequenceSource(1, 1, splits=0),
        lambda: SequenceSource(4, 10, splits=2).fail_at(20, "d"),
        lambda: SequenceSource(4, 10).fail_at(1, "d", times=0),
    ],
)
def test_what_cannot_be_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=r"SequenceSource needs|fail_at cannot"):
        make()
