"""Tumbling and sliding windows over event or processing time.

All four are one grid: windows of ``size_ms`` that start every ``slide_ms`` at ``offset_ms`` (tumbling: slide = size).
The window operator recognises the grid and assigns whole batches at once; ``assign_windows`` does one record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millstream.core.api.windowing.assigner import T, WindowAssigner
from millstream.core.api.windowing.duration import duration_ms
from millstream.core.api.windowing.time_triggers import EventTimeTrigger, ProcessingTimeTrigger
from millstream.core.api.windowing.window import TimeWindow
from millstream.core.elements.batch import NO_TIMESTAMP_MS
from millstream.core.errors import ConfigError, RecordTypeError

if TYPE_CHECKING:
    from millstream.core.api.windowing.duration import DurationLike
    from millstream.core.api.windowing.trigger import Trigger


class TimeGridAssigner(WindowAssigner[T, TimeWindow]):
    """Base of the tumbling and sliding assigners. All times in milliseconds; ``|offset_ms| < slide_ms``."""

    def __init__(self, size_ms: int, slide_ms: int, offset_ms: int) -> None:
        if abs(offset_ms) >= slide_ms:
            step = "size" if size_ms == slide_ms else "slide"
            raise ConfigError(
                f"{type(self).__name__}: the offset ({offset_ms} ms) must be smaller than the {step} ({slide_ms} ms)."
            )
        self.size_ms = size_ms
        self.slide_ms = slide_ms
        self.offset_ms = offset_ms

    def windows_at(self, time_ms: int) -> list[TimeWindow]:
        """The windows that contain ``time_ms``, the latest first."""
        size_ms, slide_ms = self.size_ms, self.slide_ms
        start = time_ms - (time_ms - self.offset_ms) % slide_ms
        windows = []
        while start > time_ms - size_ms:
            windows.append(TimeWindow(start, start + size_ms))
            start -= slide_ms
        return windows

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), self.size_ms, self.slide_ms, self.offset_ms))

    def __repr__(self) -> str:
        slide = "" if self.slide_ms == self.size_ms else f", slide={self.slide_ms} ms"
        offset = f", offset={self.offset_ms} ms" if self.offset_ms else ""
        return f"{type(self).__name__}(size={self.size_ms} ms{slide}{offset})"


class EventTimeGridAssigner(TimeGridAssigner[T]):
    """A grid over event time."""

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        if timestamp == NO_TIMESTAMP_MS:
            raise missing_event_time(element)
        return self.windows_at(timestamp)

    def get_default_trigger(self, env: Any = None) -> Trigger[T, TimeWindow]:
        return EventTimeTrigger()

    def is_event_time(self) -> bool:
        return True


class ProcessingTimeGridAssigner(TimeGridAssigner[T]):
    """A grid over processing time."""

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        return self.windows_at(context.get_current_processing_time())

    def get_default_trigger(self, env: Any = None) -> Trigger[T, TimeWindow]:
        return ProcessingTimeTrigger()

    def is_event_time(self) -> bool:
        return False


class TumblingEventTimeWindows(EventTimeGridAssigner[T]):
    """Windows of equal size by event time, side by side: ``TumblingEventTimeWindows.of("1h")``.

    ``offset`` moves the starts, for example to local midnights: a day at UTC+8 is ``of("1d", "-8h")``.
    """

    def __init__(self, size: DurationLike, offset: DurationLike = 0) -> None:
        size_ms = duration_ms(size, "the window size")
        super().__init__(size_ms, size_ms, duration_ms(offset, "the window offset", None))

    @staticmethod
    def of(size: DurationLike, offset: DurationLike | None = None) -> TumblingEventTimeWindows[Any]:
        return TumblingEventTimeWindows(size, 0 if offset is None else offset)


class TumblingProcessingTimeWindows(ProcessingTimeGridAssigner[T]):
    """Windows of equal size by the clock of the machine, side by side."""

    def __init__(self, size: DurationLike, offset: DurationLike = 0) -> None:
        size_ms = duration_ms(size, "the window size")
        super().__init__(size_ms, size_ms, duration_ms(offset, "the window offset", None))

    @staticmethod
    def of(size: DurationLike, offset: DurationLike | None = None) -> TumblingProcessingTimeWindows[Any]:
        return TumblingProcessingTimeWindows(size, 0 if offset is None else offset)


class SlidingEventTimeWindows(EventTimeGridAssigner[T]):
    """Windows of ``size`` that start every ``slide``, by event time; a record is in ``size / slide`` of them."""

    def __init__(self, size: DurationLike, slide: DurationLike, offset: DurationLike = 0) -> None:
        super().__init__(
            duration_ms(size, "the window size"),
            duration_ms(slide, "the window slide"),
            duration_ms(offset, "the window offset", None),
        )

    @staticmethod
    def of(size: DurationLike, slide: DurationLike, offset: DurationLike | None = None) -> SlidingEventTimeWindows[Any]:
        return SlidingEventTimeWindows(size, slide, 0 if offset is None else offset)


class SlidingProcessingTimeWindows(ProcessingTimeGridAssigner[T]):
    """Windows of ``size`` that start every ``slide``, by the clock of the machine."""

    def __init__(self, size: DurationLike, slide: DurationLike, offset: DurationLike = 0) -> None:
        super().__init__(
            duration_ms(size, "the window size"),
            duration_ms(slide, "the window slide"),
            duration_ms(offset, "the window offset", None),
        )

    @staticmethod
    def of(
        size: DurationLike, slide: DurationLike, offset: DurationLike | None = None
    ) -> SlidingProcessingTimeWindows[Any]:
        return SlidingProcessingTimeWindows(size, slide, 0 if offset is None else offset)


def missing_event_time(record: object) -> RecordTypeError:
    """The error for a record without event time in an event-time window."""
    return RecordTypeError(
        f"an event-time window got a record without event time: {record!r:.200}. Call "
        "assign_timestamps_and_watermarks(...) before the window, or use processing-time windows."
    )
