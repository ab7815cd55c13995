"""Which slots changed since which checkpoint, which are still to be captured, and which keys are gone.

A slot counts as changed once it was touched. While a capture is under way its slots are *pending*: the rows of pending
slots are copied before they change, and each slot is copied once. Keys that were removed are listed for the next
incremental snapshot, but only those that an earlier snapshot may hold: a key that comes and goes between two snapshots
leaves nothing. A checkpoint may fail after its snapshot, so what it held stays changed until a later one is complete.

Changed rows of a table larger than memory may leave it before they are saved; they are logged then, in one order with
the keys that go. When all that is longer than the table, it is dropped: the next snapshot has to be a full one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from millstream.core.kernels.slot_index import BoolArray, Int64Array, distinct_marked
from millstream.taskmanager.state.columnar.columns import grown

_GONE_MIN_ROWS: Final = 1 << 16
_SNAPSHOTS_MAX: Final = 8


class LoggedRows(NamedTuple):
    """Rows, in the columns of a snapshot, that were changed and are not in memory any more."""

    num_rows: int
    read: Callable[[], pa.RecordBatch]
    """``OSError`` when they are not readable."""


Gone: TypeAlias = pa.RecordBatch | LoggedRows
"""Keys that were removed, or rows that were moved out of memory."""


class _Taken(NamedTuple):
    """Of a snapshot that is not confirmed: slots that had changed, and what was gone; all of it unless ``lost``."""

    slots: Int64Array
    gone: list[Gone]
    lost: bool


class SlotChanges:
    """``tracks``: whether there will be incremental snapshots; else nothing is noted between two captures."""

    def __init__(self, tracks: bool) -> None:
        self.pending: BoolArray = np.zeros(0, np.bool_)
        """By slot: its row is wanted by the capture under way and not copied yet."""
        self.capturing = False
        self._tracks = tracks
        self._changed: BoolArray = np.zeros(0, np.bool_)
        self._saved: BoolArray = np.zeros(0, np.bool_)
        """By slot: a snapshot may hold its key."""
        self._gone: list[Gone] = []
        self._gone_rows = 0
        self._lost = False
        """``_gone`` had grown too long, and lacks what came before."""
        self._taken: dict[int, _Taken] = {}
        """By checkpoint that is not confirmed."""

    @property
    def tracks(self) -> bool:
        """Whether there will be incremental snapshots."""
        return self._tracks

    def reserve(self, slots: int) -> None:
        if slots > len(self.pending):
            room = max(slots, 2 * len(self.pending))
            self.pending, self._changed, self._saved = (
                grown(array, room) for array in (self.pending, self._changed, self._saved)
            )

    def touch(self, slots: Int64Array) -> Int64Array:
        """Note that rows are about to change; the slots whose rows have to be copied first."""
        if self._tracks:
            self._changed[slots] = True
        if not self.capturing:
            return slots[:0]
        wanted = distinct_marked(slots, self.pending)
        self.pending[wanted] = False
        return wanted

    def saved_among(self, slots: Int64Array) -> Int64Array:
        """Those of ``slots`` whose removal an incremental snapshot has to tell; they are not saved any more."""
        if not self._tracks:
            return slots[:0]
        saved = slots[self._saved[slots]]
        self._saved[saved] = False
        return saved

    def add_gone(self, gone: Gone) -> None:
        """Keys that ``saved_among`` named, removed; or rows that ``unsaved`` named, moved out of memory."""
        self._gone.append(gone)
        self._gone_rows += gone.num_rows

    def unsaved(self, slots: Int64Array) -> BoolArray:
        """Of each slot, whether its row changed since the last confirmed snapshot."""
        if not self._tracks:
            return np.zeros(len(slots), np.bool_)
        unsaved = self._changed.copy()
        for taken in self._taken.values():
            unsaved[taken.slots] = True
        found: BoolArray = unsaved[slots]
        return found

    def evicted(self, slots: Int64Array, live_rows: int) -> None:
        """The rows at ``slots`` have moved out of memory; the table has ``live_rows`` rows, wherever they are."""
        self._changed[slots] = False
        self._saved[slots] = False
        if self._gone_rows > max(_GONE_MIN_ROWS, live_rows):
            self._gone, self._gone_rows, self._lost = [], 0, True

    @property
    def lost(self) -> bool:
        """Whether the next snapshot is full in any case, so that nothing need be added to what is gone."""
        return self._lost

    def restored(self, slots: Int64Array) -> None:
        """The rows at ``slots`` come from a snapshot."""
        self._saved[slots] = True

    def outgrown(self, live_rows: int) -> bool:
        """Whether the list of what is gone is longer than what is there, so that a full snapshot costs less."""
        gone = self._gone_rows + sum(batch.num_rows for taken in self._taken.values() for batch in taken.gone)
        lost = self._lost or any(taken.lost for taken in self._taken.values())
        return bool(lost or gone > max(_GONE_MIN_ROWS, live_rows))

    def take(self, checkpoint_id: int, live: BoolArray, slots_end: int, full: bool) -> list[Gone]:
        """At a barrier: make pending what the snapshot holds; what is gone, nothing in a full snapshot."""
        live = live[:slots_end]
        if self._tracks:
            self._taken[checkpoint_id] = _Taken(np.flatnonzero(self._changed[:slots_end]), self._gone, self._lost)
            self._changed[:] = False
            self._gone, self._gone_rows, self._lost = [], 0, False
            if len(self._taken) > _SNAPSHOTS_MAX:  # many failed in a row: the oldest two count as the younger of them
                first, second = sorted(self._taken)[:2]
                older, newer = self._taken.pop(first), self._taken[second]
                slots = np.union1d(older.slots, newer.slots)
                self._taken[second] = _Taken(slots, [*older.gone, *newer.gone], older.lost or newer.lost)
        wanted = self.pending[:slots_end]
        if full:
            wanted[:] = live
        else:
            wanted[:] = False
            for taken in self._taken.values():
                wanted[taken.slots] = True
            wanted &= live
        self._saved[:slots_end] |= wanted
        self.capturing = True
        return [] if full else [batch for taken in self._taken.values() for batch in taken.gone]

    def finish(self) -> None:
        """The capture is over, or given up."""
        self.capturing = False
        self.pending[:] = False

    def confirm(self, checkpoint_id: int) -> None:
        """That checkpoint is complete: what its snapshot held is safe."""
        self._taken = {known: taken for known, taken in self._taken.items() if known > checkpoint_id}
