"""When a task has seen the barrier of a checkpoint on all its channels. Pure: barriers and ends in, decisions out.

A channel whose barrier has come is blocked until the others have caught up, so that nothing behind the barrier gets
into the snapshot. A channel that has ended counts as one whose barrier has come. A newer barrier ends the
wait for an older one: the JobManager gave that checkpoint up.
"""

from __future__ import annotations

from dataclasses import dataclass

from millstream.core.elements.control import Barrier


@dataclass(frozen=True)
class Aligned:
    """All of a checkpoint's barriers have come: take the snapshot now. ``waited_from_s``: when the first one came."""

    barrier: Barrier
    waited_from_s: float


class BarrierAligner:
    """``exactly_once=False`` never blocks: records behind a barrier may be in the snapshot, and come twice."""

    def __init__(self, channels: int, exactly_once: bool = True) -> None:
        self.blocked: set[int] = set()
        self._channels = channels
        self._exactly_once = exactly_once
        self._ended: set[int] = set()
        self._arrived: set[int] = set()
        self._current: Barrier | None = None
        self._since_s = 0.0
        self._last_id = 0

    @property
    def current(self) -> Aligned | None:
        """What is waited for, and since when."""
        return None if self._current is None else Aligned(self._current, self._since_s)

    @property
    def arrived(self) -> frozenset[int]:
        """Channels whose barrier has come."""
        return frozenset(self._arrived)

    def barrier(self, channel: int, barrier: Barrier, now_s: float) -> Aligned | None:
        """A barrier has come; ``blocked`` says which channels must not be read now."""
        if barrier.checkpoint_id <= self._last_id:
            return None  # of a checkpoint that was given up, or of one that is done
        if self._current is None or barrier.checkpoint_id > self._current.checkpoint_id:
            self._start(barrier, now_s)
        elif barrier.checkpoint_id < self._current.checkpoint_id:
            return None
        self._arrived.add(channel)
        if self._exactly_once:
            self.blocked.add(channel)
        return self._check()

    def ended(self, channel: int) -> Aligned | None:
        """The channel has no further element."""
        self._ended.add(channel)
        return self._check()

    def abort(self, checkpoint_id: int) -> None:
        """The JobManager gave the checkpoint up."""
        self._last_id = max(self._last_id, checkpoint_id)
        if self._current is not None and self._current.checkpoint_id <= checkpoint_id:
            self._clear()

    def _start(self, barrier: Barrier, now_s: float) -> None:
        self._clear()
        self._current = barrier
        self._since_s = now_s

    def _check(self) -> Aligned | None:
        if self._current is None or len(self._arrived | self._ended) < self._channels:
            return None
        aligned = Aligned(self._current, self._since_s)
        self._last_id = self._current.checkpoint_id
        self._clear()
        return aligned

    def _clear(self) -> None:
        self._current = None
        self._arrived.clear()
        self.blocked.clear()
