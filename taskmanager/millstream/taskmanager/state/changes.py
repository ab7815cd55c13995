"""Which keys changed since which checkpoint."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

_SNAPSHOTS_MAX: Final = 8


class ChangedKeys:
    """A checkpoint may fail after its snapshot: what it held stays changed until a later one is complete.

    What the confirmed checkpoints held is remembered too, since the last one that held everything.
    """

    def __init__(self) -> None:
        self.keys: set[Any] = set()
        """Changed since the last snapshot."""
        self._taken: dict[int, set[Any]] = {}
        self._confirmed: list[list[Any]] = []

    def take(self, checkpoint_id: int) -> list[set[Any]]:
        """At a snapshot: the keys changed since the last confirmed one; a key may be in several sets."""
        self._taken[checkpoint_id] = self.keys
        self.keys = set()
        if len(self._taken) > _SNAPSHOTS_MAX:  # many failed in a row: the oldest two count as the younger of them
            first, second = sorted(self._taken)[:2]
            self._taken[second] |= self._taken.pop(first)
        return list(self._taken.values())

    def since_full(self) -> list[Collection[Any]]:
        """At a snapshot, after ``take``: the keys changed since the last one that held everything."""
        return [*self._taken.values(), *self._confirmed]

    def confirm(self, checkpoint_id: int, held: list[list[Any]], *, anew: bool) -> list[list[Any]]:
        """The checkpoint is complete; the keys that its snapshot ``held`` are safe.

        ``anew``: they are all that changed since the last one that held everything. What was remembered instead is
        returned: to free it all at once may take a while.
        """
        self._taken = {taken: keys for taken, keys in self._taken.items() if taken > checkpoint_id}
        if not anew:
            self._confirmed += held
            return []
        forgotten, self._confirmed = self._confirmed, list(held)
        return forgotten
