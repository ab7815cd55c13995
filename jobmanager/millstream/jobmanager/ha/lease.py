"""Leadership that has to be renewed, from both sides: what its owner may believe, and when a standby takes over.

No two clocks are compared. The owner counts from before a renewal, a standby from when it saw the renewal, which is
later; each on a monotonic clock of its own. So the owner stops believing before anybody takes over.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

from millstream.core.clock import Clock
from millstream.core.errors import FencedError
from millstream.core.protocol_log import record


class Lease:
    """The owner's side; implements ``Leadership``. Once over it stays over.

    Made on the event loop's thread; any thread may call it.
    """

    def __init__(self, epoch: int, clock: Clock, until_s: float) -> None:
        """``until_s``: on the clock's monotonic time."""
        self._epoch = epoch
        self._clock = clock
        self._until_s = until_s
        self._lock = threading.Lock()
        self._over = ""
        self._loop = asyncio.get_running_loop()
        self._lost = asyncio.Event()

    @property
    def epoch(self) -> int:
        return self._epoch

    def check(self) -> None:
        """Raise ``FencedError`` when it is over."""
        if not self._over and self._clock.monotonic_s() >= self._until_s:
            self.lose("it was not renewed in time; this process may have been frozen, or cut off")
        if self._over:
            raise FencedError(f"this JobManager does not lead any more (epoch {self._epoch}): {self._over}")

    def renew(self, until_s: float) -> None:
        """Believe in it until then. Raises ``FencedError`` when it ended before."""
        with self._lock:
            self.check()
            self._until_s = until_s

    def lose(self, reason: str) -> None:
        """It is over. Only the first reason counts."""
        if not self._over:
            self._over = reason
            record("leader.lost", epoch=self._epoch, reason=reason)
            self._loop.call_soon_threadsafe(self._lost.set)

    async def wait_until_lost(self) -> str:
        """Return why, when it is over."""
        await self._lost.wait()
        return self._over


@dataclass(frozen=True)
class Sighting:
    """What a standby sees of the newest lease at one moment."""

    epoch: int
    renewal: int
    """Differs from one renewal to the next."""
    is_held: bool
    """False: its owner has died, or given it back."""


class LeaseWatch:
    """The standby's side: whether the lease is over, from one sighting to the next."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._last: Sighting | None = None
        self._since_s = 0.0

    def is_over(self, looked_from_s: float, looked_to_s: float, seen: Sighting | None) -> bool:
        """``seen`` came from a look between these two times; None: there has never been a leader.

        The renewal that ends a wait may be as young as the end of its look, and one that is missed may have come right
        after the beginning of the last look.
        """
        if seen is None or not seen.is_held:
            return True
        if seen != self._last:
            self._last, self._since_s = seen, looked_to_s
        return looked_from_s - self._since_s >= self._timeout_s
