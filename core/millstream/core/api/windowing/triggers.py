"""Triggers that fire by count, by difference, never, or wrap another trigger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from millstream.core.api.windowing.duration import duration_ms
from millstream.core.api.windowing.trigger import T, Trigger, TriggerResult, W
from millstream.core.errors import ConfigError

if TYPE_CHECKING:
    from millstream.core.api.state import ReducingStateDescriptor, ValueStateDescriptor
    from millstream.core.api.windowing.duration import DurationLike


class NeverTrigger(Trigger[T, W]):
    """Never fires; the default of ``GlobalWindows``."""

    def on_element(self, element: T, timestamp: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return TriggerResult.CONTINUE

    def on_processing_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return TriggerResult.CONTINUE

    def on_event_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return TriggerResult.CONTINUE

    def can_merge(self) -> bool:
        return True

    def on_merge(self, window: W, ctx: Trigger.OnMergeContext) -> None:
        return

    def clear(self, window: W, ctx: Trigger.TriggerContext) -> None:
        return


class CountTrigger(NeverTrigger[T, W]):
    """Fires whenever ``max_count`` records were added since the last firing. Contents stay unless purged."""

    def __init__(self, max_count: int) -> None:
        if max_count < 1:
            raise ConfigError(f"CountTrigger({max_count}): the count must be at least 1.")
        self.max_count = max_count

    @staticmethod
    def of(max_count: int) -> CountTrigger[Any, Any]:
        return CountTrigger(max_count)

    def on_element(self, element: T, timestamp: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        count = ctx.get_partitioned_state(self._count())
        count.add(1)
        if count.get() < self.max_count:
            return TriggerResult.CONTINUE
        count.clear()
        return TriggerResult.FIRE

    def on_merge(self, window: W, ctx: Trigger.OnMergeContext) -> None:
        ctx.merge_partitioned_state(self._count())

    def clear(self, window: W, ctx: Trigger.TriggerContext) -> None:
        ctx.get_partitioned_state(self._count()).clear()

    def _count(self) -> ReducingStateDescriptor:
        from millstream.core.api.state import ReducingStateDescriptor
        from millstream.core.api.types import Types

        return ReducingStateDescriptor("count", _add, Types.LONG())

    def __repr__(self) -> str:
        return f"CountTrigger({self.max_count})"


class DeltaTrigger(NeverTrigger[T, W]):
    """Fires when ``delta(record of the last firing, this record)`` exceeds ``threshold``. Cannot merge."""

    def __init__(self, threshold: float, delta_function: Callable[[Any, Any], float]) -> None:
        self.threshold = threshold
        self.delta_function = delta_function

    @staticmethod
    def of(threshold: float, delta_function: Callable[[Any, Any], float]) -> DeltaTrigger[Any, Any]:
        return DeltaTrigger(threshold, delta_function)

    def on_element(self, element: T, timestamp: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        # Kept in a tuple: a record may be None, which state reads as "nothing yet".
        last = ctx.get_partitioned_state(self._last())
        before = last.value()
        if before is None:
            last.update((element,))
            return TriggerResult.CONTINUE
        if self.delta_function(before[0], element) > self.threshold:
            last.update((element,))
            return TriggerResult.FIRE
        return TriggerResult.CONTINUE

    def can_merge(self) -> bool:
        return False

    def clear(self, window: W, ctx: Trigger.TriggerContext) -> None:
        ctx.get_partitioned_state(self._last()).clear()

    def _last(self) -> ValueStateDescriptor:
        from millstream.core.api.state import ValueStateDescriptor
        from millstream.core.api.types import Types

        return ValueStateDescriptor("last-record", Types.PICKLED_BYTE_ARRAY())

    def __repr__(self) -> str:
        return f"DeltaTrigger({self.threshold})"


class PurgingTrigger(Trigger[T, W]):
    """Turns every firing of ``nested`` into fire-and-purge."""

    def __init__(self, nested_trigger: Trigger[T, W]) -> None:
        self.nested_trigger = nested_trigger

    @staticmethod
    def of(nested_trigger: Trigger[Any, Any]) -> PurgingTrigger[Any, Any]:
        return PurgingTrigger(nested_trigger)

    def on_element(self, element: T, timestamp: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return _purging(self.nested_trigger.on_element(element, timestamp, window, ctx))

    def on_processing_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return _purging(self.nested_trigger.on_processing_time(time, window, ctx))

    def on_event_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return _purging(self.nested_trigger.on_event_time(time, window, ctx))

    def can_merge(self) -> bool:
        return self.nested_trigger.can_merge()

    def on_merge(self, window: W, ctx: Trigger.OnMergeContext) -> None:
        self.nested_trigger.on_merge(window, ctx)

    def clear(self, window: W, ctx: Trigger.TriggerContext) -> None:
        self.nested_trigger.clear(window, ctx)

    def __repr__(self) -> str:
        return f"PurgingTrigger({self.nested_trigger!r})"


class ProcessingTimeoutTrigger(Trigger[T, W]):
    """Fires when ``nested`` does, and also ``timeout`` after the first (or last) record since the last firing.

    ``reset_timer_on_new_record``: the time-out counts from the last record. ``should_clear_on_timeout``: firing by
    time-out also clears the state of ``nested``. Cannot merge.
    """

    def __init__(
        self,
        nested_trigger: Trigger[T, W],
        timeout: DurationLike,
        reset_timer_on_new_record: bool = False,
        should_clear_on_timeout: bool = True,
    ) -> None:
        self.nested_trigger = nested_trigger
        self.timeout_ms = duration_ms(timeout, "the trigger time-out")
        self.reset_timer_on_new_record = reset_timer_on_new_record
        self.should_clear_on_timeout = should_clear_on_timeout

    @staticmethod
    def of(
        nested_trigger: Trigger[Any, Any],
        timeout: DurationLike,
        reset_timer_on_new_record: bool = False,
        should_clear_on_timeout: bool = True,
    ) -> ProcessingTimeoutTrigger[Any, Any]:
        return ProcessingTimeoutTrigger(nested_trigger, timeout, reset_timer_on_new_record, should_clear_on_timeout)

    def on_element(self, element: T, timestamp: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        result = self.nested_trigger.on_element(element, timestamp, window, ctx)
        if result.is_fire():
            self.clear(window, ctx)
            return result
        due = ctx.get_partitioned_state(self._due())
        pending = due.value()
        if pending is not None and self.reset_timer_on_new_record:
            ctx.delete_processing_time_timer(pending)
            pending = None
        if pending is None:
            pending = ctx.get_current_processing_time() + self.timeout_ms
            due.update(pending)
            ctx.register_processing_time_timer(pending)
        return result

    def on_processing_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return self._timed_out(self.nested_trigger.on_processing_time(time, window, ctx), window, ctx)

    def on_event_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        return self._timed_out(self.nested_trigger.on_event_time(time, window, ctx), window, ctx)

    def clear(self, window: W, ctx: Trigger.TriggerContext) -> None:
        due = ctx.get_partitioned_state(self._due())
        pending = due.value()
        if pending is not None:
            ctx.delete_processing_time_timer(pending)
            due.clear()
        self.nested_trigger.clear(window, ctx)

    def _timed_out(self, result: TriggerResult, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        if self.should_clear_on_timeout:
            self.clear(window, ctx)
        else:
            ctx.get_partitioned_state(self._due()).clear()
        return TriggerResult.FIRE_AND_PURGE if result.is_purge() else TriggerResult.FIRE

    def _due(self) -> ValueStateDescriptor:
        from millstream.core.api.state import ValueStateDescriptor
        from millstream.core.api.types import Types

        return ValueStateDescriptor("timeout-at", Types.LONG())

    def __repr__(self) -> str:
        return f"ProcessingTimeoutTrigger({self.nested_trigger!r}, {self.timeout_ms} ms)"


def _purging(result: TriggerResult) -> TriggerResult:
    return TriggerResult.FIRE_AND_PURGE if result.is_fire() else result


def _add(left: int, right: int) -> int:
    return left + right
