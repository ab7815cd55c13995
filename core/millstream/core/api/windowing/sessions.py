"""Session windows: records of a key that follow each other within a gap form one window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic

from millstream.core.api.windowing.assigner import MergingWindowAssigner, T, WindowAssigner
from millstream.core.api.windowing.duration import duration_ms
from millstream.core.api.windowing.time_assigners import missing_event_time
from millstream.core.api.windowing.time_triggers import EventTimeTrigger, ProcessingTimeTrigger
from millstream.core.api.windowing.window import TimeWindow
from millstream.core.elements.batch import NO_TIMESTAMP_MS

if TYPE_CHECKING:
    from millstream.core.api.windowing.duration import DurationLike
    from millstream.core.api.windowing.trigger import Trigger


class SessionWindowTimeGapExtractor(ABC, Generic[T]):
    """Computes the session gap from a record."""

    @abstractmethod
    def extract(self, element: T) -> int:
        """Milliseconds (or any duration: ``timedelta``, ``"10s"``), above 0."""


GapLike = SessionWindowTimeGapExtractor[Any] | Callable[[Any], Any]


class SessionAssigner(MergingWindowAssigner[T, TimeWindow]):
    """Base of the session assigners: the window of a record reaches from its time to its time plus the gap."""

    def __init__(self, gap_ms: int | None, extractor: GapLike | None) -> None:
        self.gap_ms = gap_ms
        self.extractor = extractor
        self._extract: Callable[[Any], Any] | None = (
            extractor.extract if isinstance(extractor, SessionWindowTimeGapExtractor) else extractor
        )

    def merge_windows(
        self, windows: Iterable[TimeWindow], callback: MergingWindowAssigner.MergeCallback[TimeWindow]
    ) -> None:
        for cover, members in TimeWindow.merge_groups(windows):
            if len(members) > 1:
                callback.merge(members, cover)

    def _session(self, element: T, time_ms: int) -> list[TimeWindow]:
        if self._extract is None:
            return [TimeWindow(time_ms, time_ms + (self.gap_ms or 0))]
        return [TimeWindow(time_ms, time_ms + duration_ms(self._extract(element), "the session gap of a record"))]

    def __repr__(self) -> str:
        gap = f"gap={self.gap_ms} ms" if self.extractor is None else "dynamic gap"
        return f"{type(self).__name__}({gap})"


class EventTimeSessionAssigner(SessionAssigner[T]):
    """Sessions by event time."""

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        if timestamp == NO_TIMESTAMP_MS:
            raise missing_event_time(element)
        return self._session(element, timestamp)

    def get_default_trigger(self, env: Any = None) -> Trigger[T, TimeWindow]:
        return EventTimeTrigger()

    def is_event_time(self) -> bool:
        return True


class ProcessingTimeSessionAssigner(SessionAssigner[T]):
    """Sessions by processing time."""

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        return self._session(element, context.get_current_processing_time())

    def get_default_trigger(self, env: Any = None) -> Trigger[T, TimeWindow]:
        return ProcessingTimeTrigger()

    def is_event_time(self) -> bool:
        return False


class EventTimeSessionWindows(EventTimeSessionAssigner[T]):
    """Sessions by event time with one gap: ``EventTimeSessionWindows.with_gap("30min")``."""

    def __init__(self, session_gap: DurationLike) -> None:
        super().__init__(duration_ms(session_gap, "the session gap"), None)

    @staticmethod
    def with_gap(size: DurationLike) -> EventTimeSessionWindows[Any]:
        return EventTimeSessionWindows(size)

    @staticmethod
    def with_dynamic_gap(extractor: GapLike) -> DynamicEventTimeSessionWindows[Any]:
        """A gap for each record, from a ``SessionWindowTimeGapExtractor`` or a function of the record."""
        return DynamicEventTimeSessionWindows(extractor)


class DynamicEventTimeSessionWindows(EventTimeSessionAssigner[T]):
    """Sessions by event time whose gap depends on the record."""

    def __init__(self, extractor: GapLike) -> None:
        super().__init__(None, extractor)

    @staticmethod
    def with_dynamic_gap(extractor: GapLike) -> DynamicEventTimeSessionWindows[Any]:
        return DynamicEventTimeSessionWindows(extractor)


class ProcessingTimeSessionWindows(ProcessingTimeSessionAssigner[T]):
    """Sessions by processing time with one gap."""

    def __init__(self, session_gap: DurationLike) -> None:
        super().__init__(duration_ms(session_gap, "the session gap"), None)

    @staticmethod
    def with_gap(size: DurationLike) -> ProcessingTimeSessionWindows[Any]:
        return ProcessingTimeSessionWindows(size)

    @staticmethod
    def with_dynamic_gap(extractor: GapLike) -> DynamicProcessingTimeSessionWindows[Any]:
        """A gap for each record, from a ``SessionWindowTimeGapExtractor`` or a function of the record."""
        return DynamicProcessingTimeSessionWindows(extractor)


class DynamicProcessingTimeSessionWindows(ProcessingTimeSessionAssigner[T]):
    """Sessions by processing time whose gap depends on the record."""

    def __init__(self, extractor: GapLike) -> None:
        super().__init__(None, extractor)

    @staticmethod
    def with_dynamic_gap(extractor: GapLike) -> DynamicProcessingTimeSessionWindows[Any]:
        return DynamicProcessingTimeSessionWindows(extractor)
