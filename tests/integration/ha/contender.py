"""A process that stands for election by a file lease, and while it leads notes that it believes so.

``python -m tests.integration.ha.contender DIRECTORY TIMEOUT_S NOTES``: NOTES gets one line an event, ``led EPOCH T``
when it has begun to lead and ``believes EPOCH T`` for each check that passed. T, on the machine's monotonic clock, is
not before the first and not after the second moment.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from millstream.core.clock import SystemClock
from millstream.core.errors import FencedError
from millstream.jobmanager.ha.file_election import FileElection

CLOCK = SystemClock()
CHECK_INTERVAL_S = 0.005


async def stand(directory: Path, timeout_s: float, notes: int) -> None:
    """Lead, lose, and stand again, until killed."""
    while True:
        election = FileElection(directory, timeout_s, CLOCK)
        lease = await election.lead(f"process:{os.getpid()}")
        note(notes, "led", lease.epoch, CLOCK.monotonic_s())
        try:
            while True:
                asked_s = CLOCK.monotonic_s()
                lease.check()
                note(notes, "believes", lease.epoch, asked_s)
                await asyncio.sleep(CHECK_INTERVAL_S)
        except FencedError:
            await election.close()


def note(notes: int, event: str, epoch: int, at_s: float) -> None:
    os.write(notes, f"{event} {epoch} {at_s!r}\n".encode())


if __name__ == "__main__":
    opened = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    asyncio.run(stand(Path(sys.argv[1]), float(sys.argv[2]), opened))
