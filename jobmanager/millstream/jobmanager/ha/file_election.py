"""Election by a file lease: for JobManagers on one machine.

Who creates ``leader-<epoch + 1>`` leads (``core/ha/leader_files.py``). There is no lock around that and nothing to
clean up after a crash: a file with that name can be made once. The kernel frees the lock of an owner that dies, so a
standby takes over at once; an owner that is frozen keeps the lock, and is replaced when it has not touched its file for
the lease's time-out. Renewals need no room on the disk.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from millstream.core.checkpoint.files import sync_directory
from millstream.core.checkpoint.storage import make_directories
from millstream.core.clock import Clock
from millstream.core.errors import FencedError
from millstream.core.ha.leader_files import LeaderFiles, epochs_in, leader_file
from millstream.core.ha.leader_finder import LeaderRecord
from millstream.jobmanager.ha.leadership import Leadership
from millstream.jobmanager.ha.lease import Lease, LeaseWatch, Sighting

RENEWALS_PER_TIMEOUT: Final = 3
LOOK_INTERVAL_S: Final = 0.1
RECORDS_KEPT: Final = 16

log = logging.getLogger("millstream.jobmanager")


@dataclass(frozen=True)
class Claim:
    """A record that was made, and is the newest."""

    epoch: int
    descriptor: int
    """Of the file; as long as it is open, the file is locked."""
    made_s: float
    """Just before others could see it."""


class FileElection:
    """One contender. Threads look and renew, so that a busy event loop does not lose the lease."""

    def __init__(self, directory: Path, timeout_s: float, clock: Clock) -> None:
        self._directory = directory
        self._timeout_s = timeout_s
        self._clock = clock
        self._closed = threading.Event()
        self._claim: Claim | None = None
        self._lease: Lease | None = None
        self._renewing: threading.Thread | None = None

    async def lead(self, address: str) -> Leadership:
        claim = await asyncio.to_thread(self._await_turn, address)
        lease = self._lease = Lease(claim.epoch, self._clock, claim.made_s + self._timeout_s)
        self._renewing = threading.Thread(target=self._renew, args=(lease, claim), name="lease", daemon=True)
        self._renewing.start()
        return lease

    def find(self) -> LeaderRecord | None:
        return LeaderFiles(self._directory).find()

    async def close(self) -> None:
        self._closed.set()
        if self._renewing is not None:
            await asyncio.to_thread(self._renewing.join)
        if self._lease is not None:
            self._lease.lose("it was given back")
        if self._claim is not None:
            os.close(self._claim.descriptor)
            self._claim = None

    # -- on threads ---------------------------------------------------------------------------------------------------

    def _await_turn(self, address: str) -> Claim:
        """Until this contender has made the newest record. Raises ``FencedError`` when closed before."""
        watch = LeaseWatch(self._timeout_s)
        complained = False
        while not self._closed.is_set():
            try:
                make_directories(self._directory)
                began_s = self._clock.monotonic_s()
                seen = look(self._directory)
                if watch.is_over(began_s, self._clock.monotonic_s(), seen):
                    self._claim = take(self._directory, seen.epoch + 1 if seen else 1, address, self._clock)
                    if self._claim is not None:
                        return self._claim
                complained = False
            except OSError as error:
                if not complained:
                    log.warning("cannot stand for election in %s, trying on: %s", self._directory, error)
                complained = True
            self._closed.wait(min(LOOK_INTERVAL_S, self._timeout_s / RENEWALS_PER_TIMEOUT))
        raise FencedError("this JobManager does not stand for election any more")

    def _renew(self, lease: Lease, claim: Claim) -> None:
        """Until closed, or until it is lost."""
        own, following = (leader_file(self._directory, epoch) for epoch in (claim.epoch, claim.epoch + 1))
        while not self._closed.wait(self._timeout_s / RENEWALS_PER_TIMEOUT):
            try:
                lease.check()
                began_s = self._clock.monotonic_s()
                os.utime(claim.descriptor)
                if following.exists() or not own.exists():
                    lease.lose("another JobManager leads")
                lease.renew(began_s + self._timeout_s)
            except FencedError:
                return
            except OSError as error:
                log.warning("the lease in %s cannot be renewed, trying on: %s", self._directory, error)


def look(directory: Path) -> Sighting | None:
    """The newest lease as it is now."""
    epochs = epochs_in(directory)
    if not epochs:
        return None
    descriptor = os.open(leader_file(directory, epochs[-1]), os.O_RDONLY)
    try:
        renewal = os.fstat(descriptor).st_mtime_ns
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Sighting(epochs[-1], renewal, is_held=True)
        return Sighting(epochs[-1], renewal, is_held=False)
    finally:
        os.close(descriptor)


def take(directory: Path, epoch: int, address: str, clock: Clock) -> Claim | None:
    """Make the record of ``epoch``, durable and locked. None: another was faster.

    The file is locked before it has its name, so nobody ever sees it free. A contender that was frozen before it came
    here may make a record of an epoch that is long over and forgotten: it finds the newer ones.
    """
    draft = directory / f".leader-{epoch}.{os.getpid()}.{threading.get_ident()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    claim: Claim | None = None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, LeaderRecord(epoch, address).encode(os.getpid()))
        os.fsync(descriptor)
        made_s = clock.monotonic_s()
        os.link(draft, leader_file(directory, epoch))
        sync_directory(directory)
        epochs = epochs_in(directory)
        if epochs[-1] == epoch:
            claim = Claim(epoch, descriptor, made_s)
            for old in epochs[:-RECORDS_KEPT]:
                leader_file(directory, old).unlink(missing_ok=True)
    except FileExistsError:
        return None
    finally:
        draft.unlink(missing_ok=True)
        if claim is None:
            os.close(descriptor)
    return claim
