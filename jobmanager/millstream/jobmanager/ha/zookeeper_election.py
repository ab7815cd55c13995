"""Election by ZooKeeper: for JobManagers on several machines.

One transaction raises the epoch and makes the leader's node, which vanishes with the session of its owner. That a
session is alive the owner knows only from answers: it believes in its leadership for a while from before each question
that was answered with its own node, less long than the servers wait before they end the session.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from dataclasses import dataclass
from typing import Any, Final

from millstream.core.clock import Clock
from millstream.core.errors import FencedError
from millstream.core.ha.leader_finder import LeaderRecord
from millstream.core.ha.zookeeper import epoch_path, leader_path
from millstream.jobmanager.ha.leadership import Leadership
from millstream.jobmanager.ha.lease import Lease

QUESTIONS_PER_TIMEOUT: Final = 6
BELIEVED_PART: Final = 2 / 3
"""Of the session's time-out, which the servers may shorten to 20 of their ticks."""
LOOK_INTERVAL_S: Final = 1.0
"""Between two tries, unless the leader's node changes."""

log = logging.getLogger("millstream.jobmanager")


@dataclass(frozen=True)
class Claim:
    """The leader's node is ours."""

    epoch: int
    session: int
    asked_s: float
    """Just before the question whose answer told so."""


class ZooKeeperElection:
    """One contender. Threads wait for the turn and keep asking."""

    def __init__(self, client: Any, cluster: str, timeout_s: float, clock: Clock) -> None:
        """``client``: of kazoo, not started. ``cluster``: the path below which the cluster has its nodes."""
        self._client = client
        self._cluster = cluster
        self._leader = leader_path(cluster)
        self._timeout_s = timeout_s
        self._clock = clock
        self._closed = threading.Event()
        self._changed = threading.Event()
        self._record: LeaderRecord | None = None
        """The last that was seen."""
        self._lease: Lease | None = None
        self._renewing: threading.Thread | None = None

    async def lead(self, address: str) -> Leadership:
        self._client.add_listener(self._heard)
        self._client.start_async()
        claim = await asyncio.to_thread(self._await_turn, address)
        until_s = claim.asked_s + BELIEVED_PART * self._timeout_s
        lease = self._lease = Lease(claim.epoch, self._clock, until_s)
        self._renewing = threading.Thread(target=self._renew, args=(lease, claim), name="lease", daemon=True)
        self._renewing.start()
        return lease

    def find(self) -> LeaderRecord | None:
        return self._record

    async def close(self) -> None:
        self._closed.set()
        self._changed.set()
        if self._renewing is not None:
            await asyncio.to_thread(self._renewing.join)
        if self._lease is not None:
            self._lease.lose("it was given back")
        await asyncio.to_thread(self._client.stop)  # ends the session, and so the node
        self._client.close()

    # -- on threads ---------------------------------------------------------------------------------------------------

    def _await_turn(self, address: str) -> Claim:
        """Until the leader's node is ours. Raises ``FencedError`` when closed before."""
        complained = False
        self._changed.wait(LOOK_INTERVAL_S)  # for the connection
        while not self._closed.is_set():
            self._changed.clear()
            try:
                claim = self._try(address)
                if claim is not None:
                    return claim
                complained = False
            except _errors() as error:
                if not complained:
                    log.warning("cannot stand for election in ZooKeeper, trying on: %s", _text(error))
                complained = True
            self._changed.wait(LOOK_INTERVAL_S)
        raise FencedError("this JobManager does not stand for election any more")

    def _try(self, address: str) -> Claim | None:
        """Make the leader's node unless there is one. None: it is somebody else's; ``_changed`` tells when it changes.

        That it is ours is read afterwards, since the answer that it was made may be lost.
        """
        asked_s = self._clock.monotonic_s()
        found = self._found(watch=True)
        if found is None:
            self._stand(address)
            asked_s = self._clock.monotonic_s()
            found = self._found(watch=True)
        session = self._client.client_id
        if found is None or session is None or found[1] != session[0]:
            return None
        return Claim(*found, asked_s)

    def _stand(self, address: str) -> None:
        """Raise the epoch and make the leader's node, both or none."""
        path = epoch_path(self._cluster)
        self._ask(self._client.ensure_path_async(self._cluster))
        if self._ask(self._client.exists_async(path)) is None:
            first = self._client.transaction()
            first.create(path, b"0")
            self._ask(first.commit_async())  # or somebody else did
        text, stat = self._ask(self._client.get_async(path))
        epoch = int(text) + 1
        both = self._client.transaction()
        both.set_data(path, str(epoch).encode(), stat.version)
        both.create(self._leader, LeaderRecord(epoch, address).encode(os.getpid()), ephemeral=True)
        self._ask(both.commit_async())

    def _renew(self, lease: Lease, claim: Claim) -> None:
        """Until closed, or until it is lost."""
        while not self._closed.wait(self._timeout_s / QUESTIONS_PER_TIMEOUT):
            try:
                lease.check()
                asked_s = self._clock.monotonic_s()
                if self._found(watch=False) != (claim.epoch, claim.session):
                    lease.lose("its node in ZooKeeper is gone, and with it its session")
                lease.renew(asked_s + BELIEVED_PART * self._timeout_s)
            except FencedError:
                return
            except _errors() as error:
                log.warning("the leadership cannot be confirmed by ZooKeeper, trying on: %s", _text(error))

    def _found(self, watch: bool) -> tuple[int, int] | None:
        """Epoch and owner of the leader's node; None when there is none."""
        from kazoo.exceptions import NoNodeError

        try:
            data, stat = self._ask(self._client.get_async(self._leader, watch=self._heard if watch else None))
        except NoNodeError:
            return None
        self._record = LeaderRecord.decode(data)
        return (0 if self._record is None else self._record.epoch), stat.ephemeralOwner

    def _heard(self, what: object) -> None:
        """On a thread of kazoo's: the leader's node or the state of the connection has changed."""
        self._changed.set()

    def _ask(self, answer: Any) -> Any:
        return answer.get(timeout=self._timeout_s / QUESTIONS_PER_TIMEOUT)


def _errors() -> tuple[type[Exception], ...]:
    """What kazoo raises when the servers cannot be reached, or refuse."""
    from kazoo.exceptions import KazooException
    from kazoo.handlers.threading import KazooTimeoutError

    return (KazooException, KazooTimeoutError)


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
