"""One socket between two slot processes: handshake first, then frames, both without blocking.

The side that dialled reads data (its channels are ``ReceivingChannel``), the side that accepted writes data
(``SendingChannel``). What a connection does with frames is up to its ``ConnectionOwner``.
"""

from __future__ import annotations

import logging
import secrets
import select
import socket
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final, Protocol

from millstream.core.errors import AuthenticationError, MillstreamError, ProtocolVersionError
from millstream.taskmanager.network import handshake
from millstream.taskmanager.network.frames import FLAG_PLAIN, Bytes, Frame, FrameParser, pack_header
from millstream.taskmanager.network.reactor import Reactor

_READS_PER_EVENT: Final = 8
_BUFFERS_PER_WRITE: Final = 64
UNREAD_HANDSHAKE_BYTES_MAX: Final = 4096

_log = logging.getLogger("millstream.network")


class ConnectionOwner(Protocol):
    """Who opened the connection and knows its channels."""

    @property
    def job_id(self) -> str: ...

    @property
    def job_token(self) -> bytes: ...

    def on_established(self, connection: Connection) -> None: ...

    def on_frame(self, connection: Connection, frame: Frame) -> None:
        """Raises ``MillstreamError`` for a frame that this side does not expect: the connection is closed."""
        ...

    def on_writable(self, connection: Connection) -> None:
        """The socket took everything."""
        ...

    def on_closed(self, connection: Connection, failure: MillstreamError | None, reason: str) -> None:
        """Once. ``failure`` is set when the peer is not who it should be, so that another attempt is useless."""
        ...


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
    ) -> None:
        self.peer = peer
        self.dialled = dialled
        self.established = False
        self.said_hello = False
        """An accepted peer speaks our protocol and names our job, or this slot has no job yet to check it against."""
        self.closed = False
        self.refused = False
        """The peer sent what it must not."""
        self.unsent_bytes = 0
        """Queued, not taken by the socket."""
        self._sock = sock
        self._fd = sock.fileno()
        self._reactor = reactor
        self._owner = owner
        self._flags = FLAG_PLAIN if sock.family == socket.AF_UNIX else 0
        self._segment_bytes = segment_bytes
        self._parser: FrameParser | None = None
        self._unread = bytearray()
        self._own_nonce = secrets.token_bytes(handshake.NONCE_BYTES)
        self._peer_nonce = b""
        self._outgoing: deque[Bytes] = deque()
        self._interest = select.EPOLLIN
        reactor.register(self._fd, self._interest, self._ready)
        if dialled:
            self._queue(handshake.hello(owner.job_id, self._own_nonce))
            self.flush()

    # -- sending ------------------------------------------------------------------------------------------------

    def queue(
        self, kind: int, channel: int, sequence: int, number: int, payload: Sequence[Bytes] = (), flags: int = 0
    ) -> None:
        """Put a frame behind the others; ``flush`` sends."""
        if self.closed:
            return
        header = pack_header(kind, channel, sequence, number, payload, flags | self._flags)
        self._outgoing.append(header)
        self.unsent_bytes += len(header)
        for part in payload:
            if size := len(part):
                self._outgoing.append(part)
                self.unsent_bytes += size

    def send(
        self, kind: int, channel: int, sequence: int, number: int, payload: Sequence[Bytes] = (), flags: int = 0
    ) -> None:
        """Queue a frame and send what the socket takes now."""
        self.queue(kind, channel, sequence, number, payload, flags)
        self.flush()

    def _queue(self, data: Bytes) -> None:
        self._outgoing.append(data)
        self.unsent_bytes += len(data)

    def flush(self) -> None:
        """Send what the socket takes now; the rest follows when it is writable."""
        if not self._interest & select.EPOLLOUT:
            self._write()

    def _write(self) -> None:
        outgoing = self._outgoing
        if not outgoing or self.closed:
            return
        try:
            while outgoing:
                sent = self._sock.sendmsg(islice(outgoing, _BUFFERS_PER_WRITE))
                self.unsent_bytes -= sent
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
        interest = select.EPOLLIN | (select.EPOLLOUT if outgoing else 0)
        if interest != self._interest:
            self._interest = interest
            self._reactor.modify(self._fd, interest)

    # -- receiving ----------------------------------------------------------------------------------------------

    def _ready(self, events: int) -> None:
        if events & select.EPOLLOUT:
            self._write()
            if not self.closed and not self._outgoing:
                self._owner.on_writable(self)
        if events & ~select.EPOLLOUT and not self.closed:
            try:
                self._read()
            except MillstreamError as error:
                self._refuse(error)
            except BlockingIOError:
                pass
            except OSError as error:
                self.close(error.strerror or str(error))

    def _read(self) -> None:
        for _ in range(_READS_PER_EVENT):
            if self.closed:
                return
            parser = self._parser
            if parser is None:
                self._read_handshake()
                continue
            buffers = parser.buffers()
            count = self._sock.recvmsg_into(buffers)[0]
            if count == 0:
                self.close("the peer closed the connection")
                return
            whole = count == sum(map(len, buffers))
            self._handle(parser.received(count))
            if not whole:
                return

    def _handle(self, frames: list[Frame]) -> None:
        for frame in frames:
            if self.closed:
                return
            try:
                self._owner.on_frame(self, frame)
            except MillstreamError:
                raise
            except Exception as error:  # one broken frame must cost one connection, not the slot
                _log.exception("a frame of %s on channel %d from %s", frame.kind.name, frame.channel, self.peer)
                self.close(f"a {frame.kind.name} frame could not be handled: {type(error).__name__}: {error}")

    def _read_handshake(self) -> None:
        data = self._sock.recv(UNREAD_HANDSHAKE_BYTES_MAX - len(self._unread))
        if not data:
            self.close("the peer closed the connection during the handshake")
            return
        self._unread += data
        self.advance_handshake()
        if not self.established and not self.closed and len(self._unread) >= UNREAD_HANDSHAKE_BYTES_MAX:
            self.close(f"more than {UNREAD_HANDSHAKE_BYTES_MAX} bytes before the handshake was over")

    def advance_handshake(self) -> None:
        """Go on as far as the received bytes allow; called again when the slot gets its job."""
        if self.closed or self.established:
            return
        try:
            if self.dialled:
                self._shake_as_client()
            else:
                self._shake_as_server()
        except MillstreamError as error:
            self._refuse(error)

    def _shake_as_client(self) -> None:
        handshake.check_magic(bytes(self._unread[:8]))
        if len(self._unread) < handshake.CHALLENGE_BYTES:
            return
        answer = self._cut(handshake.CHALLENGE_BYTES)
        token = self._owner.job_token
        server_nonce = handshake.read_challenge(answer, token, self._own_nonce)
        self._queue(handshake.proof(token, self._own_nonce, server_nonce))
        self._establish()

    def _shake_as_server(self) -> None:
        if not self._peer_nonce:
            handshake.check_magic(bytes(self._unread[:8]))
            if len(self._unread) < handshake.HELLO_BYTES:
                return
            self.said_hello = True
            if not self._owner.job_id:
                return
            hello = self._cut(handshake.HELLO_BYTES)
            try:
                self._peer_nonce = handshake.read_hello(hello, self._owner.job_id)
            except ProtocolVersionError:
                self._queue(handshake.refusal())
                self.flush()
                raise
            self._queue(handshake.challenge(self._owner.job_token, self._peer_nonce, self._own_nonce))
            self.flush()
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
        parser = self._parser = FrameParser(self._segment_bytes)
        rest = self._cut(len(self._unread))
        self._owner.on_established(self)
        self.flush()
        self._handle(parser.feed(rest))

    # -- end ----------------------------------------------------------------------------------------------------

    def _refuse(self, error: MillstreamError) -> None:
        self.refused = True
        wrong_peer = isinstance(error, AuthenticationError | ProtocolVersionError)
        self.close(str(error), error if wrong_peer else None)

    def close(self, reason: str, failure: MillstreamError | None = None) -> None:
        """Idempotent."""
        if self.closed:
            return
        self.closed = True
        self._reactor.unregister(self._fd)
        self._sock.close()
        self._outgoing.clear()
        self.unsent_bytes = 0
        self._parser = None
        self._owner.on_closed(self, reason=reason, failure=failure)
