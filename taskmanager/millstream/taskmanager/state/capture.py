"""The rows of keyed state as they were at a barrier, collected while the stream goes on.

At the barrier only the keys are listed. Rows are taken in slices between the steps of the task; a row that is about to
change before its turn is copied first. So the task stands still for the list of keys alone, however large the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from millstream.taskmanager.state.chunks import CHUNK_ROWS, RowChunk
from millstream.taskmanager.state.isolation import frozen
from millstream.taskmanager.state.tables import SavedTable, StateTable

_MISSING: Final = object()
_NOT_COPIED: Final = object()


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
    keys: list[Any]
    position: int = 0
    copies: dict[Any, Any] = field(default_factory=dict)
    """Rows as they were, of keys that changed since the barrier."""

    @property
    def table_name(self) -> str:
        return self.table.name

    @property
    def rows(self) -> dict[Any, Any]:
        return self.table.spaced if self.spaced else self.table.plain

    def copy(self, keys: Sequence[Any]) -> None:
        copies, rows = self.copies, self.rows
        for key in keys:
            if key not in copies:
                stored = rows.get(key, _MISSING)
                copies[key] = _MISSING if stored is _MISSING else frozen(self.table.pack([stored])[0])

    def take(self, count: int) -> RowChunk | None:
        keys = self.keys[self.position : self.position + count]
        if not keys:
            return None
        self.position += len(keys)
        if not self.copies:
            try:
                return self._chunk(keys, self.table.pack(list(map(self.rows.__getitem__, keys))), [])
            except KeyError:  # a row was removed
                pass
        return self._take_slowly(keys)

    def _take_slowly(self, keys: list[Any]) -> RowChunk:
        found: list[Any] = []
        values: list[Any] = []
        gone: list[Any] = []
        copies, rows, pack = self.copies, self.rows, self.table.pack
        for key in keys:
            saved = copies.pop(key, _NOT_COPIED)
            if saved is _NOT_COPIED:
                saved = rows.get(key, _MISSING)
                if saved is not _MISSING:
                    saved = pack([saved])[0]
            if saved is _MISSING:
                gone.append(key)
            else:
                found.append(key)
                values.append(saved)
        return self._chunk(found, values, gone)

    def _chunk(self, keys: list[Any], stored: list[Any], gone: list[Any]) -> RowChunk:
        table = self.table
        return RowChunk(table.name, table.kind, table.with_ttl, self.spaced, keys, stored, gone)


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
