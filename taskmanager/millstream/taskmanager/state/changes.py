"""Which keys changed since which checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

_SNAPSHOTS_MAX: Final = 8


class ChangedKeys:
    """A checkpoint may fail after its snapshot: what it held stays changed until a later one is complete."""

    def __init__(self) -> None:
        self.keys: set[Any] = set()
        """Changed since the last snapshot."""
        self._taken: dict[int, set[Any]] = {}

    def take(self, checkpoint_id: int) -> list[Any]:
        """At a snapshot: the keys changed since the last confirmed one."""
        self._taken[checkpoint_id] = self.keys
        self.keys = set()
        if len(self._taken) > _SNAPSHOTS_MAX:  # many failed in a row: the oldest two count as the younger of them
            first, second = sorted(self._taken)[:2]
            self._taken[second] |= self._taken.pop(first)
        if len(self._taken) == 1:
            return list(self._taken[checkpoint_id])
        return list(set().union(*self._taken.values()))

    def confirm(self, checkpoint_id: int) -> None:
        """The checkpoint is complete; what its snapshot held is safe."""
        self._taken = {taken: keys for taken, keys in self._taken.items() if taken > checkpoint_id}

    def reset(self, keys: Iterable[Any] = ()) -> None:
        self._taken.clear()
        self.keys = set(keys)
