"""Triggers that fire by time: at the end of the window, or again and again before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millstream.core.api.windowing.duration import duration_ms
from millstream.core.api.windowing.trigger import T, Trigger, TriggerResult, W
from millstream.core.elements.control import MAX_WATERMARK_MS

if TYPE_CHECKING:
    from millstream.core.api.state import ReducingStateDescriptor
    from millstream.core.api.windowing.duration import DurationLike


class EventTimeTrigger(Trigger[T, W]):
    """Fires when the watermark passes the end of the window, and for each late record after that."""

    @staticmethod
    def create() -> EventTimeTrigger[Any, Any]:
        return EventTimeTrigger()

    def on_element(self, element: T, timestamp: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        if window.max_timestamp() <= ctx.get_current_watermark():
            return TriggerResult.FIRE
        ctx.register_event_time_timer(window.max_timestamp())
        return TriggerResult.CONTINUE

    def on_processing_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return TriggerResult.CONTINUE

    def on_event_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return TriggerResult.FIRE if time == window.max_timestamp() else TriggerResult.CONTINUE

    def can_merge(self) -> bool:
        return True

    def on_merge(self, window: W, ctx: Trigger.OnMergeContext) -> None:
        # A window already passed fires with the record that caused the merge.
        if window.max_timestamp() > ctx.get_current_watermark():
            ctx.register_event_time_timer(window.max_timestamp())

    def clear(self, window: W, ctx: Trigger.TriggerContext) -> None:
        ctx.delete_event_time_timer(window.max_timestamp())


class ProcessingTimeTrigger(Trigger[T, W]):
    """Fires when the clock passes the end of the window."""

    @staticmethod
    def create() -> ProcessingTimeTrigger[Any, Any]:
        return ProcessingTimeTrigger()

    def on_element(self, element: T, timestamp: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        ctx.register_processing_time_timer(window.max_timestamp())
        return TriggerResult.CONTINUE

    def on_processing_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        # A clean-up timer of a longer-lived window must not fire it again.
        return TriggerResult.FIRE if time >= window.max_timestamp() else TriggerResult.CONTINUE

    def on_event_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return TriggerResult.CONTINUE

    def can_merge(self) -> bool:
        return True

    def on_merge(self, window: W, ctx: Trigger.OnMergeContext) -> None:
        if window.max_timestamp() > ctx.get_current_processing_time():
            ctx.register_processing_time_timer(window.max_timestamp())

    def clear(self, window: W, ctx: Trigger.TriggerContext) -> None:
        ctx.delete_processing_time_timer(window.max_timestamp())


class _ContinuousTrigger(Trigger[T, W]):
    """Shared by the two continuous triggers: one pending firing a window, kept as the smallest of merged ones."""

    def __init__(self, interval_ms: int) -> None:
        self.interval_ms = interval_ms

    def _next_firing(self) -> ReducingStateDescriptor:
        from millstream.core.api.state import ReducingStateDescriptor
        from millstream.core.api.types import Types

        return ReducingStateDescriptor("next-firing", min, Types.LONG())

    def _firing_after(self, time: int, window: W) -> int:
        return min(time - time % self.interval_ms + self.interval_ms, window.max_timestamp())

    def can_merge(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.interval_ms} ms)"


class ContinuousEventTimeTrigger(_ContinuousTrigger[T, W]):
    """Fires each time the watermark passes a multiple of the interval, and at the end of the window."""

    @staticmethod
    def of(interval: DurationLike) -> ContinuousEventTimeTrigger[Any, Any]:
        return ContinuousEventTimeTrigger(duration_ms(interval, "the trigger interval"))

    def on_element(self, element: T, timestamp: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        if window.max_timestamp() <= ctx.get_current_watermark():
            return TriggerResult.FIRE
        ctx.register_event_time_timer(window.max_timestamp())
        pending = ctx.get_partitioned_state(self._next_firing())
        if pending.get() is None:
            firing = self._firing_after(timestamp, window)
            pending.add(firing)
            ctx.register_event_time_timer(firing)
        return TriggerResult.CONTINUE

    def on_processing_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return TriggerResult.CONTINUE

    def on_event_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        if time == window.max_timestamp():
            return TriggerResult.FIRE
        pending = ctx.get_partitioned_state(self._next_firing())
        if pending.get() != time:
            return TriggerResult.CONTINUE
        pending.clear()
        firing = self._firing_after(time, window)
        if ctx.get_current_watermark() == window.max_timestamp() == MAX_WATERMARK_MS:
            firing = MAX_WATERMARK_MS  # the end of the stream: no walk in steps to the end of time
        pending.add(firing)
        ctx.register_event_time_timer(firing)
        return TriggerResult.FIRE

    def on_merge(self, window: W, ctx: Trigger.OnMergeContext) -> None:
        ctx.merge_partitioned_state(self._next_firing())
        firing = ctx.get_partitioned_state(self._next_firing()).get()
        if firing is not None:
            ctx.register_event_time_timer(firing)

    def clear(self, window: W, ctx: Trigger.TriggerContext) -> None:
        pending = ctx.get_partitioned_state(self._next_firing())
        firing = pending.get()
        if firing is not None:
            ctx.delete_event_time_timer(firing)
            pending.clear()
        ctx.delete_event_time_timer(window.max_timestamp())


class ContinuousProcessingTimeTrigger(_ContinuousTrigger[T, W]):
    """Fires each time the clock passes a multiple of the interval, and at the end of a processing-time window."""

    @staticmethod
    def of(interval: DurationLike) -> ContinuousProcessingTimeTrigger[Any, Any]:
        return ContinuousProcessingTimeTrigger(duration_ms(interval, "the trigger interval"))

    def on_element(self, element: T, timestamp: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        pending = ctx.get_partitioned_state(self._next_firing())
        if pending.get() is None:
            firing = self._firing_after(ctx.get_current_processing_time(), window)
            pending.add(firing)
            ctx.register_processing_time_timer(firing)
        return TriggerResult.CONTINUE

    def on_processing_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        pending = ctx.get_partitioned_state(self._next_firing())
        if pending.get() != time:
            return TriggerResult.CONTINUE
        pending.clear()
        firing = self._firing_after(time, window)
        if firing > time:
            pending.add(firing)
            ctx.register_processing_time_timer(firing)
        return TriggerResult.FIRE

    def on_event_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return TriggerResult.CONTINUE

    def on_merge(self, window: W, ctx: Trigger.OnMergeContext) -> None:
        ctx.merge_partitioned_state(self._next_firing())
        firing = ctx.get_partitioned_state(self._next_firing()).get()
        if firing is not None:
            ctx.register_processing_time_timer(firing)

    def clear(self, window: W, ctx: Trigger.TriggerContext) -> None:
        pending = ctx.get_partitioned_state(self._next_firing())
        firing = pending.get()
        if firing is not None:
            ctx.delete_processing_time_timer(firing)
            pending.clear()
