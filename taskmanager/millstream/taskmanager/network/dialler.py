"""Dialling other slots: the Unix socket on the same host, TCP otherwise."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from millstream.core.clock import Clock
from millstream.proto.v1 import common_pb2

if TYPE_CHECKING:
    from millstream.taskmanager.network.connection import Connection


class Dialler:
    """Opens sockets and remembers what to do once a connection has shaken hands."""

    def __init__(self, host_id: str, clock: Clock, timeout_s: float) -> None:
        self._host_id = host_id
        self._clock = clock
        self._timeout_s = timeout_s
        self._pending: dict[Connection, list[Callable[[], None]]] = {}

    def dial(self, address: common_pb2.DataAddress) -> socket.socket | None:
        """A non-blocking socket, connected or connecting; None when nobody is there."""
        if address.unix_path and address.host_id == self._host_id and os.path.exists(address.unix_path):  # noqa: PTH110
            return _connect_unix(address.unix_path)
        family = socket.AF_INET6 if ":" in address.tcp_host else socket.AF_INET
        sock = socket.socket(family)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _start(sock, (address.tcp_host, address.tcp_port))

    def when_established(self, connection: Connection, action: Callable[[], None]) -> None:
        """Run ``action`` now, or as soon as the handshake is over."""
        if connection.established:
            action()
        else:
            self._pending.setdefault(connection, []).append(action)

    def established(self, connection: Connection) -> None:
        for action in self._pending.pop(connection, ()):
            action()

    def forget(self, connection: Connection) -> None:
        self._pending.pop(connection, None)


def _connect_unix(path: str) -> socket.socket | None:
    """Connecting on the same host either works at once or fails; it waits only for a full backlog."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(2.0)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        return None
    sock.setblocking(False)
    return sock


def _start(sock: socket.socket, address: tuple[str, int]) -> socket.socket | None:
    sock.setblocking(False)
    try:
        result = sock.connect_ex(address)
    except OSError:
        result = errno.EHOSTUNREACH
    if result in (0, errno.EINPROGRESS):
        return sock
    sock.close()
    return None
