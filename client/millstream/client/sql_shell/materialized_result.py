"""The rows of a query as its changes leave them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from millstream.core.elements.batch import RowKind

Row = tuple[str, ...]
_ADDS: Final = (RowKind.INSERT, RowKind.UPDATE_AFTER)
_HOLES_MIN: Final = 1000


class MaterializedResult:
    """A bag of rows. An update takes the place of the row it replaces. Holds ``rows_max`` rows; the oldest go."""

    def __init__(self, rows_max: int) -> None:
        self._rows_max = rows_max
        self._slots: deque[Row | None] = deque()
        """Rows in order; None where one was removed."""
        self._first = 0
        """Place of the first slot: places are counted on when slots go at the front."""
        self._places: dict[Row, list[int]] = {}
        self._vacated: deque[int] = deque()
        """Places that updates have left and not taken again."""
        self._count = 0
        self.changes = 0
        """Changes applied so far."""
        self.dropped = 0
        """Rows that went because there were too many."""

    def __len__(self) -> int:
        return self._count

    def apply(self, kind: RowKind, row: Row) -> None:
        """One change; the removal of a row that is not there (it was dropped) changes nothing."""
        self.changes += 1
        if kind not in _ADDS:
            self._remove(kind, row)
            return
        if kind is RowKind.UPDATE_AFTER and self._vacated:
            place = self._vacated.popleft()
            self._slots[place - self._first] = row
        else:
            place = self._first + len(self._slots)
            self._slots.append(row)
        self._places.setdefault(row, []).append(place)
        self._count += 1
        while self._count > self._rows_max:
            self._drop_first()

    def rows(self, start: int = 0, count: int | None = None) -> list[Row]:
        """``count`` rows from the ``start``-th on."""
        stop = None if count is None else start + count
        return list(islice((row for row in self._slots if row is not None), start, stop))

    def _remove(self, kind: RowKind, row: Row) -> None:
        places = self._places.get(row)
        if not places:
            return
        place = places.pop()
        if not places:
            del self._places[row]
        self._slots[place - self._first] = None
        self._count -= 1
        if kind is RowKind.UPDATE_BEFORE:
            self._vacated.append(place)
        elif len(self._slots) - self._count > max(self._count, _HOLES_MIN):
            self._close_holes()

    def _drop_first(self) -> None:
        row = self._slots.popleft()
        place, self._first = self._first, self._first + 1
        if row is None:
            if place in self._vacated:
                self._vacated.remove(place)
            return
        self._places[row].remove(place)
        if not self._places[row]:
            del self._places[row]
        self._count -= 1
        self.dropped += 1

    def _close_holes(self) -> None:
        """Renumber the places; those that an update may still take stay."""
        kept = set(self._vacated)
        slots: deque[Row | None] = deque()
        self._places, self._vacated = {}, deque()
        for place, row in enumerate(self._slots, self._first):
            if row is not None:
                self._places.setdefault(row, []).append(len(slots))
            elif place in kept:
                self._vacated.append(len(slots))
            else:
                continue
            slots.append(row)
        self._slots, self._first = slots, 0


class ChangeLog:
    """The last changes as rows with their kind in front."""

    def __init__(self, rows_max: int) -> None:
        self._rows: deque[Row] = deque(maxlen=rows_max)
        self.changes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def apply(self, kind: RowKind, row: Row) -> None:
        self.changes += 1
        self._rows.append((str(kind), *row))

    def rows(self, start: int = 0, count: int | None = None) -> Sequence[Row]:
        return list(islice(self._rows, start, None if count is None else start + count))
