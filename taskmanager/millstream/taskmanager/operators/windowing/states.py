"""Keyed state of a window operator: of the user's functions, of single windows, and of triggers.

All of it lives in one backend. State of a window has the window as its namespace; a trigger's state has a prefix before
its name, so that a trigger and a window function may use the same name.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Final, cast

from millstream.core.api.state import ListState, ReducingState, State, StateDescriptor
from millstream.core.api.windowing.window import Window
from millstream.core.errors import JobGraphError
from millstream.taskmanager.operators.runtime_context import StateStore
from millstream.taskmanager.state.backend import KeyedStateBackend

_TRIGGER_PREFIX: Final = "trigger/"


class WindowStates:
    """Access to the backend by window. The backend's ``current_key`` is set by the operator."""

    def __init__(self, backend: KeyedStateBackend) -> None:
        self.backend = backend
        self.global_store = StateStore(backend)
        self._trigger_descriptors: dict[str, StateDescriptor] = {}

    def window_store(self, window: Window) -> StateStore:
        """State of the current key and ``window``."""
        return StateStore(self.backend, window)

    def trigger_state(self, descriptor: StateDescriptor, window: Window) -> State:
        """A trigger's state of the current key and ``window``."""
        named = self._trigger_descriptors.get(descriptor.name)
        if named is None or type(named) is not type(descriptor):
            named = copy.copy(descriptor)
            named.name = _TRIGGER_PREFIX + descriptor.name
            self._trigger_descriptors[descriptor.name] = named
        return self.backend.state(named, window)

    def merge_trigger_state(self, descriptor: StateDescriptor, sources: Iterable[Window], target: Window) -> None:
        """Move what ``sources`` hold to ``target``, in the order of ``sources``. List and reducing state only."""
        values: list[Any] = []
        for source in sources:
            state = self.trigger_state(descriptor, source)
            if isinstance(state, ListState):
                values.extend(state.get())
            elif isinstance(state, ReducingState):
                value = state.get()
                values.extend([] if value is None else [value])
            else:
                raise JobGraphError(
                    f"merge_partitioned_state: the state {descriptor.name!r} is a {type(descriptor).__name__}, which "
                    "cannot be merged. Use a ListStateDescriptor or a ReducingStateDescriptor."
                )
            state.clear()
        merged = cast("ListState[Any] | ReducingState[Any]", self.trigger_state(descriptor, target))
        for value in values:
            merged.add(value)
