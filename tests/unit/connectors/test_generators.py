"""Collections, number sequences, generators with a rate."""

import itertools

import pytest
from harness import SourceRun

from millstream.connectors.collection import CollectionSource
from millstream.connectors.rate_limit import RateLimit
from millstream.connectors.sequence import DataGeneratorSource, NumberSequenceSource
from millstream.core.clock import ManualClock


@pytest.mark.parametrize("restore_every", [0, 1, 2])
def test_collection_keeps_its_order(restore_every: int) -> None:
    values = [{"i": i} for i in range(2500)]
    assert SourceRun(CollectionSource(values), restore_every=restore_every).all == values
    assert SourceRun(CollectionSource([])).all == []


@pytest.mark.parametrize("parallelism", [1, 3, 8])
@pytest.mark.parametrize("restore_every", [0, 1])
def test_sequence_covers_both_ends(parallelism: int, restore_every: int) -> None:
    run = SourceRun(NumberSequenceSource(-3, 9), parallelism, rows_max=2, restore_every=restore_every)
    assert sorted(run.all) == list(range(-3, 10))


def test_generator_applies_the_function() -> None:
    assert SourceRun(DataGeneratorSource(str, 5)).all == ["0", "1", "2", "3", "4"]


def test_rate_is_kept_over_all_subtasks() -> None:
    run = SourceRun(DataGeneratorSource(None, 3000, rows_per_second=1000), parallelism=2, rows_max=500)
    assert sorted(run.all) == list(range(3000))


def test_rate_limit_is_a_steady_schedule() -> None:
    clock = ManualClock()
    limit = RateLimit(100, clock)
    emitted = list(itertools.accumulate(limit.allowed(1000) for _ in range(300) if clock.advance(10) is None))
    assert all(abs(total - i) <= 1 for i, total in enumerate(emitted))


def test_rate_limit_catches_up_but_not_without_bound() -> None:
    clock = ManualClock()
    limit = RateLimit(100, clock)
    assert limit.allowed(10) == 0
    clock.advance(60_000)
    assert limit.allowed(1_000_000) == 100


@pytest.mark.parametrize("bad", [{"count": -1}, {"count": 1, "rows_per_second": 0}])
def test_bad_arguments_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        DataGeneratorSource(None, **bad)
