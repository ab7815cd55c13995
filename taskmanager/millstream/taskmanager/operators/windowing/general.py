"""The general window operator: any assigner, trigger and evictor, one record at a time.

Follows Flink's rules. A record is added to each of its windows that is not gone; the trigger then says whether the
window fires and whether its contents are dropped. A window is gone, with its trigger's state and timers, when the
watermark passes its end plus the allowed lateness (event time), or the clock its end (processing time); windows that
never end stay. Windows of a merging assigner (sessions) are joined first, contents in the order of their starts.

Neighbours: ``grid`` does the common case faster; ``merging``, ``window_timers``, ``evicting`` are the parts.
"""

from __future__ import annotations

from typing import Any

from millstream.core.api.windowing.assigner import MergingWindowAssigner
from millstream.core.api.windowing.evictors import TimestampedValue
from millstream.core.api.windowing.trigger import Trigger, TriggerResult
from millstream.core.api.windowing.window import Window
from millstream.core.elements.batch import NO_TIMESTAMP_MS, Batch
from millstream.core.elements.control import MAX_WATERMARK_MS, Watermark
from millstream.core.errors import JobGraphError
from millstream.core.graph.specs import ChainedOperator, WindowSpec
from millstream.taskmanager.operators.windowing.contents import MISSING
from millstream.taskmanager.operators.windowing.evicting import EvictingContents, Eviction
from millstream.taskmanager.operators.windowing.grouped_rows import GroupedRows
from millstream.taskmanager.operators.windowing.keyed_base import KeyedWindowOperator, WindowOfKey
from millstream.taskmanager.operators.windowing.merging import merge_in
from millstream.taskmanager.operators.windowing.trigger_context import OperatorAssignerContext, OperatorTriggerContext
from millstream.taskmanager.operators.windowing.window_timers import WindowTimers

Panes = dict[Window, Any]
"""Contents by window, of one key. ``MISSING``: the window of a merging assigner lives on after it was purged."""


class GeneralWindowOperator(KeyedWindowOperator):
    """Runs any ``WindowSpec``."""

    def __init__(self, chained: ChainedOperator, spec: WindowSpec) -> None:
        super().__init__(chained, spec)
        self.event_timers = WindowTimers()
        self.processing_timers = WindowTimers()
        self._panes: dict[Any, Panes] = {}
        self._assigner = spec.assigner
        self._merging = spec.assigner if isinstance(spec.assigner, MergingWindowAssigner) else None
        self._trigger: Trigger[Any, Any] = spec.trigger or spec.assigner.get_default_trigger()
        self._event_time = spec.assigner.is_event_time()
        self._lateness_ms = spec.allowed_lateness_ms if self._event_time else 0
        self._eviction: Eviction | None = None
        if spec.evictor is not None:
            self.contents = evicting = EvictingContents(self.contents)
            self._eviction = Eviction(self, spec.evictor, evicting)
        if self._merging is not None and not self._trigger.can_merge():
            raise JobGraphError(
                f"operator {chained.name!r}: {self._assigner!r} merges windows, which {self._trigger!r} cannot follow. "
                "Use a trigger with can_merge() and on_merge(), or windows that do not merge."
            )
        self._trigger_context = OperatorTriggerContext(self)
        self._assigner_context = OperatorAssignerContext(self)

    # -- records ------------------------------------------------------------------------------------------------

    def process(self, batch: Batch, input_index: int) -> None:
        values, keys = self.rows_and_keys(batch)
        times = [NO_TIMESTAMP_MS] * len(values) if batch.timestamps is None else batch.timestamps.tolist()
        value: Any = None
        try:
            for key, value, time_ms in zip(keys, values, times, strict=True):
                self._process_record(key, value, time_ms)
        except Exception as error:
            raise self.failed(error, value) from error
        self.emission.flush()

    def _process_record(self, key: Any, value: Any, time_ms: int) -> None:
        self.backend.current_key = key
        skipped = True
        for window in self._assigner.assign_windows(value, time_ms, self._assigner_context):
            if self._merging is not None:
                window = self._merge_in(self._merging, key, window)
            if self._is_gone(window):
                if self._merging is not None:
                    self._forget(key, window)
                continue
            skipped = False
            self._add(key, window, value, time_ms)
            self._react(self._on_element(key, window, value, time_ms), key, window)
            self._add_cleanup_timer(key, window)
        if skipped and self._event_time and time_ms + self._lateness_ms <= self.watermark_ms:
            self.late.take(value, time_ms)

    def _add(self, key: Any, window: Window, value: Any, time_ms: int) -> None:
        panes = self._panes.get(key)
        if panes is None:
            panes = self._panes[key] = {}
        if self._eviction is not None:
            value = TimestampedValue(value, time_ms)
        content = panes.get(window, MISSING)
        panes[window] = self.contents.first(value) if content is MISSING else self.contents.add(content, value)

    def _on_element(self, key: Any, window: Window, value: Any, time_ms: int) -> TriggerResult:
        context = self._trigger_context
        context.key, context.window = key, window
        return self._trigger.on_element(value, time_ms, window, context)

    def _react(self, result: TriggerResult, key: Any, window: Window) -> None:
        if result is TriggerResult.CONTINUE:
            return
        content = self._panes.get(key, {}).get(window, MISSING)
        if content is MISSING:
            return
        if result.is_fire():
            if self._eviction is None:
                self.fire(key, window, content)
            else:
                self._eviction.fire(key, window, content)
        if result.is_purge() or (self._eviction is not None and not content):
            self._purge(key, window)

    def _purge(self, key: Any, window: Window) -> None:
        """Drop the contents; the window itself lives on where it may still merge."""
        if self._merging is not None:
            self._panes[key][window] = MISSING
        else:
            self._forget(key, window)

    def _forget(self, key: Any, window: Window) -> None:
        panes = self._panes.get(key)
        if panes is not None:
            panes.pop(window, None)
            if not panes:
                del self._panes[key]

    # -- merging ------------------------------------------------------------------------------------------------

    def _merge_in(self, assigner: MergingWindowAssigner[Any, Any], key: Any, window: Window) -> Window:
        panes = self._panes.get(key)
        if panes is None:
            panes = self._panes[key] = {}
        target, merges = merge_in(assigner, panes, window)
        for result, members in merges:
            self._check_merge(result)
            content: Any = MISSING
            for member in members:
                other = panes.pop(member)
                if other is not MISSING:
                    content = other if content is MISSING else self.contents.merge(content, other)
            panes[result] = content
            self._merge_trigger(key, result, members)
        panes.setdefault(target, MISSING)
        return target

    def _merge_trigger(self, key: Any, result: Window, members: list[Window]) -> None:
        context = self._trigger_context
        context.key, context.window, context.merged = key, result, members
        self._trigger.on_merge(result, context)
        for member in members:
            if member != result:
                context.window = member
                self._trigger.clear(member, context)
                self._remove_cleanup_timer(key, member)
        context.merged = []

    def _check_merge(self, result: Window) -> None:
        if self._event_time and self._cleanup_ms(result) <= self.watermark_ms:
            raise JobGraphError(
                f"the assigner {self._assigner!r} merged windows into {result!r}, which ends before the watermark "
                f"{self.watermark_ms}: merging must not make a window end earlier."
            )

    # -- time ---------------------------------------------------------------------------------------------------

    def process_watermark(self, watermark: Watermark) -> None:
        self.watermark_ms = max(self.watermark_ms, watermark.timestamp_ms)
        for time_ms, _, key, window in self.event_timers.due(watermark.timestamp_ms):
            self._on_timer(time_ms, key, window, event_time=True)
        self.emission.flush()
        super().process_watermark(watermark)

    def on_processing_time(self, now_ms: int) -> None:
        super().on_processing_time(now_ms)
        # A window [s, e) is over when the clock shows e: at e - 1 further records may still come.
        for time_ms, _, key, window in self.processing_timers.due(now_ms - 1):
            self._on_timer(time_ms, key, window, event_time=False)
        self.emission.flush()
        self.schedule_restored()

    def _on_timer(self, time_ms: int, key: Any, window: Window, event_time: bool) -> None:
        panes = self._panes.get(key, {})
        if self._merging is not None and window not in panes:
            return  # merged away or dropped; a trigger left its timer behind
        self.context.metrics.timers_fired += 1
        self.backend.focus(key)
        context = self._trigger_context
        context.key, context.window = key, window
        try:
            on_time = self._trigger.on_event_time if event_time else self._trigger.on_processing_time
            self._react(on_time(time_ms, window, context), key, window)
            if event_time == self._event_time and time_ms == self._cleanup_ms(window):
                self._drop(key, window)
        except Exception as error:
            raise self.failed(error, WindowOfKey(key, window), self.spec.trigger) from error

    def add_processing_time_timer(self, time_ms: int, key: Any, window: Window) -> None:
        """Register, and ask the task to be called once the clock has passed ``time_ms``."""
        before = self.processing_timers.next_time_ms()
        self.processing_timers.add(time_ms, key, window)
        if (before is None or time_ms < before) and time_ms < MAX_WATERMARK_MS:
            self.context.schedule(time_ms + 1)

    def _cleanup_ms(self, window: Window) -> int:
        return min(window.max_timestamp() + self._lateness_ms, MAX_WATERMARK_MS)

    def _is_gone(self, window: Window) -> bool:
        return self._event_time and self._cleanup_ms(window) <= self.watermark_ms

    def _add_cleanup_timer(self, key: Any, window: Window) -> None:
        time_ms = self._cleanup_ms(window)
        if time_ms == MAX_WATERMARK_MS:
            return  # such a window is never dropped by time
        if self._event_time:
            self.event_timers.add(time_ms, key, window)
        else:
            self.add_processing_time_timer(time_ms, key, window)

    def _remove_cleanup_timer(self, key: Any, window: Window) -> None:
        timers = self.event_timers if self._event_time else self.processing_timers
        timers.remove(self._cleanup_ms(window), key, window)

    def _drop(self, key: Any, window: Window) -> None:
        self._forget(key, window)
        self._trigger.clear(window, self._trigger_context)
        if self.function is not None:
            self.function.clear(key, window)

    # -- state --------------------------------------------------------------------------------------------------

    def entry_count(self) -> int:
        return len(self._panes) + len(self.event_timers) + len(self.processing_timers)

    def snapshot_contents(self, groups: GroupedRows) -> None:
        """Rows ("pane", key, window, has content, content) and ("event" or "processing", time, order, key, window)."""
        for key, panes in self._panes.items():
            rows = [
                ("pane", key, window, False, None)
                if content is MISSING
                else ("pane", key, window, True, self.contents.frozen(content))
                for window, content in panes.items()
            ]
            groups.add_rows([key] * len(rows), rows)
        for kind, timers in (("event", self.event_timers), ("processing", self.processing_timers)):
            registered = timers.all()
            groups.add_rows([timer[2] for timer in registered], [(kind, *timer) for timer in registered])

    def restore_contents(self, rows: list[Any]) -> None:
        for row in rows:
            if row[0] == "pane":
                _, key, window, present, content = row
                self._panes.setdefault(key, {})[window] = self.contents.frozen(content) if present else MISSING
        self.event_timers.restore(row[1:] for row in rows if row[0] == "event")
        self.processing_timers.restore(row[1:] for row in rows if row[0] == "processing")

    def schedule_restored(self) -> None:
        next_ms = self.processing_timers.next_time_ms()
        if next_ms is not None and next_ms < MAX_WATERMARK_MS:
            self.context.schedule(next_ms + 1)
