"""Evictors: take records out of a window before or after its function runs.

A window with an evictor keeps all its records, also where a reduce or aggregate function is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from millstream.core.api.windowing.duration import duration_ms
from millstream.core.api.windowing.window import Window
from millstream.core.elements.batch import NO_TIMESTAMP_MS
from millstream.core.errors import ConfigError

if TYPE_CHECKING:
    from millstream.core.api.windowing.duration import DurationLike

W = TypeVar("W", bound=Window)


class TimestampedValue(NamedTuple):
    """A record of a window and its event time in milliseconds (``NO_TIMESTAMP_MS`` without one)."""

    value: Any
    timestamp: int

    def has_timestamp(self) -> bool:
        return self.timestamp != NO_TIMESTAMP_MS


class Evictor(ABC, Generic[W]):
    """Removes records from ``elements`` (a list in order of arrival) in place; what stays is kept in the window."""

    class EvictorContext(ABC):
        """What an evictor may ask. Times are milliseconds since 1970."""

        @abstractmethod
        def get_current_processing_time(self) -> int: ...

        @abstractmethod
        def get_current_watermark(self) -> int: ...

        @abstractmethod
        def get_metric_group(self) -> Any: ...

    @abstractmethod
    def evict_before(self, elements: list[TimestampedValue], size: int, window: W, ctx: Evictor.EvictorContext) -> None:
        """Called before the window function; ``size`` is ``len(elements)``."""

    @abstractmethod
    def evict_after(self, elements: list[TimestampedValue], size: int, window: W, ctx: Evictor.EvictorContext) -> None:
        """Called after the window function."""


class _OneSidedEvictor(Evictor[W]):
    """Evicts either before or after the window function."""

    def __init__(self, do_evict_after: bool) -> None:
        self.do_evict_after = do_evict_after

    def evict_before(self, elements: list[TimestampedValue], size: int, window: W, ctx: Evictor.EvictorContext) -> None:
        if not self.do_evict_after and elements:
            self._evict(elements)

    def evict_after(self, elements: list[TimestampedValue], size: int, window: W, ctx: Evictor.EvictorContext) -> None:
        if self.do_evict_after and elements:
            self._evict(elements)

    @abstractmethod
    def _evict(self, elements: list[TimestampedValue]) -> None: ...


class CountEvictor(_OneSidedEvictor[W]):
    """Keeps the last ``max_count`` records."""

    def __init__(self, max_count: int, do_evict_after: bool = False) -> None:
        super().__init__(do_evict_after)
        if max_count < 0:
            raise ConfigError(f"CountEvictor({max_count}): the count must not be negative.")
        self.max_count = max_count

    @staticmethod
    def of(max_count: int, do_evict_after: bool = False) -> CountEvictor[Any]:
        return CountEvictor(max_count, do_evict_after)

    def _evict(self, elements: list[TimestampedValue]) -> None:
        del elements[: max(0, len(elements) - self.max_count)]


class TimeEvictor(_OneSidedEvictor[W]):
    """Keeps the records younger than ``window_size`` counted back from the largest event time in the window."""

    def __init__(self, window_size: DurationLike, do_evict_after: bool = False) -> None:
        super().__init__(do_evict_after)
        self.window_size_ms = duration_ms(window_size, "the time to keep")

    @staticmethod
    def of(window_size: DurationLike, do_evict_after: bool = False) -> TimeEvictor[Any]:
        return TimeEvictor(window_size, do_evict_after)

    def _evict(self, elements: list[TimestampedValue]) -> None:
        if elements[0].has_timestamp():
            cutoff_ms = max(element.timestamp for element in elements) - self.window_size_ms
            elements[:] = [element for element in elements if element.timestamp > cutoff_ms]


class DeltaEvictor(_OneSidedEvictor[W]):
    """Keeps the records whose ``delta(record, last record)`` is below ``threshold``."""

    def __init__(
        self, threshold: float, delta_function: Callable[[Any, Any], float], do_evict_after: bool = False
    ) -> None:
        super().__init__(do_evict_after)
        self.threshold = threshold
        self.delta_function = delta_function

    @staticmethod
    def of(
        threshold: float, delta_function: Callable[[Any, Any], float], do_evict_after: bool = False
    ) -> DeltaEvictor[Any]:
        return DeltaEvictor(threshold, delta_function, do_evict_after)

    def _evict(self, elements: list[TimestampedValue]) -> None:
        last, delta = elements[-1].value, self.delta_function
        elements[:] = [element for element in elements if delta(element.value, last) < self.threshold]
