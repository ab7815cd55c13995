"""Which slots changed since which checkpoint, which are still to be captured, and which keys are gone.

A slot counts as changed once it was touched. While a capture is under way its slots are *pending*: the rows of pending
slots are copied before they change, and each slot is copied once. Keys that were removed are listed for the next
incremental snapshot, but only those that an earlier snapshot may hold: a key that comes and goes between two snapshots
leaves nothing. A checkpoint may fail after its snapshot, so what it held stays changed until a later one is complete.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.kernels.slot_index import BoolArray, Int64Array, distinct_marked
from millstream.taskmanager.state.columnar.columns import grown

_GONE_MIN_ROWS: Final = 1 << 16
_SNAPSHOTS_MAX: Final = 8


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
        self._gone: list[pa.RecordBatch] = []
        self._gone_rows = 0
        self._taken: dict[int, tuple[Int64Array, list[pa.RecordBatch]]] = {}
        """By checkpoint that is not confirmed: slots that had changed, keys that were gone."""

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

    def add_gone(self, identities: pa.RecordBatch) -> None:
        """Keys that ``saved_among`` named, removed."""
        self._gone.append(identities)
        self._gone_rows += identities.num_rows

    def restored(self, slots: Int64Array) -> None:
        """The rows at ``slots`` come from a snapshot."""
        self._saved[slots] = True

    def outgrown(self, live_rows: int) -> bool:
        """Whether the list of what is gone is longer than what is there, so that a full snapshot costs less."""
        gone = self._gone_rows + sum(batch.num_rows for _, taken in self._taken.values() for batch in taken)
        return bool(gone > max(_GONE_MIN_ROWS, live_rows))

    def take(self, checkpoint_id: int, live: BoolArray, slots_end: int, full: bool) -> list[pa.RecordBatch]:
        """At a barrier: make pending what the snapshot holds; the keys that are gone, none in a full snapshot."""
        live = live[:slots_end]
        if self._tracks:
            self._taken[checkpoint_id] = np.flatnonzero(self._changed[:slots_end]), self._gone
            self._changed[:] = False
            self._gone, self._gone_rows = [], 0
            if len(self._taken) > _SNAPSHOTS_MAX:  # many failed in a row: the oldest two count as the younger of them
                first, second = sorted(self._taken)[:2]
                (slots, gone), (more_slots, more_gone) = self._taken.pop(first), self._taken[second]
                self._taken[second] = np.union1d(slots, more_slots), [*gone, *more_gone]
        wanted = self.pending[:slots_end]
        if full:
            wanted[:] = live
        else:
            wanted[:] = False
            for slots, _ in self._taken.values():
                wanted[slots] = True
            wanted &= live
        self._saved[:slots_end] |= wanted
        self.capturing = True
        return [] if full else [batch for _, gone in self._taken.values() for batch in gone]

    def finish(self) -> None:
        """The capture is over, or given up."""
        self.capturing = False
        self.pending[:] = False

    def confirm(self, checkpoint_id: int) -> None:
        """That checkpoint is complete: what its snapshot held is safe."""
        self._taken = {known: taken for known, taken in self._taken.items() if known > checkpoint_id}
