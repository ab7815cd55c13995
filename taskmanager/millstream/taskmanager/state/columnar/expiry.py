"""Time to live of rows in slots: when each was last written, and which of them have expired.

A row expires ``ttl_ms`` after its last write and is not found from then on. What nobody looks for is swept up in
slices: each call looks at the next few thousand slots, from where the last one stopped.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.clock import Clock
from millstream.core.kernels.slot_index import BoolArray, Int64Array
from millstream.taskmanager.state.column_chunks import UPDATED_MS
from millstream.taskmanager.state.columnar.columns import grown


class Expiry:
    """Times in milliseconds of the wall clock."""

    field: Final = pa.field(UPDATED_MS, pa.int64())

    def __init__(self, ttl_ms: int, clock: Clock) -> None:
        self.ttl_ms = ttl_ms
        self._clock = clock
        self._updated_ms: Int64Array = np.zeros(0, np.int64)
        self._position = 0

    def reserve(self, slots: int) -> None:
        self._updated_ms = grown(self._updated_ms, slots)

    def now_ms(self) -> int:
        """The time by which rows expire."""
        return self._clock.wall_ms()

    def renew(self, slots: Int64Array) -> None:
        """The rows at ``slots`` are written now."""
        self._updated_ms[slots] = self._clock.wall_ms()

    def updated(self, slots: Int64Array) -> pa.Array:
        return pa.array(self._updated_ms[slots])

    def restored(self, slots: Int64Array, updated_ms: pa.Array | None) -> None:
        """Without times in the snapshot, the life of its rows begins now."""
        if updated_ms is None:
            self.renew(slots)
        else:
            self._updated_ms[slots] = updated_ms.to_numpy()

    def adopt(self, saved: Expiry | None, slots: int) -> None:
        """Continue with the times of restored rows; without any, the life of ``slots`` rows begins now."""
        if saved is not None:
            self._updated_ms = saved._updated_ms
        else:
            self._updated_ms = np.full(slots, self._clock.wall_ms(), np.int64)

    def have_expired(self, slots: Int64Array) -> BoolArray:
        """Of each slot."""
        return self.are_past(self._updated_ms[slots])

    def are_past(self, updated_ms: Int64Array) -> BoolArray:
        """Whether rows written at these times have expired."""
        expired: BoolArray = updated_ms <= self._clock.wall_ms() - self.ttl_ms
        return expired

    def expired_among(self, slots: Int64Array) -> Int64Array:
        """Those of ``slots`` that have expired, each once."""
        return np.unique(slots[self.have_expired(slots)])

    def next_expired(self, live: BoolArray, slots_end: int, count: int) -> Int64Array:
        """Expired rows among the next ``count`` slots; the search begins anew behind the last one."""
        first = self._position if self._position < slots_end else 0
        self._position = min(first + count, slots_end)
        candidates = first + np.flatnonzero(live[first : self._position])
        return candidates[self.have_expired(candidates)]
