"""The slot's end of the socket pair to its TaskManager.

Reads ``ToSlot``, writes ``FromSlot``, both inside the reactor. Writing never blocks: what the socket does not take is
kept and sent when it can be. End of file means that the TaskManager is gone; the slot then ends at once.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from millstream.proto.v1 import taskmanager_pb2
from millstream.taskmanager.network.reactor import Reactor
from millstream.taskmanager.slot.framing import Unpacker, pack

_READ_BYTES = 256 * 1024


class ControlChannel:
    """Framed messages over ``connection``, which it owns."""

    def __init__(
        self,
        connection: socket.socket,
        reactor: Reactor,
        on_message: Callable[[taskmanager_pb2.ToSlot], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._reactor = reactor
        self._on_message = on_message
        self._on_lost = on_lost
        self._unpacker = Unpacker(taskmanager_pb2.ToSlot)
        self._unsent = bytearray()
        self._writing = False
        connection.setblocking(False)
        reactor.register(connection.fileno(), select.EPOLLIN, self._ready)

    def send(self, message: taskmanager_pb2.FromSlot) -> None:
        """Queue ``message`` and send what the socket takes now."""
        self._unsent += pack(message)
        self._write()

    def drain(self, timeout_s: float) -> None:
        """Block until everything queued was sent, at most ``timeout_s``; used once, before the process ends."""
        self._connection.settimeout(timeout_s)
        try:
            self._connection.sendall(self._unsent)
            self._unsent.clear()
        except OSError:
            return

    def _ready(self, events: int) -> None:
        if events & select.EPOLLOUT:
            self._write()
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            self._read()

    def _read(self) -> None:
        try:
            data = self._connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._reactor.unregister(self._connection.fileno())
            self._on_lost()
            return
        for message in self._unpacker.feed(data):
            self._on_message(message)

    def _write(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
            del self._unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # the read side sees the end of the connection and acts on it
        if bool(self._unsent) != self._writing:
            self._writing = bool(self._unsent)
            self._reactor.modify(self._connection.fileno(), select.EPOLLIN | (select.EPOLLOUT if self._writing else 0))
