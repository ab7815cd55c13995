"""Credit: how many frames a producer may send before its consumer says more.

The consumer owns the buffers. Each channel has *exclusive* ones; the channels of a gate share *floating* ones, lent to
those whose producers report a backlog. All buffers of a slot come from one ``BufferBudget``. At any time, a channel has

    outstanding (granted, not used by the producer) + held (received, not consumed) == exclusive + floating

seen from the consumer; on the wire outstanding credit is either at the producer or on its way.
"""

from __future__ import annotations

from millstream.core.errors import ConfigError, invariant
from millstream.taskmanager.network.frames import FrameError


class BufferBudget:
    """The buffers of one slot process."""

    def __init__(self, buffers: int) -> None:
        self.total = buffers
        self.free = buffers

    def reserve(self, buffers: int, what: str, segment_bytes: int) -> None:
        """Take buffers that must be there. Raises ``ConfigError`` with the numbers."""
        if buffers > self.free:
            needed = (self.total - self.free + buffers) * segment_bytes
            raise ConfigError(
                f"{what} needs {buffers} network buffers, but only {self.free} of {self.total} are free in this slot. "
                f"Set taskmanager.memory.network.size to at least {needed} bytes, or lower the parallelism."
            )
        self.free -= buffers

    def take(self, buffers: int) -> int:
        """Up to ``buffers``; returns how many."""
        taken = min(buffers, self.free)
        self.free -= taken
        return taken

    def give(self, buffers: int) -> None:
        self.free += buffers
        invariant(self.free <= self.total, f"free={self.free} of {self.total} buffers after giving {buffers} back")


class FloatingPool:
    """The floating buffers that one gate may borrow from the budget."""

    def __init__(self, budget: BufferBudget, buffers_max: int) -> None:
        self._budget = budget
        self._borrowable = buffers_max

    def borrow(self, buffers: int) -> int:
        taken = self._budget.take(min(buffers, self._borrowable))
        self._borrowable -= taken
        return taken

    def give_back(self, buffers: int) -> None:
        self._borrowable += buffers
        self._budget.give(buffers)


class ReceiverCredit:
    """The account of one channel at its consumer."""

    def __init__(self, exclusive: int, pool: FloatingPool) -> None:
        self.exclusive = exclusive
        self.floating = 0
        self.outstanding = exclusive
        self.held = 0
        self.backlog = 0
        self._pool = pool

    def received(self, backlog: int) -> int:
        """A frame arrived, its producer has ``backlog`` more. Returns the credit to announce now."""
        if self.outstanding == 0:
            raise FrameError("a producer sent a frame without credit")
        self.outstanding -= 1
        self.held += 1
        self.backlog = backlog
        wanted = backlog - self.outstanding
        lent = self._pool.borrow(wanted) if wanted > 0 else 0
        self.floating += lent
        self.outstanding += lent
        self.check()
        return lent

    def consumed(self) -> int:
        """A held buffer became free. Returns the credit to announce: 0 when a floating buffer goes back instead."""
        self.held -= 1
        if self.floating and self.outstanding >= self.backlog:
            self.floating -= 1
            self._pool.give_back(1)
            self.check()
            return 0
        self.outstanding += 1
        self.check()
        return 1

    def close(self) -> None:
        """Give all floating buffers back; the account is not used any more."""
        self._pool.give_back(self.floating)
        self.floating = self.outstanding = self.held = self.exclusive = 0

    def check(self) -> None:
        """Credit is conserved."""
        invariant(
            self.outstanding + self.held == self.exclusive + self.floating
            and min(self.outstanding, self.held, self.floating) >= 0,
            f"outstanding={self.outstanding} held={self.held} exclusive={self.exclusive} floating={self.floating}",
        )
