"""What triggers and assigners see of the general window operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millstream.core.api.windowing.assigner import WindowAssigner
from millstream.core.api.windowing.trigger import Trigger
from millstream.core.api.windowing.window import GlobalWindow, Window

if TYPE_CHECKING:
    from millstream.taskmanager.operators.windowing.general import GeneralWindowOperator


class OperatorTriggerContext(Trigger.OnMergeContext):
    """One object for all calls; the operator sets ``key`` and ``window`` before each."""

    def __init__(self, owner: GeneralWindowOperator) -> None:
        self._owner = owner
        self.key: Any = None
        self.window: Window = GlobalWindow.get()
        self.merged: list[Window] = []
        """The windows that became ``window``, during ``on_merge``."""

    def get_current_processing_time(self) -> int:
        return self._owner.context.clock.wall_ms()

    def get_metric_group(self) -> Any:
        return self._owner.metric_group

    def get_current_watermark(self) -> int:
        return self._owner.watermark_ms

    def register_processing_time_timer(self, time: int) -> None:
        self._owner.add_processing_time_timer(time, self.key, self.window)

    def register_event_time_timer(self, time: int) -> None:
        self._owner.event_timers.add(time, self.key, self.window)

    def delete_processing_time_timer(self, time: int) -> None:
        self._owner.processing_timers.remove(time, self.key, self.window)

    def delete_event_time_timer(self, time: int) -> None:
        self._owner.event_timers.remove(time, self.key, self.window)

    def get_partitioned_state(self, state_descriptor: Any) -> Any:
        return self._owner.states.trigger_state(state_descriptor, self.window)

    def merge_partitioned_state(self, state_descriptor: Any) -> None:
        self._owner.states.merge_trigger_state(state_descriptor, self.merged, self.window)


class OperatorAssignerContext(WindowAssigner.WindowAssignerContext):
    """What an assigner may ask of the operator."""

    def __init__(self, owner: GeneralWindowOperator) -> None:
        self._owner = owner

    def get_current_processing_time(self) -> int:
        return self._owner.context.clock.wall_ms()

    def get_runtime_context(self) -> Any:
        return self._owner.runtime_context
