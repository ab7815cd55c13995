"""Calls the user's window function for one window of one key, and sorts what it returns into outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from millstream.core.api.functions import WindowContext
from millstream.core.api.output_tag import OutputTag
from millstream.core.api.windowing.assigner import MergingWindowAssigner
from millstream.core.api.windowing.window import Window
from millstream.core.errors import JobGraphError

if TYPE_CHECKING:
    from millstream.taskmanager.operators.windowing.keyed_base import KeyedWindowOperator


class FiringContext(WindowContext[Window]):
    """The ``context`` of ``process`` and ``clear``; one object serves all calls, valid during the call only."""

    def __init__(self, owner: KeyedWindowOperator) -> None:
        self._owner = owner
        self.current_window: Window | None = None

    def window(self) -> Window:
        assert self.current_window is not None
        return self.current_window

    def current_processing_time(self) -> int:
        """Milliseconds since 1970 by the task's clock."""
        return self._owner.context.clock.wall_ms()

    def current_watermark(self) -> int:
        """Milliseconds; ``MIN_WATERMARK_MS`` before the first watermark."""
        return self._owner.watermark_ms

    def window_state(self) -> Any:
        """Keyed state of this key and window. Clear it in ``clear``: it is not dropped by itself."""
        if isinstance(self._owner.spec.assigner, MergingWindowAssigner):
            raise JobGraphError(
                "window_state() is not available in windows that merge (sessions): there is no telling which state "
                "the merged window should keep. Use global_state(), or keep the value in an aggregate function."
            )
        return self._owner.states.window_store(self.window())

    def global_state(self) -> Any:
        """Keyed state of this key, for all its windows."""
        return self._owner.states.global_store


class WindowFunctionCaller:
    """A ``ProcessWindowFunction``, ``WindowFunction`` or one of their all-windows variants at work."""

    def __init__(self, owner: KeyedWindowOperator) -> None:
        self._owner = owner
        self._function = owner.spec.function
        self._context = FiringContext(owner)
        self._processes = hasattr(self._function, "process")
        self._call = self._choose_call(owner.spec.all_windows)
        self.has_clear = self._processes and _overrides_clear(self._function)

    def _choose_call(self, all_windows: bool) -> Callable[[Any, Window, list[Any]], Any]:
        function, context = self._function, self._context
        if self._processes and all_windows:
            return lambda key, window, elements: function.process(context, elements)
        if self._processes:
            return lambda key, window, elements: function.process(key, context, elements)
        if all_windows:
            return lambda key, window, elements: function.apply(window, elements)
        apply: Callable[[Any, Window, list[Any]], Any] = function.apply
        return apply

    def fire(self, key: Any, window: Window, elements: list[Any]) -> None:
        """Emit what the function returns or yields, at ``window.max_timestamp()``. Raises what it raises."""
        self._owner.backend.focus(key)
        self._context.current_window = window
        returned = self._call(key, window, elements)
        if returned is None:
            return
        emission, timestamp_ms = self._owner.emission, window.max_timestamp()
        for item in returned:
            if type(item) is tuple and len(item) == 2 and isinstance(item[0], OutputTag):
                emission.add_side(item[0].tag_id, item[1], timestamp_ms)
            else:
                emission.add(item, timestamp_ms)

    def clear(self, key: Any, window: Window) -> None:
        """Tell the function that the window is gone."""
        if self.has_clear:
            self._owner.backend.focus(key)
            self._context.current_window = window
            try:
                self._function.clear(self._context)
            except Exception as error:
                raise self._owner.failed(error, (key, window), self._function) from error


def _overrides_clear(function: Any) -> bool:
    """False when ``clear`` is the empty one of the base class, so that dropping a window need not visit every key."""
    clear = getattr(type(function), "clear", None)
    return clear is not None and not getattr(clear, "__module__", "").startswith("millstream.core.api")
