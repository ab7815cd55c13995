"""Who leads, where several JobManagers stand for election: the product's lease over records in the simulator's memory.

``Lease`` and ``LeaseWatch`` decide as in a cluster. What the file system does for them is done here: a record with a
name is made once, and its owner's lock is gone as soon as its process is.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any, Final

from millstream.core.clock import Clock
from millstream.core.config import Configuration, options
from millstream.core.errors import FencedError
from millstream.core.ha.leader_finder import LeaderRecord
from millstream.jobmanager.ha.file_election import LOOK_INTERVAL_S, RENEWALS_PER_TIMEOUT
from millstream.jobmanager.ha.leadership import LeaderElection, Leadership, NoElection
from millstream.jobmanager.ha.lease import Lease, LeaseWatch, Sighting
from tests.sim.checkers import Breach
from tests.sim.loop import PROCESS, ProcessReplaced, SimProcess

SLOWEST_S: Final = 0.3
"""Between a look and what follows from it, at most."""


@dataclass
class _Record:
    epoch: int
    address: str
    owner: SimProcess
    renewal: int = 0
    is_held: bool = True


@dataclass
class Leases:
    """All records of the run. They are durable."""

    chance: random.Random
    records: list[_Record] = field(default_factory=list)

    def newest(self) -> _Record | None:
        return self.records[-1] if self.records else None

    def create(self, epoch: int, address: str) -> _Record | None:
        """None when there is one with that epoch, or a later one, already."""
        newest = self.newest()
        if newest is not None and newest.epoch >= epoch:
            return None
        self.records.append(_Record(epoch, address, PROCESS.get()))
        return self.records[-1]


LEASES: list[Leases] = []
"""Of the run."""


class SimElection:
    """Takes the place of ``FileElection``."""

    def __init__(self, timeout_s: float, clock: Clock) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._leases = LEASES[0]
        self._record: _Record | None = None

    async def lead(self, address: str) -> Leadership:
        watch = LeaseWatch(self._timeout_s)
        while True:
            await self._pause(LOOK_INTERVAL_S)
            began_s = self._clock.monotonic_s()
            newest = self._leases.newest()
            seen = None
            if newest is not None:
                seen = Sighting(newest.epoch, newest.renewal, newest.is_held and newest.owner.alive)
            await self._pause(self._leases.chance.random() ** 4 * SLOWEST_S)
            if not watch.is_over(began_s, self._clock.monotonic_s(), seen):
                continue
            made_s = self._clock.monotonic_s()
            self._record = self._leases.create(seen.epoch + 1 if seen else 1, address)
            if self._record is not None:
                lease = Lease(self._record.epoch, self._clock, made_s + self._timeout_s)
                asyncio.get_running_loop().create_task(self._renew(lease, self._record))
                return lease

    def find(self) -> LeaderRecord | None:
        return SimFinder().find()

    async def close(self) -> None:
        if self._record is not None:
            self._record.is_held = False

    async def _renew(self, lease: Lease, record: _Record) -> None:
        while record.is_held:
            await self._pause(self._timeout_s / RENEWALS_PER_TIMEOUT)
            try:
                lease.check()
                began_s = self._clock.monotonic_s()
                await self._pause(self._leases.chance.random() ** 4 * SLOWEST_S)
                record.renewal += 1
                newest = self._leases.newest()
                if newest is not record:
                    lease.lose("another JobManager leads")
                elif newest is None:
                    raise Breach("a leader's record is gone")
                lease.renew(began_s + self._timeout_s)
            except FencedError:
                return

    async def _pause(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        loop.call_later(seconds, done.set_result, None)
        await done


class SimFinder:
    """Takes the place of ``LeaderFiles``."""

    def find(self) -> LeaderRecord | None:
        newest = LEASES[0].newest()
        return None if newest is None else LeaderRecord(newest.epoch, newest.address)

    def close(self) -> None:
        """Nothing is open."""


def open_election(configuration: Configuration, clock: Clock) -> LeaderElection:
    if configuration[options.HA_TYPE] == "NONE":
        return NoElection()
    return SimElection(configuration[options.HA_LEASE_TIMEOUT].total_seconds(), clock)


def open_finder(configuration: Configuration) -> Any:
    return None if configuration[options.HA_TYPE] == "NONE" else SimFinder()


def start_over() -> None:
    """Takes the place of ``exec``: the machine starts the same program again."""
    process = PROCESS.get()
    process.on_start_over()
    raise ProcessReplaced
