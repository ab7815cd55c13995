"""Credit: how many frames a producer may send before its consumer says more.

The consumer owns the buffers. Each channel has *exclusive* ones; the channels of a gate share *floating* ones, lent to
those whose producers report a backlog. All buffers of a slot come from one ``BufferBudget``. At any time, a channel has

    outstanding + unannounced + held == exclusive + floating

seen from the consumer: outstanding credit is at the producer, on its way there, or on its way back as a frame;
unannounced credit is free but not told yet, so that one message can announce several; held buffers wait for the task.
"""

from __future__ import annotations

from typing import Final

from millstream.core.errors import ConfigError, invariant
from millstream.taskmanager.network.frames import FrameError

CREDIT_MAX: Final = 1 << 20
"""No consumer owns that many buffers; a larger grant is damage or malice."""


class BufferBudget:
    """The buffers of one slot process: reserved ones belong to channels, others are lent."""

    def __init__(self, buffers: int) -> None:
        self.total = buffers
        self.reserved = 0
        self.lent = 0

    @property
    def free(self) -> int:
        """Negative for as long as a new gate reserved buffers that others still have to give back."""
        return self.total - self.reserved - self.lent

    def reserve(self, buffers: int, what: str, segment_bytes: int) -> None:
        """Take buffers that must be there. Raises ``ConfigError`` with the numbers."""
        if self.reserved + buffers > self.total:
            raise ConfigError(
                f"{what} needs {buffers} network buffers, but {self.reserved} of the {self.total} of this slot belong "
                f"to other channels. Set taskmanager.memory.network.size to at least "
                f"{(self.reserved + buffers) * segment_bytes} bytes, or lower the parallelism."
            )
        self.reserved += buffers

    def unreserve(self, buffers: int) -> None:
        self.reserved -= buffers
        invariant(self.reserved >= 0, f"reserved={self.reserved} after giving {buffers} back")

    def lend(self, buffers: int) -> int:
        """Up to ``buffers``; returns how many."""
        lent = max(0, min(buffers, self.free))
        self.lent += lent
        return lent

    def give_back(self, buffers: int) -> None:
        self.lent -= buffers
        invariant(self.lent >= 0, f"lent={self.lent} after giving {buffers} back")


class FloatingPool:
    """The floating buffers that the channels of one gate may borrow from the budget.

    A channel may keep its fair share of them while nothing is short: taking them away whenever a fast consumer has
    caught up would leave the producer waiting for credit half of the time.
    """

    def __init__(self, budget: BufferBudget, buffers_max: int, channels: int) -> None:
        self.borrowable = buffers_max
        self._budget = budget
        self._fair_share = buffers_max // max(1, channels)

    @property
    def share_to_keep(self) -> int:
        return self._fair_share if self._budget.free >= 0 else 0

    def borrow(self, buffers: int) -> int:
        lent = self._budget.lend(min(buffers, self.borrowable))
        self.borrowable -= lent
        return lent

    def give_back(self, buffers: int) -> None:
        self.borrowable += buffers
        self._budget.give_back(buffers)


class SenderCredit:
    """The account of one channel at its producer."""

    def __init__(self) -> None:
        self.available = 0

    def grant(self, number: int) -> None:
        """The consumer allows ``number`` more frames. Raises ``FrameError`` for a number that cannot be."""
        if not 0 < number <= CREDIT_MAX - self.available:
            raise FrameError(f"a consumer granted a credit of {number} on top of {self.available}")
        self.available += number

    def spend(self) -> None:
        invariant(self.available > 0, "a producer sent a frame without credit")
        self.available -= 1


class ReceiverCredit:
    """The account of one channel at its consumer."""

    def __init__(self, exclusive: int, pool: FloatingPool) -> None:
        self.exclusive = exclusive
        self.floating = 0
        self.outstanding = exclusive
        self.unannounced = 0
        self.held = 0
        self.backlog = 0
        self._pool = pool

    def received(self, backlog: int) -> None:
        """A frame arrived, its producer has ``backlog`` more. Raises ``FrameError`` when it had no credit."""
        if self.outstanding == 0:
            raise FrameError("a producer sent a frame without credit")
        self.outstanding -= 1
        self.held += 1
        self.backlog = backlog
        wanted = backlog - self.outstanding - self.unannounced
        if wanted > 0:
            lent = self._pool.borrow(wanted)
            self.floating += lent
            self.unannounced += lent

    def consumed(self, buffers: int = 1) -> None:
        """Held buffers became free: floating ones go back unless the producer has use for them."""
        self.held -= buffers
        unused = self.outstanding + self.unannounced + buffers - self.backlog
        spare = min(buffers, self.floating - self._pool.share_to_keep, unused)
        if spare > 0:
            self.floating -= spare
            self._pool.give_back(spare)
            buffers -= spare
        self.unannounced += buffers
        self.check()

    def announce(self) -> int:
        """Credit to tell the producer now; 0 while it can wait for more."""
        if self.unannounced == 0:
            return 0
        if self.outstanding > 0 and 2 * self.unannounced < self.exclusive + self.floating:
            return 0
        number, self.unannounced = self.unannounced, 0
        self.outstanding += number
        return number

    def close(self) -> None:
        """Give all floating buffers back; the account is not used any more."""
        self._pool.give_back(self.floating)
        self.floating = self.outstanding = self.unannounced = self.held = self.exclusive = 0

    def check(self) -> None:
        """Credit is conserved."""
        if (
            self.outstanding + self.unannounced + self.held != self.exclusive + self.floating
            or self.outstanding < 0
            or self.unannounced < 0
            or self.held < 0
            or self.floating < 0
        ):
            numbers = ("outstanding", "unannounced", "held", "exclusive", "floating")
            invariant(False, f"credit: {', '.join(f'{name}={getattr(self, name)}' for name in numbers)}")


class AssemblyAccount:
    """Bytes of batches that span several frames, over all channels of a slot, until their consumers take them."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.bytes = 0

    def take(self, size: int) -> bool:
        """False when the limit would be passed."""
        if self.bytes + size > self.bytes_max:
            return False
        self.bytes += size
        return True

    def give(self, size: int) -> None:
        self.bytes -= size
        invariant(self.bytes >= 0, f"{self.bytes} bytes in assembly after giving {size} back")
