"""Restart strategies: failures at given times, delays out."""

from __future__ import annotations

import json
import random

import pytest

from millstream.core.errors import (
    CheckpointError,
    ConfigError,
    DamagedStateError,
    ErrorPlace,
    ExternalError,
    IncompatibleStateError,
    JobGraphError,
    MalformedRecordError,
    MillstreamError,
    SlotDiedError,
    UnsavableStateError,
    UserCodeError,
)
from millstream.jobmanager.restart import (
    SAME_FAILURES_MAX,
    CrashLoop,
    ExponentialDelay,
    FailureRate,
    FixedDelay,
    NoRestart,
    restart_strategy,
    why_never,
)


def of(checkpoints: bool = False, **settings: object) -> object:
    named = {
        f"restart-strategy.{key.replace('__', '.').replace('_', '-')}": json.dumps(v) for key, v in settings.items()
    }
    return restart_strategy(named, checkpoints, random.Random(1))


def test_fixed_delay_counts() -> None:
    strategy = FixedDelay(2, 0.5)
    assert [strategy.delay_s(now) for now in (0, 1, 2)] == [0.5, 0.5, None]
    assert "attempts are used up" in strategy.describe() or "used up" in strategy.describe()


def test_failure_rate_forgets_old_failures() -> None:
    strategy = FailureRate(2, 10, 1.0)
    assert [strategy.delay_s(now) for now in (0, 1, 11.5, 12)] == [1.0, 1.0, 1.0, 1.0]
    assert strategy.delay_s(12.5) is None


def test_exponential_delay_grows_to_its_bound_and_starts_anew() -> None:
    strategy = ExponentialDelay(1, 4, 2, 100, 0.0, 10, random.Random(1))
    assert [strategy.delay_s(now) for now in (0, 10, 20, 30)] == [1, 2, 4, 4]
    assert strategy.delay_s(500) == 1


def test_exponential_delay_is_jittered_within_bounds() -> None:
    delays = [ExponentialDelay(1, 4, 2, 100, 0.1, 10, random.Random(seed)).delay_s(0) for seed in range(50)]
    assert all(delay is not None and 0.9 <= delay <= 1.1 for delay in delays) and len(set(delays)) > 10


def test_exponential_delay_gives_up_after_its_attempts() -> None:
    strategy = ExponentialDelay(1, 4, 2, 100, 0.0, 2, random.Random(1))
    assert [strategy.delay_s(now) for now in (0, 1, 2)] == [1, 2, None]


def test_settings_choose_the_strategy() -> None:
    assert isinstance(of(), NoRestart)
    unset = of(checkpoints=True)
    assert isinstance(unset, ExponentialDelay)
    assert 0.09 <= (unset.delay_s(0) or 0) <= 0.11, "as the list of settings says"
    assert isinstance(of(checkpoints=True, type="none"), NoRestart)
    fixed = of(type="fixed-delay", fixed_delay__attempts=3, fixed_delay__delay=250)
    assert isinstance(fixed, FixedDelay)
    assert [fixed.delay_s(0) for _ in range(4)] == [0.25, 0.25, 0.25, None]
    assert isinstance(of(type="failure-rate"), FailureRate)
    with pytest.raises(ConfigError, match="exponential-delay"):
        of(type="sometimes")


def failure(record: str, line: int = 3) -> UserCodeError:
    return UserCodeError("no", place=ErrorPlace("map", "f", "job.py", line, record))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MalformedRecordError("line 3 of a.csv"), "the same would happen again"),
        (JobGraphError("no such state"), "the same would happen again"),
        (UnsavableStateError("a lock"), "the same would happen again"),
        (IncompatibleStateError("int, then str"), "its state cannot be restored"),
        (DamagedStateError("torn"), "its state cannot be restored"),
        (UserCodeError("a lookup timed out"), None),
        (CheckpointError("the disk was full"), None),
        (SlotDiedError("killed"), None),
        (MillstreamError("a race of our own"), None),
    ],
)
def test_what_would_happen_again_is_not_tried_again(error: MillstreamError, told: str | None) -> None:
    assert why_never(error) == told


def test_the_same_record_at_the_same_line_is_a_crash_loop() -> None:
    loop = CrashLoop()
    assert [loop.repeats(failure("7")) for _ in range(SAME_FAILURES_MAX)] == [False] * (SAME_FAILURES_MAX - 1) + [True]


def test_other_failures_in_between_start_the_count_anew() -> None:
    loop = CrashLoop()
    for _ in range(10):
        assert not loop.repeats(failure("7"))
        assert not loop.repeats(failure("7"))
        assert not loop.repeats(failure("8", line=4))
        assert not loop.repeats(ExternalError("the connection was lost"))


def test_several_bad_records_that_take_turns_are_a_crash_loop() -> None:
    loop = CrashLoop()
    told = [loop.repeats(failure(str(number % 5))) for number in range(16)]
    assert told == [False] * 15 + [True]
