"""Watermark strategies: where event times come from and how far behind them the watermark runs.

A strategy is immutable and travels inside a job graph. It is turned into a running ``BatchStamper``
(``millstream.core.event_time.stamping``) once a split of a source, or once a subtask for
``assign_timestamps_and_watermarks``. Generators see whole batches, so that the built-in ones cost one ``max`` a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from millstream.core.api.windowing.duration import duration_ms
from millstream.core.elements.batch import NO_TIMESTAMP_MS, Batch, ObjectBatch, Timestamps
from millstream.core.elements.control import MIN_WATERMARK_MS
from millstream.core.errors import ConfigError

if TYPE_CHECKING:
    from millstream.core.api.windowing.duration import DurationLike


class TimestampAssigner(ABC):
    """Extracts the event time of a record."""

    @abstractmethod
    def extract_timestamp(self, value: Any, record_timestamp: int) -> int:
        """Milliseconds since 1970-01-01 UTC. ``record_timestamp`` is what the source gave, or ``NO_TIMESTAMP_MS``."""


AssignerCallable = Callable[..., Any]
"""``f(value)`` or ``f(value, record_timestamp)``; returns milliseconds or a ``datetime`` (naive ones are UTC)."""


@dataclass(frozen=True)
class TimestampField:
    """Takes the event time from one field of the record: tuple position, dict key, attribute or Arrow column.

    The field holds integer milliseconds or a ``datetime``/Arrow timestamp. Arrow batches are read without a loop.
    """

    field: int | str


class WatermarkGenerator(ABC):
    """Follows the event times of one split. Override ``on_event``, or ``on_batch`` for speed.

    A generator holds state, so a strategy creates one for each split: pass the class or a function that makes one.
    """

    reads_columns: ClassVar[bool] = False
    """It finds event time in the columns of Arrow batches itself, through ``on_columns``."""

    def on_columns(self, batch: Batch) -> None:
        """Called once a batch instead of the other two, when ``reads_columns``."""

    def on_event(self, value: Any, timestamp_ms: int) -> None:
        """Called for every record that has an event time."""

    def on_batch(self, batch: Batch, timestamps: Timestamps) -> None:
        """Called once a batch; ``timestamps`` has one entry a row, ``NO_TIMESTAMP_MS`` where a row has none."""
        values: list[Any] = batch.values if isinstance(batch, ObjectBatch) else batch.records.to_pylist()
        for value, timestamp in zip(values, timestamps.tolist(), strict=True):
            if timestamp != NO_TIMESTAMP_MS:
                self.on_event(value, timestamp)

    @abstractmethod
    def current_watermark_ms(self) -> int:
        """The watermark so far; ``MIN_WATERMARK_MS`` while unknown. A value below an earlier one is ignored."""


class BoundedOutOfOrderness(WatermarkGenerator):
    """The largest event time, less ``delay_ms``, less one: a record with the largest time may still follow."""

    def __init__(self, delay_ms: int) -> None:
        self._delay_ms = delay_ms
        self._largest_ms = NO_TIMESTAMP_MS

    def on_batch(self, batch: Batch, timestamps: Timestamps) -> None:
        if len(timestamps):
            self._largest_ms = max(self._largest_ms, int(timestamps.max()))

    def current_watermark_ms(self) -> int:
        if self._largest_ms == NO_TIMESTAMP_MS:
            return MIN_WATERMARK_MS
        return max(MIN_WATERMARK_MS, self._largest_ms - self._delay_ms - 1)


class NoWatermarks(WatermarkGenerator):
    """Never a watermark; event-time windows fire at the end of a bounded input only."""

    def on_batch(self, batch: Batch, timestamps: Timestamps) -> None:
        return

    def current_watermark_ms(self) -> int:
        return MIN_WATERMARK_MS


@dataclass(frozen=True)
class WatermarkStrategy:
    """How to stamp records and derive watermarks. Build with the static methods, refine with the ``with_`` methods::

    WatermarkStrategy.for_bounded_out_of_orderness("5s").with_timestamp_assigner(lambda bid: bid["time_ms"])
    """

    new_generator: Callable[[], WatermarkGenerator]
    assigner: TimestampAssigner | AssignerCallable | TimestampField | None = None
    idle_timeout_ms: int | None = None
    """After this long without a record a split no longer holds back the watermark."""
    delay_ms: int | None = None
    """Out-of-orderness of the built-in generators, for plans; None for others."""

    @staticmethod
    def for_monotonous_timestamps() -> WatermarkStrategy:
        """Event times never decrease within a split."""
        return WatermarkStrategy.for_bounded_out_of_orderness(0)

    @staticmethod
    def for_bounded_out_of_orderness(max_out_of_orderness: DurationLike) -> WatermarkStrategy:
        """Event times are at most this far behind the largest one seen before in the same split."""
        delay_ms = duration_ms(max_out_of_orderness, "max_out_of_orderness", 0)
        return WatermarkStrategy(_Bounded(delay_ms), delay_ms=delay_ms)

    @staticmethod
    def no_watermarks() -> WatermarkStrategy:
        return WatermarkStrategy(NoWatermarks)

    @staticmethod
    def for_generator(new_generator: Callable[[], WatermarkGenerator]) -> WatermarkStrategy:
        """``new_generator`` (a ``WatermarkGenerator`` class or a function) is called once a split."""
        if not callable(new_generator):
            raise ConfigError(
                f"WatermarkStrategy.for_generator got {new_generator!r}. Pass the generator's class or a function "
                "that returns a new one: each split needs its own."
            )
        return WatermarkStrategy(new_generator)

    def with_timestamp_assigner(
        self, timestamp_assigner: TimestampAssigner | AssignerCallable | TimestampField | str
    ) -> WatermarkStrategy:
        """A ``TimestampAssigner``, a function of the value (and optionally of the source's time), or a field name."""
        if isinstance(timestamp_assigner, str):
            timestamp_assigner = TimestampField(timestamp_assigner)
        if not isinstance(timestamp_assigner, TimestampAssigner | TimestampField) and not callable(timestamp_assigner):
            raise ConfigError(
                f"with_timestamp_assigner got {timestamp_assigner!r}. Pass a TimestampAssigner, a function of the "
                "record that returns milliseconds, or the name of a field."
            )
        return replace(self, assigner=timestamp_assigner)

    def with_idleness(self, idle_timeout: DurationLike) -> WatermarkStrategy:
        """Let a split stop holding back the watermark after ``idle_timeout`` without records."""
        return replace(self, idle_timeout_ms=duration_ms(idle_timeout, "idle_timeout", 1))

    def with_watermark_alignment(
        self, watermark_group: str, max_allowed_watermark_drift: DurationLike, update_interval: DurationLike = 1000
    ) -> WatermarkStrategy:
        """Not available: sources of this version do not wait for each other. Raises ``ConfigError``."""
        raise ConfigError(
            f"with_watermark_alignment({watermark_group!r}, ...) asks sources to wait for each other, which this "
            "version cannot do. Remove the call; results stay the same, state may grow while one source runs ahead."
        )


class _Bounded:
    """Makes ``BoundedOutOfOrderness`` generators; a class, not a lambda, so that strategies compare and pickle."""

    def __init__(self, delay_ms: int) -> None:
        self.delay_ms = delay_ms

    def __call__(self) -> WatermarkGenerator:
        return BoundedOutOfOrderness(self.delay_ms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bounded) and other.delay_ms == self.delay_ms

    def __hash__(self) -> int:
        return hash((_Bounded, self.delay_ms))

    def __repr__(self) -> str:
        return f"BoundedOutOfOrderness({self.delay_ms} ms)"
