"""The rows of keyed state as they were at a barrier, collected while the stream goes on.

At the barrier it is only said which keys are wanted. Their rows are taken in slices between the steps of the task; a
row that is about to change before its turn is copied first. So the task hardly stands still, however large the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from millstream.taskmanager.state.chunks import CHUNK_ROWS, RowChunk
from millstream.taskmanager.state.isolation import frozen
from millstream.taskmanager.state.key_walk import KeyWalk
from millstream.taskmanager.state.tables import SavedTable, StateTable

_MISSING: Final = object()


class CapturedPart(Protocol):
    """Rows of one state, to be taken chunk by chunk."""

    @property
    def table_name(self) -> str: ...

    @property
    def spaced(self) -> bool: ...

    def copy(self, keys: Sequence[Any]) -> None:
        """The rows of these keys are about to change."""
        ...

    def take(self, count: int) -> RowChunk | None:
        """The next rows; None when there are none."""
        ...


@dataclass
class Part:
    """Keys of one table whose rows are wanted."""

    table: StateTable | SavedTable
    spaced: bool
    keys: KeyWalk
    whole: bool = False
    """They are all keys of the table, and some more: those without a row are not worth a word."""
    wanted: Set[Any] | None = None
    """The keys again; None when they may be any."""
    visited: list[list[Any]] = field(default_factory=list)
    """The keys taken so far; of a whole table, those with a row."""
    copies: dict[Any, Any] = field(default_factory=dict)
    """Rows as they were, of keys that changed since the barrier."""

    @property
    def table_name(self) -> str:
        return self.table.name

    def copy(self, keys: Sequence[Any]) -> None:
        copies, rows = self.copies, self.table.rows(self.spaced)
        if self.wanted is not None:
            keys = [key for key in keys if key in self.wanted]
        for key in keys:
            if key not in copies:
                stored = rows.get(key, _MISSING)
                copies[key] = _MISSING if stored is _MISSING else frozen(self.table.pack([stored])[0])

    def take(self, count: int) -> RowChunk | None:
        keys = self.keys.take(count)
        if not keys:
            return None
        copies = self.copies
        copied = [key for key in keys if key in copies] if copies else []
        found, stored, gone = self._unchanged([key for key in keys if key not in copies] if copied else keys)
        for key in copied:
            saved = copies.pop(key)
            if saved is _MISSING:
                gone.append(key)
            else:
                found.append(key)
                stored.append(saved)
        self.visited.append(found if self.whole else keys)
        table = self.table
        gone = [] if self.whole else gone
        return RowChunk(table.name, table.kind, table.with_ttl, self.spaced, found, stored, gone)

    def _unchanged(self, keys: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Keys and rows that are as they were at the barrier, and keys without row; lists that nobody else has."""
        rows, pack = self.table.rows(self.spaced), self.table.pack
        try:
            return keys[:], pack(list(map(rows.__getitem__, keys))), []
        except KeyError:
            found = [key for key in keys if key in rows]
            return found, pack([rows[key] for key in found]), [key for key in keys if key not in rows]


class RowCapture:
    """Hands all rows of ``parts`` to ``take``, chunk by chunk."""

    def __init__(self, parts: Sequence[CapturedPart], take: Callable[[RowChunk], None]) -> None:
        self._left = list(parts)
        self._take = take

    def copy(self, keys: Sequence[Any]) -> None:
        """The rows of these keys are about to change."""
        for part in self._left:
            if not part.spaced:
                part.copy(keys)

    def copy_spaced(self, name: str, key: tuple[Any, Any]) -> None:
        """The same of one (namespace, key) of one state."""
        for part in self._left:
            if part.spaced and part.table_name == name:
                part.copy([key])

    def advance(self) -> bool:
        """Take the next slice; False when nothing is left."""
        while self._left:
            chunk = self._left[0].take(CHUNK_ROWS)
            if chunk is not None:
                self._take(chunk)
                return True
            self._left.pop(0)
        return False
