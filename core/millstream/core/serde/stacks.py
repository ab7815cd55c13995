"""Encoded object batches, one behind the other, of which values are made by row.

Large state is restored in this form: to make Python objects of all its rows takes longer than to read them, and many
are not asked for soon. Columns of numbers become one array each. Text stays as it is; where its rows begin and end is
found a batch at a time, when the first of its rows is asked for. Columns of msgpack cannot be taken apart by row, so
batches with such a column are not stacked.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from millstream.core.errors import MalformedRecordError
from millstream.core.serde.batches import EncodedColumns
from millstream.core.serde.columns import BOOL, FLOAT64, INT64, NONE, TEXT
from millstream.core.serde.shapes import SCALAR, from_columns

Rows = npt.NDArray[np.int64]
"""Numbers of rows, from 0 in the first batch."""

_NUMBERS: Final[dict[int, Any]] = {INT64: np.int64, FLOAT64: np.float64, BOOL: np.bool_}


class Layout(NamedTuple):
    """What the batches of a stack have in common."""

    shape: int
    detail: Any
    """What the shape needs."""
    encodings: list[int]
    """Of the columns."""


def layout_of(batch: EncodedColumns) -> Layout:
    """Batches with equal layouts can be stacked, if any can."""
    return Layout(batch.shape, batch.detail, [encoding for encoding, _, _ in batch.columns])


def is_stackable(layout: Layout) -> bool:
    """Whether values can be taken from such batches by row."""
    return bool(layout.encodings) and all(encoding in _COLUMNS for encoding in layout.encodings)


class Stack:
    """First ``add`` batches, all of ``layout``; then ``seal``; then ask for ``values``."""

    def __init__(self, layout: Layout) -> None:
        self.layout: Final = layout
        self.size_bytes = 0
        self._rows = 0
        self._columns: list[_Column] = [_COLUMNS[encoding](encoding) for encoding in layout.encodings]

    def __len__(self) -> int:
        return self._rows

    def add(self, batch: EncodedColumns) -> None:
        for column, (_, begin, end) in zip(self._columns, batch.columns, strict=True):
            column.add(batch.data, begin, end, batch.rows)
        self._rows += batch.rows
        self.size_bytes += len(batch.data)

    def seal(self) -> None:
        """No more batches come."""
        for column in self._columns:
            column.seal()

    def values(self, rows: Rows) -> list[Any]:
        """The values of some rows, of the types and in the shape in which they were encoded."""
        return from_columns(self.layout.shape, self.layout.detail, [column.take(rows) for column in self._columns])

    @property
    def is_integers(self) -> bool:
        """Whether all values are integers of 64 bits."""
        return self.layout.shape == SCALAR and self.layout.encodings == [INT64]

    def integers(self) -> npt.NDArray[np.int64]:
        """All values of a sealed stack of integers."""
        (column,) = self._columns
        assert isinstance(column, _Numbers)
        values: npt.NDArray[np.int64] = column.values
        return values


class _Column(Protocol):
    """One column of all batches."""

    def __init__(self, encoding: int) -> None: ...

    def add(self, data: bytes, begin: int, end: int, rows: int) -> None: ...

    def seal(self) -> None: ...

    def take(self, rows: Rows) -> list[Any]: ...


class _Numbers:
    """One array."""

    def __init__(self, encoding: int) -> None:
        self._type = np.dtype(_NUMBERS[encoding])
        self._parts: list[Any] = []
        self.values: Any = np.empty(0, self._type)

    def add(self, data: bytes, begin: int, end: int, rows: int) -> None:
        if end - begin != rows * self._type.itemsize:
            raise MalformedRecordError(f"a column of {rows} numbers has {end - begin} bytes")
        self._parts.append(np.frombuffer(data, self._type, rows, begin))

    def seal(self) -> None:
        if self._parts:
            self.values = np.concatenate(self._parts)
            self._parts = []

    def take(self, rows: Rows) -> list[Any]:
        taken: list[Any] = self.values[rows].tolist()
        return taken


class _Texts:
    """Pieces of text as they were encoded, one a batch, and where its rows end once somebody asked."""

    def __init__(self, encoding: int) -> None:
        self._pieces: list[tuple[bytes, int, int]] = []
        self._sizes: list[int] = []
        self._firsts: Rows = np.zeros(1, np.int64)
        """The first row of each piece, and the number of all rows."""
        self._ends: Rows = np.empty(0, np.int64)
        """Where rows of cut pieces end, in bytes of the piece's data."""
        self._is_cut = np.zeros(0, np.bool_)

    def add(self, data: bytes, begin: int, end: int, rows: int) -> None:
        self._pieces.append((data, begin, end))
        self._sizes.append(rows)

    def seal(self) -> None:
        self._firsts = np.concatenate(([0], np.cumsum(self._sizes, dtype=np.int64)))
        self._ends = np.empty(self._firsts[-1], np.int64)
        self._is_cut = np.zeros(len(self._pieces), np.bool_)

    def take(self, rows: Rows) -> list[Any]:
        if not len(rows):
            return []
        of_rows = np.searchsorted(self._firsts, rows, "right") - 1
        for uncut in np.unique(of_rows[~self._is_cut[of_rows]]).tolist():
            self._cut(uncut)
        pieces = self._pieces
        before = self._ends[rows - 1] + 1  # behind the NUL
        is_first = self._firsts[of_rows] == rows
        begins, ends = before.tolist(), self._ends[rows].tolist()
        places = of_rows.tolist()
        for i in np.flatnonzero(is_first).tolist():
            begins[i] = pieces[places[i]][1]
        return [
            pieces[place][0][begin:end].decode("utf-8", "surrogatepass")
            for place, begin, end in zip(places, begins, ends, strict=True)
        ]

    def _cut(self, place: int) -> None:
        data, begin, end = self._pieces[place]
        first, stop = self._firsts[place], self._firsts[place + 1]
        cuts = np.flatnonzero(np.frombuffer(data, np.uint8, end - begin, begin) == 0)
        if len(cuts) != stop - first - 1:
            raise MalformedRecordError(f"a column of {stop - first} texts has {len(cuts) + 1}")
        self._ends[first : stop - 1] = cuts + begin
        self._ends[stop - 1] = end
        self._is_cut[place] = True


class _Nothing:
    """None in every row."""

    def __init__(self, encoding: int) -> None: ...

    def add(self, data: bytes, begin: int, end: int, rows: int) -> None: ...

    def seal(self) -> None: ...

    def take(self, rows: Rows) -> list[Any]:
        return [None] * len(rows)


_COLUMNS: Final[dict[int, type[_Column]]] = {
    INT64: _Numbers,
    FLOAT64: _Numbers,
    BOOL: _Numbers,
    TEXT: _Texts,
    NONE: _Nothing,
}
