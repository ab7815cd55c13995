"""Calling the JobManager that leads, wherever it is: peers that move to it when a call fails.

A call that a standby refused is made again at the leader at once, since nothing was done. One that nobody answered is
repeated only as its policy says; but the next call, or the repetition, goes to where the leader is by then.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from millstream.core.clock import Clock
from millstream.core.errors import NotLeaderError, UnavailableError
from millstream.core.ha.leader_address import LeaderAddress
from millstream.core.pauses import pause
from millstream.core.rpc.channel import DEADLINE_S, NO_RETRY, BlockingPeer, Peer, RetryPolicy
from millstream.core.rpc.secret import ClusterSecret

REFUSALS_MAX: Final = 4
WATCH_INTERVAL_S: Final = 0.25
PEERS_KEPT: Final = 8
"""Connections to former leaders stay open for a while, since calls may still wait there for an answer."""

StubT = TypeVar("StubT")


class _Stubs(Protocol):
    def stub(self, stub_class: type[StubT]) -> StubT: ...


PeerT = TypeVar("PeerT", bound=_Stubs)


class _Method(Generic[PeerT]):
    """A method of the leader's stub, whoever leads when it is called."""

    def __init__(self, stub_class: type[Any], name: str) -> None:
        self._stub_class = stub_class
        self._name = name

    def at(self, peer: PeerT) -> Any:
        return getattr(peer.stub(self._stub_class), self._name)


class _Stub:
    """Stands for a stub of the leader: its methods are for ``call`` of the peer that made it."""

    def __init__(self, stub_class: type[Any]) -> None:
        self._stub_class = stub_class

    def __getattr__(self, name: str) -> _Method[Any]:
        return _Method(self._stub_class, name)


class _Places(Generic[PeerT]):
    """Peers by address, made when they are first needed."""

    def __init__(self, make: Callable[[str], PeerT]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._peers: dict[str, PeerT] = {}
        self._retired: list[PeerT] = []

    def peer(self, address: str) -> PeerT:
        with self._lock:
            peer = self._peers.pop(address, None) or self._make(address)
            self._peers[address] = peer
            while len(self._peers) > PEERS_KEPT:
                self._retired.append(self._peers.pop(next(iter(self._peers))))
            return peer

    def take_retired(self) -> list[PeerT]:
        """Those that nobody needs any more, to be closed."""
        with self._lock:
            retired, self._retired = self._retired, []
            return retired

    def take_all(self) -> list[PeerT]:
        with self._lock:
            peers = [*self._retired, *self._peers.values()]
            self._peers.clear()
            self._retired.clear()
            return peers


class LeaderPeer:
    """The leader as an asyncio program sees it; used like a ``Peer``."""

    def __init__(self, leader: LeaderAddress, secret: ClusterSecret | None, clock: Clock) -> None:
        self._leader = leader
        self._places = _Places(lambda address: Peer(address, secret, clock))
        self._random = random.Random("leader")
        self._moved = asyncio.Event()
        """Replaced each time another leader was found; set for those who wait for the one before."""
        self._watching: asyncio.Task[None] | None = None
        self.on_moved: Callable[[], None] = lambda: None
        """Called when another leader was found without a call that failed."""

    @property
    def address(self) -> str:
        """Where calls go now, for people."""
        return self._leader.known or "(unknown yet)"

    def stub(self, stub_class: type[StubT]) -> StubT:
        return cast(StubT, _Stub(stub_class))

    async def here(self) -> Peer:
        """The server that leads as far as is known. Raises ``UnavailableError``."""
        known = self._leader.known
        return self._places.peer(known or await asyncio.to_thread(self._leader.current))

    async def call(
        self,
        method: Any,
        request: Any,
        deadline_s: float = DEADLINE_S,
        retry: RetryPolicy | None = None,
        epoch: int = 0,
    ) -> Any:
        """Make a unary call, with a method of a stub that ``stub`` made.

        ``epoch``: of the leader that it is meant for; another one refuses it with ``UnavailableError``.
        """
        policy = retry or NO_RETRY
        refusals = attempt = 0
        while True:
            peer = await self.here()
            try:
                return await self._call(peer, method, request, deadline_s, epoch)
            except UnavailableError as error:
                moved = await self._follow(peer, error)
                if isinstance(error, NotLeaderError) and moved and refusals < REFUSALS_MAX:
                    refusals += 1
                    continue
                attempt += 1
                if attempt >= policy.attempts_max:
                    raise
                await pause(policy.wait_s(attempt - 1, self._random))

    async def _call(self, peer: Peer, method: Any, request: Any, deadline_s: float, epoch: int) -> Any:
        """One call, which does not wait for a leader that has been replaced."""
        if not self._leader.can_watch:
            return await peer.call(method.at(peer), request, deadline_s, epoch=epoch)
        if self._watching is None:
            self._watching = asyncio.ensure_future(self._watch())
        calling = asyncio.ensure_future(peer.call(method.at(peer), request, deadline_s, epoch=epoch))
        moving = asyncio.ensure_future(self._moved.wait())
        try:
            await asyncio.wait([calling, moving], return_when=asyncio.FIRST_COMPLETED)
            if calling.done():
                return calling.result()
            raise UnavailableError(f"{peer.address} does not lead any more, and did not answer")
        finally:
            calling.cancel()
            moving.cancel()

    async def _watch(self) -> None:
        known = self._leader.known
        while True:
            await pause(WATCH_INTERVAL_S)
            before, known = known, await asyncio.to_thread(self._leader.look)
            if known != before:
                moved, self._moved = self._moved, asyncio.Event()
                moved.set()
                self.on_moved()

    async def _follow(self, peer: Peer, error: UnavailableError) -> bool:
        """After a failed call: whether calls go elsewhere now."""
        for unneeded in self._places.take_retired():
            await unneeded.close()
        return await asyncio.to_thread(self._leader.follow, peer.address, error)

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        for peer in self._places.take_all():
            await peer.close()
        self._leader.close()


class BlockingLeaderPeer:
    """The same for programs with threads, without repetitions: its callers have a patience of their own."""

    def __init__(self, leader: LeaderAddress, secret: ClusterSecret | None, clock: Clock) -> None:
        self._leader = leader
        self._places = _Places(lambda address: BlockingPeer(address, secret, clock))

    @property
    def address(self) -> str:
        """Where calls go now, for people."""
        return self._leader.known or "(unknown yet)"

    @property
    def may_move(self) -> bool:
        """Whether another server may lead after a failure."""
        return self._leader.may_move

    def stub(self, stub_class: type[StubT]) -> StubT:
        return cast(StubT, _Stub(stub_class))

    def here(self) -> BlockingPeer:
        """The server that leads as far as is known. Raises ``UnavailableError``."""
        return self._places.peer(self._leader.current())

    def call(self, method: Any, request: Any, deadline_s: float = DEADLINE_S) -> Any:
        """Make a unary call, with a method of a stub that ``stub`` made."""
        refusals = 0
        while True:
            peer = self.here()
            try:
                return self._call(peer, method, request, deadline_s)
            except UnavailableError as error:
                for unneeded in self._places.take_retired():
                    unneeded.close()
                moved = self._leader.follow(peer.address, error)
                if not (isinstance(error, NotLeaderError) and moved and refusals < REFUSALS_MAX):
                    raise
                refusals += 1

    def _call(self, peer: BlockingPeer, method: Any, request: Any, deadline_s: float) -> Any:
        """One call, which does not wait for a leader that has been replaced."""
        if not self._leader.can_watch:
            return peer.call(method.at(peer), request, deadline_s)
        return peer.call_unless(lambda: self._leader.look() != peer.address, method.at(peer), request, deadline_s)

    def close(self) -> None:
        for peer in self._places.take_all():
            peer.close()
        self._leader.close()
