"""The listening sockets of a slot process: a Unix socket for its host, a TCP port for others."""

from __future__ import annotations

import logging
import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from millstream.core.errors import ExternalError
from millstream.taskmanager.network.dialling import tune_tcp, tune_unix
from millstream.taskmanager.network.reactor import Reactor

_BACKLOG: Final = 128
_ACCEPTS_PER_EVENT: Final = 32


class Listener:
    """Accepts connections and hands them on, non-blocking."""

    def __init__(
        self,
        reactor: Reactor,
        on_connection: Callable[[socket.socket, str], None],
        unix_path: Path | None,
        tcp_host: str,
        tcp_port: int,
        log: logging.Logger,
    ) -> None:
        self.tcp_port = tcp_port
        self._reactor = reactor
        self._on_connection = on_connection
        self._unix_path = unix_path
        self._tcp_host = tcp_host
        self._log = log
        self._sockets: list[socket.socket] = []

    def listen(self) -> None:
        if self._unix_path is not None:
            self._unix_path.unlink(missing_ok=True)
            self._listen(socket.socket(socket.AF_UNIX), str(self._unix_path))
            self._unix_path.chmod(0o600)
        family = socket.AF_INET6 if ":" in self._tcp_host else socket.AF_INET
        tcp = socket.socket(family)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listen(tcp, (self._tcp_host, self.tcp_port))
        self.tcp_port = tcp.getsockname()[1]

    def _listen(self, sock: socket.socket, address: str | tuple[str, int]) -> None:
        try:
            sock.bind(address)
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            raise ExternalError(
                f"cannot listen for data connections on {address}: {error.strerror}. "
                f"Free the port or set taskmanager.data.port."
            ) from error
        sock.setblocking(False)
        self._sockets.append(sock)
        self._reactor.register(sock.fileno(), select.EPOLLIN, lambda events: self._accept(sock))

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_EVENT):
            try:
                sock, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._log.warning("cannot accept a data connection: %s", error.strerror)
                return
            sock.setblocking(False)
            if sock.family == socket.AF_UNIX:
                tune_unix(sock)
            else:
                tune_tcp(sock)
            self._on_connection(sock, f"{address[0]}:{address[1]}" if address else "this host")

    def close(self) -> None:
        for sock in self._sockets:
            self._reactor.unregister(sock.fileno())
            sock.close()
        self._sockets.clear()
        if self._unix_path is not None:
            self._unix_path.unlink(missing_ok=True)
