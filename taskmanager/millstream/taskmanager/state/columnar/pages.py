"""Columns by slot of which a share is in memory: pages of slots come and go between frames and RocksDB.

A frame is room for one page in ordinary columns. What is asked for is brought into frames in one call, and pages that
were not used since the hand of a clock last passed them make room; those that changed are written in one batch. Of a
call that needs a large part of the frames, and of snapshots, pages are read past the frames.

Slots keep their meaning wherever their page is, so that whoever remembers slots need not know of pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.kernels.slot_index import BoolArray, Int64Array
from millstream.taskmanager.state.columnar.clock_hand import ClockHand
from millstream.taskmanager.state.columnar.columns import Column, column_for, grown
from millstream.taskmanager.state.columnar.local_database import Spilling
from millstream.taskmanager.state.columnar.page_store import PAGE_BITS, PAGE_ROWS, PageStore

_IN_PAGE: Final = PAGE_ROWS - 1
_OUTSIDE: Final = -1
"""The frame of a page that has none, and the page of a frame that is free."""
_CHECKED_CALLS: Final = 64
"""The size of rows may change: it is measured again after so many calls."""
_PART_PAGES: Final = 1 << 10
"""So many pages are decoded at a time."""


class Pages:
    """The columns of ``schema``. Values that were never set, or were cleared, are null.

    Raises ``ExternalError`` when RocksDB fails.
    """

    frames_min: ClassVar[int] = 1
    """So many pages may be in memory however small the share is."""

    def __init__(self, spilling: Spilling, schema: pa.Schema) -> None:
        self.schema = schema
        self._store = PageStore(spilling, schema.types)
        self._columns: dict[str, Column] = {field.name: column_for(field.type) for field in schema}
        """By place: a frame's number times ``PAGE_ROWS``, and the row's place in its page."""
        self._frame_of: Int64Array = np.empty(0, np.int64)
        self._stored: BoolArray = np.zeros(0, np.bool_)
        """By page: it is in the database, perhaps not as it is now."""
        self._cleared: BoolArray = np.zeros(0, np.bool_)
        """By slot: it was cleared while its page was outside, where it is as before."""
        self._page_of: Int64Array = np.empty(0, np.int64)
        self._changed: BoolArray = np.zeros(0, np.bool_)
        """By frame: the database does not have it as it is now."""
        self._hand = ClockHand()
        self._taken = 0
        """Frames with a page."""
        self._frames_max = self.frames_min
        self._calls = 0

    @property
    def directory(self) -> Path:
        """For further files of the table. ``OSError``."""
        return self._store.directory

    def reserve(self, slots: int) -> None:
        """Make room for the slots below ``slots``."""
        pages = (slots + _IN_PAGE) >> PAGE_BITS
        before = len(self._frame_of)
        if pages > before:
            pages = max(pages, 2 * before)
            self._frame_of, self._stored = grown(self._frame_of, pages), grown(self._stored, pages)
            self._frame_of[before:] = _OUTSIDE
            self._cleared = grown(self._cleared, pages * PAGE_ROWS)

    def put(self, slots: Int64Array, names: Sequence[str], columns: Sequence[pa.Array]) -> None:
        """Set the columns ``names``: value ``i`` at ``slots[i]``; of equal slots the last value stays."""
        if not names:
            return
        for chosen in self._parts(slots):
            places = self._places(slots if chosen is None else slots[chosen])
            self._changed[places >> PAGE_BITS] = True
            for name, values in zip(names, columns, strict=True):
                self._columns[name].set(places, values if chosen is None else values.take(pa.array(chosen)))

    def gather(self, slots: Int64Array, names: Sequence[str], keeps: bool = True) -> list[pa.Array]:
        """The columns ``names`` at ``slots``; pages that come from disk stay in memory if ``keeps``."""
        if not names:
            return []
        pages = slots >> PAGE_BITS
        frames = self._frame_of[pages]
        outside = frames < 0
        missing = np.unique(pages[outside])
        if not len(missing) or (keeps and self._have_room_for(missing, frames[~outside])):
            places = self._places(slots)
            return [self._columns[name].gather(places) for name in names]
        inside = np.flatnonzero(~outside)
        places = (frames[inside] << PAGE_BITS) | (slots[inside] & _IN_PAGE)
        found, pieces = [inside], [[self._columns[name].gather(places) for name in names]]
        cold = np.flatnonzero(outside)
        cold = cold[np.argsort(pages[cold], kind="stable")]
        starts = np.searchsorted(pages[cold], missing)
        for first in range(0, len(missing), _PART_PAGES):
            end = starts[first + _PART_PAGES] if first + _PART_PAGES < len(missing) else len(cold)
            part = cold[starts[first] : end]
            found.append(part)
            pieces.append(self._read(slots[part], missing[first : first + _PART_PAGES], names))
        order: Int64Array = np.empty(len(slots), np.int64)
        order[np.concatenate(found)] = np.arange(len(slots))
        taken = pa.array(order)
        return [pa.concat_arrays(parts).take(taken) for parts in zip(*pieces, strict=True)]

    def clear(self, slots: Int64Array) -> None:
        """Make all columns null at ``slots``."""
        if not self._columns:
            return
        frames = self._frame_of[slots >> PAGE_BITS]
        inside = frames >= 0
        if inside.any():
            places = (frames[inside] << PAGE_BITS) | (slots[inside] & _IN_PAGE)
            for column in self._columns.values():
                column.clear(places)
            self._changed[frames[inside]] = True
        if inside.all():
            return
        cold = slots[~inside]
        self._cleared[cold] = True
        pages = np.unique(cold >> PAGE_BITS)
        empty = pages[self._stored[pages] & self._cleared.reshape(-1, PAGE_ROWS)[pages].all(axis=1)]
        if len(empty):
            self._store.delete(empty)
            self._stored[empty] = False

    def estimated_bytes(self) -> int:
        arrays: Sequence[npt.NDArray[Any]] = (self._frame_of, self._stored, self._cleared, self._page_of)
        return sum(array.nbytes for array in arrays) + self._memory_bytes() + self._store.estimated_bytes()

    def close(self) -> None:
        """Delete what is on disk."""
        self._store.close()

    # -- frames -------------------------------------------------------------------------------------------------

    def _have_room_for(self, missing: Int64Array, frames: Int64Array) -> bool:
        """Whether pages may come in beside ``frames`` without driving most others out."""
        few = len(missing) <= max(1, self._frames_max >> 2)
        return few and len(missing) + len(np.unique(frames)) <= self._frames_max

    def _parts(self, slots: Int64Array) -> Iterator[Int64Array | None]:
        """Positions in ``slots`` of parts whose pages fit into the frames together; None for all of them."""
        room = max(1, self._frames_max >> 1)
        pages = slots >> PAGE_BITS
        if len(slots) <= room or len(distinct := np.unique(pages)) <= room:
            yield None
            return
        order = np.argsort(pages, kind="stable")
        bounds = np.searchsorted(pages[order], distinct[room::room])
        yield from np.split(order, bounds)

    def _places(self, slots: Int64Array) -> Int64Array:
        """Where the slots are in the columns, after their pages were brought into frames."""
        pages = slots >> PAGE_BITS
        frames = self._frame_of[pages]
        outside = frames < 0
        if outside.any():
            self._bring_in(np.unique(pages[outside]), np.unique(frames[~outside]))
            frames = self._frame_of[pages]
        self._hand.used[frames] = True
        places: Int64Array = (frames << PAGE_BITS) | (slots & _IN_PAGE)
        return places

    def _bring_in(self, pages: Int64Array, kept: Int64Array) -> None:
        """Give frames to pages that have none; the frames ``kept`` stay what they are."""
        frames = self._free_frames(len(pages), kept)
        self._frame_of[pages] = frames
        self._page_of[frames] = pages
        self._taken += len(pages)
        known = self._stored[pages]
        for start in range(0, int(known.sum()), _PART_PAGES):
            chosen = pages[known][start : start + _PART_PAGES]
            places = _spread(self._frame_of[chosen])
            for name, values in zip(self.schema.names, self._store.get(chosen), strict=True):
                self._columns[name].set(places, values)
        slots = _spread(pages)
        gone = self._cleared[slots]
        if gone.any():
            places = _spread(frames)[gone]
            for column in self._columns.values():
                column.clear(places)
            self._cleared[slots[gone]] = False
            self._changed[places >> PAGE_BITS] = True

    def _free_frames(self, count: int, kept: Int64Array) -> Int64Array:
        self._calls += 1
        wanted = self._taken + count
        if wanted > self._frames_max or self._calls % _CHECKED_CALLS == 0:
            self._frames_max = self._measured_max()
            if wanted > self._frames_max:
                self._evict(wanted - self._frames_max * 7 // 8, kept)
        free = np.flatnonzero(self._page_of < 0)[:count]
        if len(free) < count:
            before = len(self._page_of)
            room = max(before + count - len(free), min(2 * before, self._frames_max))
            self._page_of, self._changed = grown(self._page_of, room), grown(self._changed, room)
            self._page_of[before:] = _OUTSIDE
            self._hand.reserve(room)
            for column in self._columns.values():
                column.reserve(room << PAGE_BITS)
            free = np.flatnonzero(self._page_of < 0)[:count]
        return free

    def _measured_max(self) -> int:
        """Arrays double: they may when twice as much fits; else there are as many frames as fit now."""
        budget, taken, room = self._store.budget_bytes, max(1, self._memory_bytes()), len(self._page_of)
        frames = 2 * room if 2 * taken <= budget else min(room, room * budget // taken)
        return max(self.frames_min, frames)

    def _evict(self, count: int, kept: Int64Array) -> None:
        """Free the coldest frames, at most ``count`` and none of ``kept``."""
        candidates = self._page_of >= 0
        candidates[kept] = False
        held = np.flatnonzero(candidates)
        count = min(count, len(held))
        if not count:
            return
        frames = self._hand.coldest(held, count)
        self._write(np.sort(frames[self._changed[frames]]))
        places = _spread(frames)
        for column in self._columns.values():
            column.clear(places)
        self._frame_of[self._page_of[frames]] = _OUTSIDE
        self._page_of[frames] = _OUTSIDE
        self._taken -= len(frames)

    def _write(self, frames: Int64Array) -> None:
        for start in range(0, len(frames), _PART_PAGES):
            part = frames[start : start + _PART_PAGES]
            part = part[np.argsort(self._page_of[part])]
            places = _spread(part)
            self._store.put(self._page_of[part], [column.gather(places) for column in self._columns.values()])
        self._stored[self._page_of[frames]] = True
        self._changed[frames] = False

    def _read(self, slots: Int64Array, pages: Int64Array, names: Sequence[str]) -> list[pa.Array]:
        """Columns at slots of ``pages``, which are outside and stay there."""
        stored = pages[self._stored[pages]]
        if not len(stored):
            return [pa.nulls(len(slots), self.schema.field(name).type) for name in names]
        of_slots = slots >> PAGE_BITS
        index = np.minimum(np.searchsorted(stored, of_slots), len(stored) - 1)
        there = ~self._cleared[slots] & (stored[index] == of_slots)
        rows = (index[there] << PAGE_BITS) | (slots[there] & _IN_PAGE)
        columns = self._store.get(stored, rows)
        found = [columns[self.schema.get_field_index(name)] for name in names]
        if there.all():
            return found
        places = pa.array(np.cumsum(there) - 1, mask=~there)
        return [column.take(places) for column in found]

    def _memory_bytes(self) -> int:
        """Of frames: what is in memory for each page, wherever it is, cannot leave."""
        return sum(column.estimated_bytes() for column in self._columns.values())


def _spread(pages: Int64Array) -> Int64Array:
    """All slots of pages, or places of frames."""
    spread: Int64Array = ((pages[:, None] << PAGE_BITS) | np.arange(PAGE_ROWS)).ravel()
    return spread
