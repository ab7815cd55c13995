"""Opening sockets to other slots: the Unix socket on the same host, TCP otherwise."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from millstream.proto.v1 import common_pb2

_KEEPALIVE: Final = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""A host that vanishes without a word is noticed after about 25 seconds; heartbeats notice it before."""


UNIX_BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Wanted; the system may allow less (``net.core.wmem_max``)."""


def dial(address: common_pb2.DataAddress, host_id: str) -> socket.socket:
    """A non-blocking socket, connected or connecting. Raises ``OSError`` when nobody is there now."""
    # The host id says "same machine"; the file says "same file system" (containers may share only the former).
    if address.unix_path and address.host_id == host_id and os.path.exists(address.unix_path):  # noqa: PTH110
        return _connect(socket.socket(socket.AF_UNIX), address.unix_path)
    sock = socket.socket(socket.AF_INET6 if ":" in address.tcp_host else socket.AF_INET)
    tune_tcp(sock)
    return _connect(sock, (address.tcp_host, address.tcp_port))


def tune_tcp(sock: socket.socket) -> None:
    """No delay for small frames; notice peers that are gone."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def tune_unix(sock: socket.socket) -> None:
    """Let a slot write on while the other computes: what is sent waits in the buffer of the sender."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNIX_BUFFER_BYTES)


def address_name(address: common_pb2.DataAddress) -> str:
    """How messages name the slot at that address."""
    return f"{address.tcp_host}:{address.tcp_port}"


def _connect(sock: socket.socket, address: str | tuple[str, int]) -> socket.socket:
    sock.setblocking(False)
    try:
        result = sock.connect_ex(address)
    except OSError:
        sock.close()
        raise
    if result not in (0, errno.EINPROGRESS):
        sock.close()
        raise OSError(result, os.strerror(result))
    return sock
