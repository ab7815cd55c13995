"""Global and count windows: windows that do not end by time."""

from __future__ import annotations

from typing import Any

from millstream.core.api.windowing.assigner import T, WindowAssigner
from millstream.core.api.windowing.time_triggers import EventTimeTrigger
from millstream.core.api.windowing.trigger import Trigger
from millstream.core.api.windowing.triggers import CountTrigger, NeverTrigger, PurgingTrigger
from millstream.core.api.windowing.window import CountWindow, GlobalWindow
from millstream.core.errors import ConfigError


class GlobalWindows(WindowAssigner[T, GlobalWindow]):
    """One window a key, which never fires by itself: give a trigger, or create it to fire at the end of the stream."""

    def __init__(self, fires_at_end: bool = False) -> None:
        self.fires_at_end = fires_at_end

    @staticmethod
    def create() -> GlobalWindows[Any]:
        return GlobalWindows()

    @staticmethod
    def create_with_end_of_stream_trigger() -> GlobalWindows[Any]:
        """Fires once, when a bounded input has ended."""
        return GlobalWindows(fires_at_end=True)

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[GlobalWindow]:
        return [GlobalWindow.get()]

    def get_default_trigger(self, env: Any = None) -> Trigger[T, GlobalWindow]:
        return EventTimeTrigger() if self.fires_at_end else NeverTrigger()

    def is_event_time(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "GlobalWindows()"


class _CountAssigner(WindowAssigner[T, CountWindow]):
    """Numbers the records of a key from 0; window ``i`` holds records ``i * slide`` to ``i * slide + size - 1``."""

    def __init__(self, window_size: int, window_slide: int) -> None:
        if window_size < 1 or window_slide < 1:
            raise ConfigError(f"count_window({window_size}, {window_slide}): size and slide must be at least 1.")
        self.window_size = window_size
        self.window_slide = window_slide

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[CountWindow]:
        from millstream.core.api.state import ValueStateDescriptor
        from millstream.core.api.types import Types

        counter = context.get_runtime_context().get_state(ValueStateDescriptor("window-count", Types.LONG()))
        number = counter.value() or 0
        counter.update(number + 1)
        last = number // self.window_slide
        first = max(0, -((self.window_size - 1 - number) // self.window_slide))
        return [CountWindow(i) for i in range(last, first - 1, -1)]

    def get_default_trigger(self, env: Any = None) -> Trigger[T, CountWindow]:
        return PurgingTrigger.of(CountTrigger.of(self.window_size))

    def is_event_time(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.window_size}, slide={self.window_slide})"


class CountTumblingWindowAssigner(_CountAssigner[T]):
    """Every ``window_size`` records of a key form a window; an incomplete last one does not fire."""

    def __init__(self, window_size: int) -> None:
        super().__init__(window_size, window_size)

    @staticmethod
    def of(window_size: int) -> CountTumblingWindowAssigner[Any]:
        return CountTumblingWindowAssigner(window_size)


class CountSlidingWindowAssigner(_CountAssigner[T]):
    """Windows of ``window_size`` records of a key, a new one every ``window_slide`` records."""

    def __init__(self, window_size: int, window_slide: int) -> None:
        super().__init__(window_size, window_slide)

    @staticmethod
    def of(window_size: int, window_slide: int) -> CountSlidingWindowAssigner[Any]:
        return CountSlidingWindowAssigner(window_size, window_slide)
