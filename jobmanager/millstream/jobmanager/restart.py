"""Whether and when a failed job starts again. Pure: failures and times in, delays out."""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from millstream.core.errors import (
    Blame,
    ConfigError,
    DamagedStateError,
    ErrorPlace,
    IncompatibleStateError,
    MillstreamError,
    Retry,
    UserCodeError,
)

SAME_FAILURES_MAX: Final = 4
"""A user's function that fails this often at the same line with the same record will fail for ever."""
FAILURES_LOOKED_AT: Final = 16
"""Among so many failures of the job: several bad records take turns."""


class RestartStrategy(ABC):
    """Asked once a failure. Times are seconds of one monotonic clock."""

    @abstractmethod
    def delay_s(self, now_s: float) -> float | None:
        """Seconds to wait before the next attempt; None to give up."""

    @abstractmethod
    def describe(self) -> str:
        """Why it gives up, for the error message."""


class NoRestart(RestartStrategy):
    def delay_s(self, now_s: float) -> float | None:
        return None

    def describe(self) -> str:
        return ""


class FixedDelay(RestartStrategy):
    """``attempts`` times, each after ``delay``."""

    def __init__(self, attempts: int, delay_s: float) -> None:
        self._attempts = attempts
        self._delay_s = delay_s
        self._used = 0

    def delay_s(self, now_s: float) -> float | None:
        self._used += 1
        return self._delay_s if self._used <= self._attempts else None

    def describe(self) -> str:
        return f"all {self._attempts} restarts of restart-strategy.fixed-delay.attempts are used up"


class FailureRate(RestartStrategy):
    """Unless it fails more than ``failures`` times within ``interval``."""

    def __init__(self, failures: int, interval_s: float, delay_s: float) -> None:
        self._failures = failures
        self._interval_s = interval_s
        self._delay_s = delay_s
        self._times: deque[float] = deque()

    def delay_s(self, now_s: float) -> float | None:
        self._times.append(now_s)
        while now_s - self._times[0] > self._interval_s:
            self._times.popleft()
        return self._delay_s if len(self._times) <= self._failures else None

    def describe(self) -> str:
        return f"more than {self._failures} failures within {self._interval_s:g} s (restart-strategy.failure-rate)"


class ExponentialDelay(RestartStrategy):
    """Longer and longer, up to a bound; from the start again after a long time without failure."""

    def __init__(
        self,
        initial_s: float,
        max_s: float,
        multiplier: float,
        reset_s: float,
        jitter: float,
        attempts: int,
        generator: random.Random,
    ) -> None:
        self._initial_s = initial_s
        self._max_s = max_s
        self._multiplier = multiplier
        self._reset_s = reset_s
        self._jitter = jitter
        self._attempts = attempts
        self._random = generator
        self._next_s = initial_s
        self._used = 0
        self._last_s: float | None = None

    def delay_s(self, now_s: float) -> float | None:
        if self._last_s is not None and now_s - self._last_s > self._reset_s:
            self._next_s, self._used = self._initial_s, 0
        self._used += 1
        if self._used > self._attempts:
            return None
        delay_s = min(self._max_s, self._next_s)
        self._next_s = min(self._max_s, self._next_s * self._multiplier)
        delay_s *= 1 + self._random.uniform(-self._jitter, self._jitter)
        self._last_s = now_s + delay_s
        return delay_s

    def describe(self) -> str:
        return f"it failed {self._attempts} times in a row (restart-strategy.exponential-delay)"


def why_never(error: MillstreamError) -> str | None:
    """Why no strategy is asked after this error; None when one is. An error of Millstream itself may be a race."""
    if error.retry is Retry.BACKOFF or error.blame is Blame.INTERNAL:
        return None
    if isinstance(error, DamagedStateError | IncompatibleStateError):
        return "its state cannot be restored"
    return "the same would happen again"


class CrashLoop:
    """Notices a poison record: the same user's line failing with the same record, attempt after attempt.

    Other records may fail in between, of other subtasks; any other failure starts the count anew.
    """

    def __init__(self) -> None:
        self._spots: deque[tuple[Any, ...]] = deque(maxlen=FAILURES_LOOKED_AT)

    def repeats(self, error: MillstreamError) -> bool:
        """True when ``error`` came too often."""
        if not isinstance(error, UserCodeError) or not error.place.record:
            self._spots.clear()
            return False
        spot = _spot(error.place)
        self._spots.append(spot)
        return self._spots.count(spot) >= SAME_FAILURES_MAX


def _spot(place: ErrorPlace) -> tuple[Any, ...]:
    return place.operator, place.file, place.line, place.record


def restart_strategy(configuration: Mapping[str, str], checkpoints: bool, generator: random.Random) -> RestartStrategy:
    """The strategy of a job's settings (values are JSON). Without one: exponential delay if it takes checkpoints."""

    def read(key: str, default: Any) -> Any:
        value = json.loads(configuration.get(f"restart-strategy.{key}", "null"))
        return default if value is None else value

    kind = read("type", "exponential-delay" if checkpoints else "none")
    match str(kind).lower().replace("_", "-"):
        case "none" | "off" | "disable":
            return NoRestart()
        case "fixed-delay" | "fixeddelay":
            return FixedDelay(int(read("fixed-delay.attempts", 1)), read("fixed-delay.delay", 1000) / 1000)
        case "failure-rate" | "failurerate":
            return FailureRate(
                int(read("failure-rate.max-failures-per-interval", 1)),
                read("failure-rate.failure-rate-interval", 60_000) / 1000,
                read("failure-rate.delay", 1000) / 1000,
            )
        case "exponential-delay" | "exponentialdelay":
            return ExponentialDelay(
                read("exponential-delay.initial-backoff", 100) / 1000,
                read("exponential-delay.max-backoff", 60_000) / 1000,
                float(read("exponential-delay.backoff-multiplier", 1.5)),
                read("exponential-delay.reset-backoff-threshold", 3_600_000) / 1000,
                float(read("exponential-delay.jitter-factor", 0.1)),
                int(read("exponential-delay.attempts-before-reset-backoff", 2**31 - 1)),
                generator,
            )
    raise ConfigError(
        f"restart-strategy.type is {kind!r}; it can be none, fixed-delay, failure-rate or exponential-delay."
    )
