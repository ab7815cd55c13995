"""The rows of one columnar state as they were at a barrier, gathered while the stream goes on.

At the barrier only a mask of slots is made. Between the steps of the task their rows are gathered in slices; rows that
a batch is about to change are gathered before, and not again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.kernels.slot_index import Int64Array
from millstream.taskmanager.state.columnar.changes import Gone, LoggedRows, SlotChanges

_SLICE_SLOTS: Final = 1 << 14


class SlotCapture:
    """``batches`` receives the rows, without their key groups, and ``gone`` has what was removed."""

    def __init__(
        self,
        changes: SlotChanges,
        slots_end: int,
        gather: Callable[[Int64Array], pa.RecordBatch],
        gone: Sequence[Gone],
    ) -> None:
        self.gone = gone
        self.batches: list[pa.RecordBatch | LoggedRows] = []
        self.aside: Callable[[pa.RecordBatch], LoggedRows] | None = None
        """Of a table larger than memory: writes rows to where they wait until they are read."""
        self.cold: Callable[[Sequence[pa.RecordBatch]], Iterator[pa.RecordBatch]] | None = None
        """Of a full capture: reads the rows that were not in memory, given those that were."""
        self._changes = changes
        self._slots_end = slots_end
        self._gather = gather
        self._position = 0
        self._ended = False

    def copy(self, slots: Int64Array) -> None:
        """These rows, which are pending no more, are about to change."""
        self._keep(self._gather(slots))

    def advance(self) -> bool:
        """Gather the next slice; False when everything is taken."""
        while not self._ended and self._position < self._slots_end:
            first = self._position
            self._position = min(first + _SLICE_SLOTS, self._slots_end)
            slots = first + np.flatnonzero(self._changes.pending[first : self._position])
            if len(slots):
                self._changes.pending[slots] = False
                self._keep(self._gather(slots))
                return True
        self.end()
        return False

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Beside the task, once: all rows, when everything is taken."""
        taken = [rows for rows in self.batches if isinstance(rows, pa.RecordBatch)]
        yield from taken
        yield from (rows.read() for rows in self.batches if isinstance(rows, LoggedRows))
        if self.cold is not None:
            yield from self.cold(taken)

    def end(self) -> None:
        """Everything is taken, or given up."""
        if not self._ended:
            self._ended = True
            self._changes.finish()

    def _keep(self, rows: pa.RecordBatch) -> None:
        self.batches.append(rows if self.aside is None else self.aside(rows))
