"""A TCP proxy in front of every port of a cluster, whose connections can be reset, held up, or held up one way.

A server of the cluster asks for its addresses before anything else (``armed/sitecustomize.py``): it binds to one
loopback address, tells the others another one, and there the proxy listens, with the same port. So every call and
every batch of data passes the proxy. It knows both ends of a connection by their process ids.

What is held up is not lost: as with a network that is cut, it arrives when the cut is healed, and until then neither
end hears anything of the other, not even its end.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import psutil

RPC_PORT: Final = 6122
DATA_PORT: Final = 6130
CHUNK_BYTES: Final = 64 * 1024
START_WAIT_S: Final = 10.0
ResultT = TypeVar("ResultT")


class Role(Enum):
    """What a process is; ``CLIENT`` stands for all that are not of the cluster."""

    JOBMANAGER = "jobmanager"
    TASKMANAGER = "taskmanager"
    CLIENT = "client"


@dataclass(frozen=True)
class Member:
    """A server of the cluster, with its children."""

    role: Role
    pid: int


NOBODY: Final = Member(Role.CLIENT, 0)


class Way(Enum):
    """Which bytes a cut holds up, as seen from the member that is cut off."""

    BOTH = "both"
    OUT = "out"
    IN = "in"


@dataclass(frozen=True)
class Cut:
    """Process ``pid`` is cut off from all others with one of ``roles``."""

    pid: int
    roles: frozenset[Role]
    way: Way = Way.BOTH

    def holds(self, sender: Member, receiver: Member) -> bool:
        if sender == receiver:  # slots of one TaskManager
            return False
        if self.way is not Way.IN and sender.pid == self.pid and receiver.role in self.roles:
            return True
        return self.way is not Way.OUT and receiver.pid == self.pid and sender.role in self.roles


@dataclass(eq=False)
class _Connection:
    callee: Member
    near: socket.socket
    """To the caller."""
    peer: tuple[str, int]
    """The caller's end."""
    far: socket.socket = field(default_factory=socket.socket)
    caller: Member | None = None
    """Found out when somebody wants to know: that takes some 30 ms."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def close(self) -> None:
        for sock in (self.near, self.far):
            sock.close()


class Links:
    """``with Links(directory) as links``: servers that are started with ``links.environment`` talk through it."""

    def __init__(self, directory: Path) -> None:
        self._socket = directory / "links"
        self._lock, self._near, self._far = _free_networks()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._members: dict[int, Member] = {}
        self._settings: dict[int, dict[str, str]] = {}
        self._hosts = 0
        self._leads: asyncio.Future[str] = self._loop.create_future()
        self._connections: set[_Connection] = set()
        self._cuts: set[Cut] = set()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.accepted = 0
        """Connections so far."""

    @property
    def environment(self) -> dict[str, str]:
        """For the processes of the cluster."""
        return {"CHAOS_LINKS": str(self._socket)}

    def roles(self) -> dict[int, Role]:
        """Of the servers that have asked for addresses, by process id."""
        return self._do(lambda: {pid: member.role for pid, member in self._members.items()})

    # -- faults -------------------------------------------------------------------------------------------------------

    def reset(self, pid: int, roles: frozenset[Role]) -> int:
        """Reset the connections between this server and others of these roles; returns how many there were."""
        return self._do(lambda: self._reset(pid, roles))

    def cut(self, cut: Cut) -> None:
        """Hold up what it says, until ``heal``."""
        self._do(lambda: self._set_cuts(self._cuts | {cut}))

    def heal(self, cut: Cut | None = None) -> None:
        """What was held up goes on; None: all of it."""
        self._do(lambda: self._set_cuts(set() if cut is None else self._cuts - {cut}))

    def _reset(self, pid: int, roles: frozenset[Role]) -> int:
        self._find_callers()
        found = [
            connection
            for connection in self._connections
            for one, other in ((connection.caller, connection.callee), (connection.callee, connection.caller))
            if one is not None and other is not None and one.pid == pid and other.role in roles
        ]
        for connection in found:
            for sock in (connection.near, connection.far):
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for task in connection.tasks:
                task.cancel()
        return len(found)

    def _set_cuts(self, cuts: set[Cut]) -> None:
        self._cuts = cuts
        self._find_callers()
        self._changed.set()
        self._changed.clear()

    def _find_callers(self) -> None:
        """Whose ends of the connections those are that we accepted."""
        ends: dict[tuple[str, int], int] = {}
        unknown = [connection for connection in self._connections if connection.caller is None]
        for found in psutil.net_connections("tcp") if unknown else ():
            if found.pid and found.laddr:  # a socket for IPv6 may talk IPv4
                ends[found.laddr.ip.removeprefix("::ffff:"), found.laddr.port] = found.pid
        for connection in unknown:
            line = _line(ends.get(connection.peer, 0))
            connection.caller = next((self._members[pid] for pid in line if pid in self._members), NOBODY)

    # -- life ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._await(asyncio.start_unix_server(self._introduced, self._socket))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._await(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._lock.close()

    async def _close(self) -> None:
        self._server.close()
        own = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._connections:
            connection.close()

    def _do(self, action: Callable[[], ResultT]) -> ResultT:
        async def done() -> ResultT:
            return action()

        return self._await(done())

    def _await(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        future: Future[ResultT] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(START_WAIT_S)

    # -- servers ------------------------------------------------------------------------------------------------------

    async def _introduced(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A server says who it is, and hears its settings."""
        said = json.loads(await reader.readline())
        member = Member(Role(said["role"]), int(said["pid"]))
        settings = await (self._jobmanager if member.role is Role.JOBMANAGER else self._taskmanager)(member, said)
        self._members[member.pid] = member
        self._settings[member.pid] = settings
        writer.write(json.dumps(settings).encode() + b"\n")
        await writer.drain()
        writer.close()

    async def _jobmanager(self, member: Member, said: dict[str, Any]) -> dict[str, str]:
        """It may ask again: one that does not lead any more starts over as the same process."""
        if member.pid in self._settings:
            return self._settings[member.pid]
        near, far = self._new_hosts()
        if said["elects"]:
            self._listen(member, (near, RPC_PORT), (far, RPC_PORT))
            return {
                "MILLSTREAM_JOBMANAGER_RPC_ADDRESS": near,
                "MILLSTREAM_JOBMANAGER_BIND_HOST": far,
                "MILLSTREAM_JOBMANAGER_RPC_PORT": str(RPC_PORT),
            }
        port = int(said["port"])  # where this process finds it, too
        self._listen(member, (near, port), ("127.0.0.1", port))
        if not self._leads.done():
            self._leads.set_result(near)
        return {"MILLSTREAM_JOBMANAGER_RPC_ADDRESS": near}

    async def _taskmanager(self, member: Member, said: dict[str, Any]) -> dict[str, str]:
        near, far = self._new_hosts()
        for port in (RPC_PORT, *(DATA_PORT + slot for slot in range(int(said["slots"])))):
            self._listen(member, (near, port), (far, port))
        settings = {
            "MILLSTREAM_TASKMANAGER_HOST": near,
            "MILLSTREAM_TASKMANAGER_BIND_HOST": far,
            "MILLSTREAM_TASKMANAGER_RPC_PORT": str(RPC_PORT),
            "MILLSTREAM_TASKMANAGER_DATA_PORT": str(DATA_PORT),
        }
        if not said["elects"]:  # else it finds the leader by itself
            settings["MILLSTREAM_JOBMANAGER_RPC_ADDRESS"] = await asyncio.shield(self._leads)
        return settings

    def _new_hosts(self) -> tuple[str, str]:
        """Where the proxy listens for a server, and where the server does."""
        self._hosts += 1
        return f"{self._near}.{self._hosts}", f"{self._far}.{self._hosts}"

    def _listen(self, callee: Member, near: tuple[str, int], far: tuple[str, int]) -> None:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(near)
        listening.listen(100)
        listening.setblocking(False)
        self._spawn(self._accept(listening, callee, far))

    async def _accept(self, listening: socket.socket, callee: Member, far: tuple[str, int]) -> None:
        try:
            while True:
                near, peer = await self._loop.sock_accept(listening)
                self.accepted += 1
                self._spawn(self._serve(_Connection(callee, near, peer), far))
        finally:
            listening.close()

    # -- bytes --------------------------------------------------------------------------------------------------------

    async def _serve(self, connection: _Connection, address: tuple[str, int]) -> None:
        for sock in (connection.near, connection.far):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(connection)
        try:
            with suppress(OSError):
                await self._passable(connection, forth=True)
                await self._loop.sock_connect(connection.far, address)
                connection.tasks = [self._spawn(self._pump(connection, forth=forth)) for forth in (True, False)]
                await asyncio.wait(connection.tasks)
        finally:
            self._connections.discard(connection)
            connection.close()

    async def _pump(self, connection: _Connection, *, forth: bool) -> None:
        """From the caller or to it, until the end, of which the other side hears too."""
        near, far = connection.near, connection.far
        source, target = (near, far) if forth else (far, near)
        with suppress(OSError):
            while data := await self._loop.sock_recv(source, CHUNK_BYTES):
                await self._passable(connection, forth=forth)
                await self._loop.sock_sendall(target, data)
        await self._passable(connection, forth=forth)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    async def _passable(self, connection: _Connection, *, forth: bool) -> None:
        while self._cuts:
            if connection.caller is None:
                self._find_callers()
            caller, callee = connection.caller or NOBODY, connection.callee
            sender, receiver = (caller, callee) if forth else (callee, caller)
            if not any(cut.holds(sender, receiver) for cut in self._cuts):
                return
            await self._changed.wait()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _line(pid: int) -> Iterator[int]:
    """The process, its parent, and so on."""
    with suppress(psutil.NoSuchProcess):
        process: psutil.Process | None = psutil.Process(pid)
        while process is not None:
            yield process.pid
            process = process.parent()


def _free_networks() -> tuple[socket.socket, str, str]:
    """The first three numbers of two loopback networks that no other run uses, and what keeps them."""
    chance = random.Random()
    while True:
        high, low = chance.randrange(64, 250), 2 * chance.randrange(0, 127)
        lock = socket.socket()
        try:
            lock.bind((f"127.{high}.{low}.255", RPC_PORT))
            lock.listen()
        except OSError:
            lock.close()
            continue
        return lock, f"127.{high}.{low}", f"127.{high}.{low + 1}"
