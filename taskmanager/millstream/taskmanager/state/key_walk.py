"""Each key of some lists once, slice by slice: what a snapshot has to visit, not put together while the task stands."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any


class KeyWalk:
    """A key may be in several of ``lists``. Those of ``rest`` share none with each other; no list holds a key twice."""

    def __init__(self, lists: Iterable[list[Any]], rest: Iterable[list[Any]] = ()) -> None:
        overlapping = [keys for keys in lists if keys]
        self._left = deque(overlapping)
        self._left.extend(keys for keys in rest if keys)
        self._overlapping = len(overlapping)
        self._seen: set[Any] = set()
        self._checks = len(self._left) > 1 and self._overlapping > 0
        self._position = 0

    def take(self, count: int) -> list[Any]:
        """Up to ``count`` keys; none when all were taken."""
        while self._left:
            current = self._left[0]
            keys = current[self._position : self._position + count]
            if self._checks:
                seen = self._seen
                keys = [key for key in keys if key not in seen]
                if self._overlapping:
                    seen.update(keys)
            self._position += count
            if self._position >= len(current):
                self._left.popleft()
                self._overlapping = max(0, self._overlapping - 1)
                self._position = 0
            if keys:
                return keys
        return []
