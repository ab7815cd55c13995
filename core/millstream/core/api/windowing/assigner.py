"""The assigner contract: which windows a record belongs to. Write your own by subclassing ``WindowAssigner``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from millstream.core.api.windowing.window import Window

if TYPE_CHECKING:
    from millstream.core.api.functions import RuntimeContext
    from millstream.core.api.windowing.trigger import Trigger

T = TypeVar("T")
W = TypeVar("W", bound=Window)
MergedW = TypeVar("MergedW", bound=Window)


class WindowAssigner(ABC, Generic[T, W]):
    """Assigns each record to zero or more windows. Immutable and picklable: state belongs in the runtime context."""

    class WindowAssignerContext(ABC):
        """What an assigner may ask."""

        @abstractmethod
        def get_current_processing_time(self) -> int:
            """Milliseconds since 1970 by the task's clock."""

        @abstractmethod
        def get_runtime_context(self) -> RuntimeContext:
            """State obtained from it belongs to the key of the record."""

    @abstractmethod
    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> Collection[W]:
        """The windows of ``element``; ``timestamp`` is its event time, ``NO_TIMESTAMP_MS`` without one."""

    @abstractmethod
    def get_default_trigger(self, env: Any = None) -> Trigger[T, W]:
        """The trigger used when the user gives none. ``env`` is accepted for PyFlink's signature and not used."""

    @abstractmethod
    def is_event_time(self) -> bool:
        """True when windows end by the watermark, False when by the clock (or not by time at all)."""


class MergingWindowAssigner(WindowAssigner[T, W]):
    """An assigner whose windows can grow together (sessions)."""

    class MergeCallback(ABC, Generic[MergedW]):
        """Receives the merges found."""

        @abstractmethod
        def merge(self, to_be_merged: Iterable[MergedW], merge_result: MergedW) -> None:
            """``to_be_merged`` (two or more windows, pairwise distinct) become ``merge_result``."""

    @abstractmethod
    def merge_windows(self, windows: Iterable[W], callback: MergingWindowAssigner.MergeCallback[W]) -> None:
        """Find which of ``windows`` (all of one key) belong together and report each group once."""
