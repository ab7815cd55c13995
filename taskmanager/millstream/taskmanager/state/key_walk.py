"""The keys of some collections, each once and slice by slice: so a snapshot need not put them together while the task
stands still."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any


class KeyWalk:
    """A key may be in several of ``overlapping``; those of ``rest`` share none with each other. Nobody changes them."""

    def __init__(self, overlapping: Iterable[Collection[Any]], rest: Iterable[Collection[Any]] = ()) -> None:
        found = [keys for keys in overlapping if keys]
        self._left = [*found, *(keys for keys in rest if keys)]
        self._left.reverse()
        self._overlapping = len(found)
        self._checks = len(self._left) > 1 and bool(found)
        self._seen: set[Any] = set()
        self._current: Iterator[Any] = iter(())

    def take(self, count: int) -> list[Any]:
        """Up to ``count`` keys; none when all were taken."""
        while True:
            keys = list(islice(self._current, count))
            if not keys:
                if not self._left:
                    return []
                self._current = iter(self._left.pop())
                self._overlapping -= 1
                continue
            if self._checks:
                seen = self._seen
                keys = [key for key in keys if key not in seen]
                if self._overlapping >= 0:
                    seen.update(keys)
            if keys:
                return keys
