"""Functions on a stream connected with a broadcast one. Names and signatures are PyFlink's.

Records of the broadcast stream reach every subtask, which keeps what it needs of them in broadcast state; records of
the other stream are processed with that state at hand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from millstream.core.api.functions import Function, KeyedProcessContext, TimerContext
from millstream.core.api.operator_state import BroadcastState, ReadOnlyBroadcastState
from millstream.core.api.state import MapStateDescriptor, StateDescriptor


class BroadcastTimes(ABC):
    """Times of the record at hand, in milliseconds since 1970."""

    @abstractmethod
    def timestamp(self) -> int | None:
        """Event time of the record, or None when it has none."""

    @abstractmethod
    def current_processing_time(self) -> int: ...

    @abstractmethod
    def current_watermark(self) -> int: ...


class BroadcastReadOnlyContext(BroadcastTimes):
    """The ``ctx`` of ``process_element``."""

    @abstractmethod
    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> ReadOnlyBroadcastState[Any, Any]:
        """One of the states that ``broadcast`` was called with."""


class BroadcastContext(BroadcastTimes):
    """The ``ctx`` of ``process_broadcast_element``."""

    @abstractmethod
    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> BroadcastState[Any, Any]:
        """One of the states that ``broadcast`` was called with. Change it in the same way on every subtask."""


class KeyedBroadcastReadOnlyContext(BroadcastReadOnlyContext, KeyedProcessContext):
    """With the key of the record and timers."""


class KeyedBroadcastTimerContext(BroadcastReadOnlyContext, TimerContext):
    """The ``ctx`` of ``on_timer``."""


class KeyedBroadcastContext(BroadcastContext):
    """With a way to the state of all keys, for there is no key at hand."""

    @abstractmethod
    def apply_to_keyed_state(self, state_descriptor: StateDescriptor, function: Callable[[Any, Any], None]) -> None:
        """``function(key, state)`` for each key of this subtask that has this state; it may change the state.

        Or an object with a method ``process``. All keys are gone through at once: the task stands still meanwhile.
        """


class BroadcastProcessFunction(Function):
    """A stream without keys and a broadcast one."""

    Context = BroadcastContext
    ReadOnlyContext = BroadcastReadOnlyContext

    @abstractmethod
    def process_element(self, value: Any, ctx: BroadcastReadOnlyContext) -> Iterable[Any] | None: ...

    @abstractmethod
    def process_broadcast_element(self, value: Any, ctx: BroadcastContext) -> Iterable[Any] | None: ...


class KeyedBroadcastProcessFunction(Function):
    """A keyed stream and a broadcast one; has keyed state and timers."""

    Context = KeyedBroadcastContext
    ReadOnlyContext = KeyedBroadcastReadOnlyContext
    OnTimerContext = KeyedBroadcastTimerContext

    @abstractmethod
    def process_element(self, value: Any, ctx: KeyedBroadcastReadOnlyContext) -> Iterable[Any] | None: ...

    @abstractmethod
    def process_broadcast_element(self, value: Any, ctx: KeyedBroadcastContext) -> Iterable[Any] | None: ...

    def on_timer(self, timestamp: int, ctx: KeyedBroadcastTimerContext) -> Iterable[Any] | None:
        """A timer of this key came due."""
