"""One socket between two slot processes: handshake first, then frames, both without blocking.

The side that dialled reads data (its channels are ``ReceivingChannel``), the side that accepted writes data
(``SendingChannel``). What a connection does with frames is up to its ``ConnectionOwner``.
"""

from __future__ import annotations

import secrets
import select
import socket
from collections import deque
from typing import Final, Protocol

from millstream.core.errors import MillstreamError
from millstream.taskmanager.network import handshake
from millstream.taskmanager.network.frames import Frame, FrameKind, FrameParser, pack_header
from millstream.taskmanager.network.reactor import Reactor

_READ_BYTES: Final = 512 * 1024
_BUFFERS_PER_WRITE: Final = 64
SOCKET_BUFFER_BYTES: Final = 1024 * 1024
UNREAD_HANDSHAKE_BYTES_MAX: Final = 4096


class ConnectionOwner(Protocol):
    """The network environment, as a connection sees it."""

    job_id: str
    job_token: bytes

    def on_established(self, connection: Connection) -> None: ...

    def on_frame(self, connection: Connection, frame: Frame) -> None: ...

    def on_writable(self, connection: Connection) -> None: ...

    def on_closed(self, connection: Connection, reason: str, authenticated: bool) -> None: ...


class Connection:
    """A non-blocking socket, from connect or accept to close. Closes itself on any error and tells its owner once."""

    def __init__(
        self,
        sock: socket.socket,
        reactor: Reactor,
        owner: ConnectionOwner,
        *,
        dialled: bool,
        peer: str,
        segment_bytes: int,
        deadline_s: float,
    ) -> None:
        self.peer = peer
        self.dialled = dialled
        self.deadline_s: float | None = deadline_s
        """Monotonic seconds by which the handshake must be over; None afterwards."""
        self.established = False
        self.closed = False
        self._sock = sock
        self._fd = sock.fileno()
        self._reactor = reactor
        self._owner = owner
        self._parser = FrameParser(segment_bytes)
        self._unread = bytearray()
        self._own_nonce = secrets.token_bytes(handshake.NONCE_BYTES)
        self._peer_nonce = b""
        self._outgoing: deque[bytes | memoryview] = deque()
        self._outgoing_bytes = 0
        self._interest = select.EPOLLIN
        self._read_buffer = bytearray(_READ_BYTES)
        reactor.register(self._fd, self._interest, self._ready)
        if dialled:
            self._queue(handshake.hello(owner.job_id, self._own_nonce))
            self._write()

    # -- sending ------------------------------------------------------------------------------------------------

    def send(
        self, kind: FrameKind, channel: int, sequence: int, number: int, payload: bytes | memoryview = b""
    ) -> None:
        """Queue a frame and send what the socket takes now."""
        if self.closed:
            return
        self._queue(pack_header(kind, channel, sequence, number, payload))
        if len(payload):
            self._queue(payload)
        self._write()

    def unsent_bytes(self) -> int:
        return self._outgoing_bytes

    def _queue(self, data: bytes | memoryview) -> None:
        self._outgoing.append(data)
        self._outgoing_bytes += len(data)

    def _write(self) -> None:
        outgoing = self._outgoing
        try:
            while outgoing:
                sent = self._sock.sendmsg([outgoing[i] for i in range(min(len(outgoing), _BUFFERS_PER_WRITE))])
                self._outgoing_bytes -= sent
                while sent:
                    first = outgoing[0]
                    if sent >= len(first):
                        sent -= len(first)
                        outgoing.popleft()
                    else:
                        outgoing[0] = memoryview(first)[sent:]
                        sent = 0
        except BlockingIOError:
            pass
        except OSError as error:
            self.close(f"{error.strerror or error}")
            return
        self._watch()

    def _watch(self) -> None:
        interest = select.EPOLLIN | (select.EPOLLOUT if self._outgoing else 0)
        if interest != self._interest and not self.closed:
            self._interest = interest
            self._reactor.modify(self._fd, interest)

    # -- receiving ----------------------------------------------------------------------------------------------

    def _ready(self, events: int) -> None:
        if events & select.EPOLLOUT:
            self._write()
            if not self.closed and not self._outgoing:
                self._owner.on_writable(self)
        if events & ~select.EPOLLOUT and not self.closed:
            self._read()

    def _read(self) -> None:
        try:
            count = self._sock.recv_into(self._read_buffer)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(error.strerror or str(error))
            return
        if count == 0:
            self.close("the peer closed the connection")
            return
        with memoryview(self._read_buffer) as view:
            self._received(view[:count])

    def _received(self, data: memoryview) -> None:
        try:
            if not self.established:
                self._unread += data
                self.advance_handshake()
                return
            for frame in self._parser.feed(data):
                self._owner.on_frame(self, frame)
        except MillstreamError as error:
            self.close(str(error))

    def advance_handshake(self) -> None:
        """Go on as far as the received bytes allow; called again when the slot gets its job."""
        if self.closed or self.established:
            return
        try:
            if self.dialled:
                self._finish_as_client()
            else:
                self._finish_as_server()
        except MillstreamError as error:
            self.close(str(error))
            return
        if len(self._unread) > UNREAD_HANDSHAKE_BYTES_MAX:
            self.close("too many bytes before the handshake")

    def _finish_as_client(self) -> None:
        if len(self._unread) < handshake.CHALLENGE_BYTES:
            return
        answer = self._cut(handshake.CHALLENGE_BYTES)
        token = self._owner.job_token
        server_nonce = handshake.read_challenge(answer, token, self._own_nonce)
        self._queue(handshake.proof(token, self._own_nonce, server_nonce))
        self._write()
        self._establish()

    def _finish_as_server(self) -> None:
        if not self._peer_nonce:
            handshake.check_magic(bytes(self._unread[:10]))
        if not self._owner.job_id:
            return  # the slot has no job yet: the peer waits, within the deadline
        if not self._peer_nonce:
            if len(self._unread) < handshake.HELLO_BYTES:
                return
            self._peer_nonce = handshake.read_hello(self._cut(handshake.HELLO_BYTES), self._owner.job_id)
            self._queue(handshake.challenge(self._owner.job_token, self._peer_nonce, self._own_nonce))
            self._write()
        if len(self._unread) >= handshake.PROOF_BYTES:
            proof = self._cut(handshake.PROOF_BYTES)
            handshake.check_proof(proof, self._owner.job_token, self._peer_nonce, self._own_nonce)
            self._establish()

    def _cut(self, size: int) -> bytes:
        data = bytes(self._unread[:size])
        del self._unread[:size]
        return data

    def _establish(self) -> None:
        self.established = True
        self.deadline_s = None
        self._owner.on_established(self)
        rest = bytes(self._unread)
        self._unread.clear()
        if rest and not self.closed:
            for frame in self._parser.feed(rest):
                self._owner.on_frame(self, frame)

    # -- end ----------------------------------------------------------------------------------------------------

    def close(self, reason: str) -> None:
        """Idempotent."""
        if self.closed:
            return
        self.closed = True
        self._reactor.unregister(self._fd)
        self._sock.close()
        self._outgoing.clear()
        self._outgoing_bytes = 0
        self._owner.on_closed(self, reason, self.established)
