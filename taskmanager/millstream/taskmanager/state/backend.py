"""What operators ask of a keyed state backend."""

from __future__ import annotations

from typing import Any, Protocol

from millstream.core.api.state import State, StateDescriptor


class KeyedStateBackend(Protocol):
    """The state of one operator of one subtask, by key and, for windows, by namespace."""

    current_key: Any
    """The key that states refer to. Set before user code runs."""

    def state(self, descriptor: StateDescriptor, namespace: Any = None) -> State:
        """The state of ``descriptor``. With the same name and namespace it is the same state.

        Raises ``JobGraphError`` when the name is already that of another kind of state.
        """
        ...

    def entries(self) -> int:
        """Keys over all states."""
        ...

    def estimated_bytes(self) -> int:
        """A guess of the encoded size of everything, from samples."""
        ...

    def snapshot(self) -> dict[int, bytes]:
        """Everything, by key group, independent of later changes."""
        ...

    def restore(self, groups: dict[int, bytes]) -> None:
        """Take in what ``snapshot`` returned, of any number of subtasks; before the first ``state``."""
        ...
