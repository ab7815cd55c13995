"""Leading a cluster: one JobManager at a time, each with a higher epoch than the one before.

A JobManager that led may learn late that it does not any more (it was frozen, or cut off). So three things keep it
from doing harm: it asks ``Leadership.check`` before every side effect; what it writes carries its epoch, and readers
take the highest; TaskManagers refuse calls with a lower epoch than they have seen. One that has lost starts over as a
new process.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from millstream.core.ha.leader_finder import LeaderRecord


class Leadership(Protocol):
    """That this process leads, until it does not."""

    @property
    def epoch(self) -> int:
        """Higher than that of every leader before; 0 where there is no election."""
        ...

    def check(self) -> None:
        """Raise ``FencedError`` when this process does not lead, or cannot know. Cheap; any thread may call it."""
        ...

    def lose(self, reason: str) -> None:
        """Somebody proved that another leads. Any thread may call it; without effect where there is no election."""
        ...

    async def wait_until_lost(self) -> str:
        """Return why, when it is over."""
        ...


class LeaderElection(Protocol):
    """How JobManagers agree on the one that leads."""

    async def lead(self, address: str) -> Leadership:
        """Return when this process, which serves at ``address``, leads. Called once."""
        ...

    def find(self) -> LeaderRecord | None:
        """Who leads, as far as this contender has seen. Does not block."""
        ...

    async def close(self) -> None:
        """Stop trying, or give the leadership back so that another one can take it at once."""
        ...


class SoleLeadership:
    """Of a JobManager that has no rivals."""

    epoch = 0

    def check(self) -> None:
        return

    def lose(self, reason: str) -> None:
        return

    async def wait_until_lost(self) -> str:
        """Never returns."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never


class NoElection:
    """``high-availability.type: NONE``: who starts, leads."""

    async def lead(self, address: str) -> Leadership:
        return SoleLeadership()

    def find(self) -> LeaderRecord | None:
        return None

    async def close(self) -> None:
        return
