"""The trigger contract: when a window of a key is computed and emitted. Write your own by subclassing ``Trigger``."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from millstream.core.api.windowing.window import Window

if TYPE_CHECKING:
    from millstream.core.api.state import StateDescriptor

T = TypeVar("T")
W = TypeVar("W", bound=Window)


class TriggerResult(enum.Enum):
    """What happens to the window. Firing an empty window emits nothing."""

    CONTINUE = (False, False)
    """Nothing."""
    FIRE_AND_PURGE = (True, True)
    """Emit, then drop the contents."""
    FIRE = (True, False)
    """Emit and keep the contents."""
    PURGE = (False, True)
    """Drop the contents without emitting."""

    def is_fire(self) -> bool:
        return self.value[0]

    def is_purge(self) -> bool:
        return self.value[1]


class Trigger(ABC, Generic[T, W]):
    """Decides for each key and window. One object serves all of them: keep state in ``ctx.get_partitioned_state``."""

    class TriggerContext(ABC):
        """Timers and state of the key and window at hand. Times are milliseconds since 1970."""

        @abstractmethod
        def get_current_processing_time(self) -> int: ...

        @abstractmethod
        def get_metric_group(self) -> Any:
            """Counters of the operator."""

        @abstractmethod
        def get_current_watermark(self) -> int: ...

        @abstractmethod
        def register_processing_time_timer(self, time: int) -> None:
            """Call ``on_processing_time`` once the clock reaches ``time``."""

        @abstractmethod
        def register_event_time_timer(self, time: int) -> None:
            """Call ``on_event_time`` once the watermark reaches ``time``."""

        @abstractmethod
        def delete_processing_time_timer(self, time: int) -> None: ...

        @abstractmethod
        def delete_event_time_timer(self, time: int) -> None: ...

        @abstractmethod
        def get_partitioned_state(self, state_descriptor: StateDescriptor) -> Any:
            """State of this key and window. Gone when the window is."""

    class OnMergeContext(TriggerContext):
        """Handed to ``on_merge``; it acts on the merged window."""

        @abstractmethod
        def merge_partitioned_state(self, state_descriptor: StateDescriptor) -> None:
            """Combine the state of the windows that were merged (list and reducing state only)."""

    @abstractmethod
    def on_element(self, element: T, timestamp: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        """A record was added to the window."""

    @abstractmethod
    def on_processing_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        """A processing-time timer of the window, or its clean-up, is due."""

    @abstractmethod
    def on_event_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        """An event-time timer of the window, or its clean-up, is due."""

    def can_merge(self) -> bool:
        """True when ``on_merge`` is implemented, as session windows need."""
        return False

    def on_merge(self, window: W, ctx: Trigger.OnMergeContext) -> None:
        """Several windows became ``window``."""
        raise RuntimeError(f"{type(self).__name__} says it can merge but has no on_merge")

    @abstractmethod
    def clear(self, window: W, ctx: Trigger.TriggerContext) -> None:
        """The window is dropped: clear state and timers."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
