"""Which keys changed since which checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Set
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
        self._lists: list[tuple[int, list[Any]]] = []

    def take(self, checkpoint_id: int) -> Set[Any]:
        """At a snapshot: the keys changed since the last confirmed one."""
        self._taken[checkpoint_id] = self.keys
        self.keys = set()
        if len(self._taken) > _SNAPSHOTS_MAX:  # many failed in a row: the oldest two count as the younger of them
            first, second = sorted(self._taken)[:2]
            self._taken[second] |= self._taken.pop(first)
        changed = set().union(*self._taken.values()) if len(self._taken) > 1 else self._taken[checkpoint_id]
        # Everything taken before and not confirmed is in this list: the others need not be kept.
        oldest = min(self._taken)
        self._lists = [(taken, keys) for taken, keys in self._lists if taken < oldest]
        self._lists.append((checkpoint_id, list(changed)))
        return changed

    def since_full(self) -> list[list[Any]]:
        """The keys that snapshots found changed since the last full one, the youngest first; a key may be in several.

        The first of these lists is what was taken last.
        """
        return [keys for _, keys in reversed(self._lists)]

    def confirm(self, checkpoint_id: int) -> None:
        """The checkpoint is complete; what its snapshot held is safe."""
        self._taken = {taken: keys for taken, keys in self._taken.items() if taken > checkpoint_id}

    def replace(self, checkpoint_id: int, lists: Iterable[list[Any]]) -> None:
        """A confirmed checkpoint holds all that changed up to it: the keys in ``lists``, none if it was full."""
        later = [(taken, keys) for taken, keys in self._lists if taken > checkpoint_id]
        self._lists = [*((checkpoint_id, keys) for keys in lists), *later]
