"""Restored rows that stay encoded until their keys are touched.

A restart must not wait until gigabytes have become Python objects. What runs hold is kept in stacked columns
(``core.serde.stacks``) with an index over the hashes of the keys. ``touch`` wakes the rows of its keys: they move to
the dict of their state and never return. A row is either here or in the dict, so whoever needs all rows asks both.
Rows of later runs take the place of those before them.

The index is one sorted array of 64 bits an entry, the first bits of the hash and then the row's number: made by one
sort, searched for a batch of keys at a time. It may name rows of other keys with the same first bits, so keys are
compared when their rows have been found.

Lists, dicts and mixed or pickled values, windows and states with a time to live are not kept like this, nor rows whose
record classes have changed: their rows wake at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from millstream.core.serde.batches import EncodedColumns, encoded_columns
from millstream.core.serde.evolution import ClassFields, have_changed
from millstream.core.serde.stacks import Layout, Rows, Stack, is_stackable, layout_of
from millstream.taskmanager.state.chunks import (
    Chunk,
    EncodedChunk,
    EncodedRows,
    GroupFilter,
    RowChunk,
    as_rows,
    decoded_values,
    reading_state,
)

RESTING_ROWS_MIN: Final = 1 << 16
"""Fewer rows of a state wake at once, which takes a tenth of a second."""

_HASH_MODULUS: Final = (1 << 61) - 1
"""Python's hash of an integer is the remainder by this."""
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
"""An odd number near 2**64 divided by the golden ratio: its multiples differ in the first bits (Knuth, volume 3)."""


class RestingRows:
    """Rows of one state. First ``add`` chunks, then ``seal``, then the rest."""

    def __init__(self, first: EncodedRows, keys: Layout, stored: Layout) -> None:
        self._name = first.name
        self.kind: Final = first.kind
        self._classes: ClassFields = first.classes
        self._keys = Stack(keys)
        self._stored = Stack(stored)
        self._hashes: list[npt.NDArray[np.int64]] = []
        """Of the keys of each chunk, unless they are integers: those are hashed all at once."""
        self._chosen: list[tuple[int, int, GroupFilter]] = []
        """``(first row, end, which of the rows count)``."""
        self._replaced: list[tuple[int, list[Any]]] = []
        """``(row, keys)``: rows of these keys before that row do not count."""
        self._repeats = False
        self._is_here = np.empty(0, np.bool_)
        """By row: not awake, and not replaced by a later run."""
        self._count = 0
        self._index = np.empty(0, np.uint64)
        self._row_bits = np.uint64(1)

    def __len__(self) -> int:
        return self._count

    @property
    def size_bytes(self) -> int:
        """Encoded, of the rows that are here."""
        total = self._keys.size_bytes + self._stored.size_bytes
        return total * self._count // max(1, len(self._is_here))

    def fits(self, rows: EncodedRows, keys: Layout, stored: Layout) -> bool:
        """Whether a chunk is like those that were added."""
        return (
            keys == self._keys.layout
            and stored == self._stored.layout
            and rows.classes == self._classes
            and rows.kind == self.kind
        )

    def add(self, keys: EncodedColumns, stored: EncodedColumns, chosen: GroupFilter | None, *, anew: bool) -> None:
        """The rows of a chunk; only the ``chosen`` ones. ``anew``: none of its keys is here."""
        self._repeats |= not anew
        if chosen is not None:
            self._chosen.append((len(self._keys), len(self._keys) + keys.rows, chosen))
        if not self._keys.is_integers:
            with reading_state(self._name, self._classes):
                self._hashes.append(_hashes_of(decoded_values(keys.data)))
        self._keys.add(keys)
        self._stored.add(stored)

    def replace(self, keys: list[Any]) -> None:
        """The rows of these keys that were added so far do not count."""
        self._replaced.append((len(self._keys), keys))

    def seal(self) -> None:
        """No more chunks come."""
        self._keys.seal()
        self._stored.seal()
        hashes = _hashes_of(self._keys.integers()) if self._keys.is_integers else np.concatenate(self._hashes)
        self._is_here = np.ones(len(hashes), np.bool_)
        for first, end, chosen in self._chosen:
            self._is_here[first:end] = chosen.holds(self._keys_of(np.arange(first, end)))
        self._row_bits = np.uint64(max(1, (len(hashes) - 1).bit_length()))
        index = _spread(hashes)
        index &= ~self._row_mask
        index |= np.arange(len(index), dtype=np.uint64)
        index.sort()
        self._index = index
        if self._repeats:
            self._keep_last()
        for end, replaced in self._replaced:
            rows = self._find(replaced)
            self._is_here[rows[rows < end]] = False
        self._count = int(np.count_nonzero(self._is_here))
        self._chosen, self._hashes, self._replaced = [], [], []

    def take(self, keys: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """``(keys, rows)`` of those of the keys that are here; not any more."""
        rows = self._find(keys)
        return self._leave(rows) if len(rows) else ([], [])

    def rest(self) -> tuple[list[Any], list[Any]]:
        """All rows that are here; none is afterwards."""
        return self._leave(np.flatnonzero(self._is_here))

    def part(self) -> RestingPart:
        """All rows that are here now, for a snapshot."""
        return RestingPart(self._name, np.packbits(self._is_here), self._chunk)

    @property
    def _row_mask(self) -> np.uint64:
        return (np.uint64(1) << self._row_bits) - np.uint64(1)

    def _keep_last(self) -> None:
        """Of the rows of one key only the last counts. Those of one key have equal bits of the hash."""
        bits = self._index & ~self._row_mask
        equal = np.flatnonzero(bits[1:] == bits[:-1])
        rows = np.unique(self._index[np.concatenate((equal, equal + 1))] & self._row_mask).astype(np.int64)
        rows = rows[self._is_here[rows]]
        last = dict(zip(self._keys_of(rows), rows.tolist(), strict=True))
        self._is_here[rows] = False
        self._is_here[list(last.values())] = True

    def _find(self, keys: Sequence[Any]) -> Rows:
        """The rows of these keys, each once."""
        if not keys:
            return np.empty(0, np.int64)
        index, mask = self._index, self._row_mask
        wanted = _spread(_hashes_of(keys)) & ~mask
        places = np.searchsorted(index, wanted)
        found: list[npt.NDArray[np.uint64]] = []
        while len(places):
            entries = index[np.minimum(places, len(index) - 1)]
            same = (places < len(index)) & (entries & ~mask == wanted)
            found.append(entries[same] & mask)
            places, wanted = places[same] + 1, wanted[same]
        rows = np.unique(np.concatenate(found)).astype(np.int64)
        rows = rows[self._is_here[rows]]
        asked = set(keys)
        own = [key in asked for key in self._keys_of(rows)]
        return rows if all(own) else rows[own]

    def _leave(self, rows: Rows) -> tuple[list[Any], list[Any]]:
        taken = self._keys_of(rows), self._stored_of(rows)
        self._is_here[rows] = False
        self._count -= len(rows)
        return taken

    def _chunk(self, rows: Rows) -> RowChunk:
        return RowChunk(self._name, self.kind, False, False, self._keys_of(rows), self._stored_of(rows), [])

    def _keys_of(self, rows: Rows) -> list[Any]:
        with reading_state(self._name, self._classes):
            return self._keys.values(rows)

    def _stored_of(self, rows: Rows) -> list[Any]:
        with reading_state(self._name, self._classes):
            return self._stored.values(rows)


class RestingPart:
    """Implements ``CapturedPart``: what was here at a barrier. Rows that woke since are still there to be read."""

    spaced: Final = False

    def __init__(self, table_name: str, is_here: npt.NDArray[np.uint8], chunk: Callable[[Rows], RowChunk]) -> None:
        """``is_here`` has a bit a row: the task stands still while it is made."""
        self.table_name: Final = table_name
        self._is_here = is_here
        self._chunk = chunk
        self._next = 0

    def copy(self, keys: Sequence[Any]) -> None:
        """Nothing to do: encoded rows do not change."""

    def take(self, count: int) -> RowChunk | None:
        while self._next < len(self._is_here) * 8:
            first, self._next = self._next, self._next + count
            bits = np.unpackbits(self._is_here[first >> 3 : (self._next + 7) >> 3])
            rows = np.flatnonzero(bits[first & 7 :][:count]) + first
            if len(rows):
                return self._chunk(rows)
        return None


class RestingStates:
    """The resting rows of all states of a backend, by the state's name."""

    def __init__(self) -> None:
        self._states: dict[str, RestingRows] = {}

    def __bool__(self) -> bool:
        return bool(self._states)

    def __len__(self) -> int:
        """Rows."""
        return sum(map(len, self._states.values()))

    @property
    def size_bytes(self) -> int:
        return sum(resting.size_bytes for resting in self._states.values())

    def sift(self, chunks: Iterable[Chunk | EncodedChunk]) -> Iterator[RowChunk]:
        """Keep the rows that can rest, and hand on the others, in order."""
        awake_states: set[str] = set()
        for chunk in chunks:
            if isinstance(chunk, EncodedChunk) and self._keep(chunk, awake_states):
                continue
            awake = as_rows(chunk)
            resting = self._states.get(awake.name)
            if not awake.spaced:
                awake_states.add(awake.name)
                if resting is not None and not (isinstance(chunk, EncodedChunk) and chunk.full):
                    resting.replace(awake.keys + awake.gone)
            yield awake
        for name, resting in list(self._states.items()):
            resting.seal()
            if len(resting) < RESTING_ROWS_MIN:
                del self._states[name]
                yield RowChunk(name, resting.kind, False, False, *resting.rest(), [])

    def kinds(self) -> dict[str, str]:
        """The kind of each state with such rows."""
        return {name: resting.kind for name, resting in self._states.items()}

    def wake(self, name: str, keys: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """``(keys, rows)`` of those of the keys that rest."""
        resting = self._states[name]
        taken = resting.take(keys)
        if not resting:
            del self._states[name]
        return taken

    def wake_all(self, name: str) -> tuple[list[Any], list[Any]]:
        """The same of all keys of one state."""
        resting = self._states.pop(name, None)
        return ([], []) if resting is None else resting.rest()

    def names(self) -> list[str]:
        return list(self._states)

    def parts(self) -> list[RestingPart]:
        """All rows that rest now, for a snapshot."""
        return [resting.part() for resting in self._states.values()]

    def _keep(self, chunk: EncodedChunk, awake_states: set[str]) -> bool:
        """Whether the rows can rest, and do from now on."""
        rows = chunk.rows()
        if rows is None or rows.spaced or rows.with_ttl or rows.keys is None or rows.stored is None:
            return False
        if rows.name in awake_states and not chunk.full:
            return False  # it takes the place of rows that are awake
        keys, stored = encoded_columns(rows.keys), encoded_columns(rows.stored)
        of_keys, of_stored = layout_of(keys), layout_of(stored)
        resting = self._states.get(rows.name)
        if resting is None:
            if not is_stackable(of_keys) or not is_stackable(of_stored) or have_changed(rows.classes):
                return False
            resting = self._states[rows.name] = RestingRows(rows, of_keys, of_stored)
        if not resting.fits(rows, of_keys, of_stored):
            return False
        if rows.gone is not None:
            resting.replace(decoded_values(rows.gone))
        resting.add(keys, stored, chunk.chosen, anew=chunk.full)
        return True


def _hashes_of(keys: Sequence[Any] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Python's hashes, equal for equal keys."""
    if not isinstance(keys, np.ndarray):
        return np.fromiter(map(hash, keys), np.int64, len(keys))
    if not ((keys > -_HASH_MODULUS) & (keys < _HASH_MODULUS)).all():
        return np.fromiter(map(hash, keys.tolist()), np.int64, len(keys))
    return np.where(keys == -1, -2, keys)


def _spread(hashes: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """The hashes with differences in their first bits."""
    bits = hashes.view(np.uint64)
    spread: npt.NDArray[np.uint64] = (bits ^ (bits >> np.uint64(32))) * _SPREAD
    return spread
