"""Snapshots of window state: rows sorted into key groups, so that they can move between subtasks."""

from __future__ import annotations

from typing import Any

from millstream.core.keys import KeyGroupCache, key_groups


class GroupedRows:
    """Rows of state by the key group of their key."""

    def __init__(self, max_parallelism: int) -> None:
        self._max_parallelism = max_parallelism
        self._cache = KeyGroupCache(max_parallelism)
        self.groups: dict[int, list[Any]] = {}

    def add_rows(self, keys: list[Any], rows: list[Any]) -> None:
        """``rows[i]`` belongs to ``keys[i]``."""
        if not keys:
            return
        groups = key_groups(keys, self._max_parallelism, self._cache)
        for group, row in zip(groups.tolist(), rows, strict=True):
            self.groups.setdefault(group, []).append(row)
