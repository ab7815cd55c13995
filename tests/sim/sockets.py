"""Sockets of the data plane, without descriptors: ``SimSocket``, ``SimListener``, ``dial``, ``SimReactor``.

A connection is two pipes. A pipe takes as many bytes as its buffer has room for, delivers them in order, in pieces of
any size, and a while later. Killing a process closes its sockets; a machine without power says nothing.
"""

from __future__ import annotations

import errno
import itertools
import select
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from tests.sim.loop import PROCESS, SimProcess
from tests.sim.net import SimNet, nothing, pair_of
from tests.sim.rpc import NET

BUFFER_BYTES = [256 * 1024]
"""Of a pipe; the run may make it tiny."""
OPEN: dict[int, SimSocket] = {}
"""All sockets of the run by number, as a kernel knows them."""
_numbers = itertools.count(1000)


class SimSocket:
    """One end. ``peer`` is set when it is connected."""

    def __init__(self, process: SimProcess, family: int) -> None:
        self.family = family
        self.process = process
        self.peer: SimSocket | None = None
        self.error = 0
        self._net: SimNet = NET[0]
        self._number = next(_numbers)
        self._incoming: deque[bytes] = deque()
        self._outgoing: deque[bytes] = deque()
        """On the way, in order; an empty one is the end."""
        self._on_the_way = 0
        self._ended = False
        self.closed = False
        self.on_ready: Callable[[], object] = nothing
        process.on_kill.append(self.close)
        OPEN[self._number] = self

    # -- what Connection calls ---------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._number

    def setblocking(self, flag: bool) -> None:
        """They never block."""

    def sendmsg(self, buffers: Iterable[Any]) -> int:
        if self.error:
            raise OSError(self.error, "the connection was reset")
        room = self.room()
        if room <= 0:
            raise BlockingIOError
        data = b"".join(buffers)[:room]
        assert self.peer is not None
        self._on_the_way += len(data)
        self._outgoing.append(data)
        self._net.send(self.process, self.peer.process.machine, self.peer._arrived, nothing)
        return len(data)

    def recv(self, size: int) -> bytes:
        if not self._incoming:
            if self.error:
                raise OSError(self.error, "the connection was reset")
            if self._ended:
                return b""
            raise BlockingIOError
        first = self._incoming.popleft()
        if len(first) > size:
            self._incoming.appendleft(first[size:])
            first = first[:size]
        self._taken(len(first))
        return first

    def recvmsg_into(self, buffers: Any) -> tuple[int]:
        data = self.recv(sum(map(len, buffers)))
        view, start = memoryview(data), 0
        for buffer in buffers:
            part = view[start : start + len(buffer)]
            buffer[: len(part)] = part
            start += len(part)
            if start >= len(data):
                break
        return (len(data),)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        OPEN.pop(self._number, None)
        if self.close in self.process.on_kill:
            self.process.on_kill.remove(self.close)
        peer = self.peer
        if peer is not None:
            self._outgoing.append(b"")
            arrive = peer._reset if self._incoming else peer._arrived
            self._net.send(self.process, peer.process.machine, arrive, nothing)

    # -- what the reactor asks ---------------------------------------------------------------------------------------

    def events(self, interest: int) -> int:
        """What epoll would say."""
        found = 0
        if self.error:
            found |= select.EPOLLERR | select.EPOLLHUP | select.EPOLLIN
        elif self._incoming or self._ended:
            found |= select.EPOLLIN
        if interest & select.EPOLLOUT and self.peer is not None and (self.error or self.room() > 0):
            found |= select.EPOLLOUT
        return found

    def room(self) -> int:
        if self.peer is None:
            return 0
        return BUFFER_BYTES[0] - self._on_the_way

    # -- the network -------------------------------------------------------------------------------------------------

    def connected(self, peer: SimSocket) -> None:
        self.peer = peer
        if self.process.machine != peer.process.machine:
            self._net.on_reset(pair_of(self.process.machine, peer.process.machine), self._reset)
        self.process.soon(self._ready)

    def refused(self) -> None:
        self.error = errno.ECONNREFUSED
        self.process.soon(self._ready)

    def _arrived(self) -> None:
        """The next piece that the peer sent."""
        peer = self.peer
        if peer is None or not peer._outgoing or self.error:
            return
        data = peer._outgoing.popleft()
        if self.closed:
            if data:
                self._net.send(self.process, peer.process.machine, peer._reset, nothing)
            return
        cut = 1 + int(self._net.random.random() * len(data))
        self._incoming.extend(piece for piece in (data[:cut], data[cut:]) if piece)
        self._ended = self._ended or not data
        self.process.soon(self._ready)

    def _taken(self, count: int) -> None:
        peer = self.peer
        assert peer is not None
        peer._on_the_way -= count
        if peer.on_ready is not nothing:
            self._net.send(self.process, peer.process, peer._ready, nothing)

    def _reset(self) -> None:
        if not self.closed and not self.error:
            self.error = errno.ECONNRESET
            self._incoming.clear()
            self.process.soon(self._ready)

    def _ready(self) -> None:
        self.on_ready()


class SimListener:
    """Takes the place of ``Listener``."""

    def __init__(
        self,
        reactor: SimReactor,
        on_connection: Callable[[Any, str], None],
        unix_path: Any,
        tcp_host: str,
        tcp_port: int,
        log: Any,
    ) -> None:
        self.process = PROCESS.get()
        self.tcp_port = tcp_port or NET[0].free_port()
        self._reactor = reactor
        self._on_connection = on_connection
        self._open = False

    def listen(self) -> None:
        self._open = True
        NET[0].listeners[self.process.machine, self.tcp_port] = self

    def accept(self, dialled: SimSocket) -> None:
        """At the kernel of the listener's machine."""
        net = NET[0]
        if not self._open or not self.process.alive or dialled.closed:
            net.send(net.of_machine(f"{self.process.machine}:0"), dialled.process.machine, dialled.refused, nothing)
            return
        sock = SimSocket(self.process, dialled.family)
        sock.connected(dialled)
        net.send(self.process, dialled.process.machine, lambda: dialled.connected(sock), nothing)
        self._reactor.call_soon(lambda: self._on_connection(sock, dialled.process.machine))

    def close(self) -> None:
        self._open = False


def dial(address: Any, host_id: str) -> SimSocket:
    """Takes the place of ``dialling.dial``: a socket that is connecting."""
    net, process = NET[0], PROCESS.get()
    local = address.host_id == host_id
    dialled = SimSocket(process, socket.AF_UNIX if local else socket.AF_INET)

    def arrive() -> None:
        listener = net.listeners.get((address.tcp_host, address.tcp_port))
        if listener is None:
            net.send(net.of_machine(f"{address.tcp_host}:0"), process.machine, dialled.refused, nothing)
        else:
            listener.accept(dialled)

    net.send(process, address.tcp_host, arrive, dialled.refused)
    return dialled


class SimReactor:
    """Takes the place of ``Reactor``: ``on_wake`` is called when there is something to poll for."""

    def __init__(self, on_wake: Callable[[], None]) -> None:
        self._on_wake = on_wake
        self._sockets: dict[int, tuple[SimSocket, Callable[[int], None]]] = {}
        self._interest: dict[int, int] = {}
        self._soon: deque[Callable[[], None]] = deque()
        self._woken = True

    def register(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        sock = OPEN[fd]
        self._sockets[fd] = (sock, callback)
        self._interest[fd] = events
        sock.on_ready = self.wake_up
        self.wake_up()

    def modify(self, fd: int, events: int) -> None:
        self._interest[fd] = events
        self.wake_up()

    def unregister(self, fd: int) -> None:
        self._interest.pop(fd, None)
        held = self._sockets.pop(fd, None)
        if held is not None:
            held[0].on_ready = nothing

    def has_work(self) -> bool:
        return self._woken

    def poll(self, timeout_s: float | None) -> int:
        self._woken = False
        count = 0
        while self._soon:
            self._soon.popleft()()
            count += 1
        for fd, interest in list(self._interest.items()):
            held = self._sockets.get(fd)
            if held is None:
                continue
            events = held[0].events(interest)
            if events:
                count += 1
                held[1](events)
                if fd in self._interest and held[0].events(self._interest[fd]):
                    self.wake_up()  # it did not take everything
        return count

    def wake_up(self) -> None:
        self._woken = True
        self._on_wake()

    def call_soon(self, action: Callable[[], None]) -> None:
        self._soon.append(action)
        self.wake_up()

    def close(self) -> None:
        self._sockets.clear()
        self._interest.clear()
