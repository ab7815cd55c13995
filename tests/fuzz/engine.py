"""Sends attacks over many connections at once, without blocking, and notices a server that never answers."""

from __future__ import annotations

import selectors
import socket
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from millstream.core.clock import Clock
from tests.fuzz.attacks import Attack, Attacker, Step
from tests.fuzz.endpoints import Endpoint

OPEN_MAX: Final = 24
"""Connections to one endpoint at a time."""
HELD_MAX: Final = 12
"""Of them, those that are never finished."""
READ_BYTES: Final = 65536
SLICE_BYTES_MAX: Final = 400
HANG_S: Final = 60.0
"""A connection that its client has ended must be closed by then, however loaded the machine is."""
ANSWER_S: Final = 3.0
"""An answer that has not come by then does not: a slot without a job lets peers wait that said hello."""
POLL_S: Final = 0.05


@dataclass
class Sent:
    """Over one endpoint, or all of them."""

    frames: int = 0
    connections: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class _Connection:
    def __init__(self, sock: socket.socket, name: str, attack: Attack, began_s: float) -> None:
        self.sock = sock
        self.name = name
        self.attack = attack
        self.began_s = began_s
        self.bytes_sent = 0
        self.ended = False
        """Everything is sent, and the sending side closed unless the attack holds."""
        self._take(attack.first())

    def _take(self, step: Step) -> None:
        self._out = memoryview(step.data)
        self._sliced = step.sliced and len(step.data) <= SLICE_BYTES_MAX
        self._wanted = step.answer_bytes
        self._answer = b""

    @property
    def writes(self) -> bool:
        return len(self._out) > 0

    def write(self) -> None:
        """Send what the socket takes, if only the end. ``OSError`` when the server has closed."""
        if not self.writes:
            self._finish()
            return
        count = self.sock.send(self._out[:1] if self._sliced else self._out)
        self.bytes_sent += count
        self._out = self._out[count:]
        self._finish()

    def read(self) -> bool:
        """Take what the server says; False when it has closed. ``OSError`` likewise."""
        data = self.sock.recv(READ_BYTES)
        if not data:
            return False
        if self._wanted:
            self._answer += data
            if len(self._answer) >= self._wanted:
                step = self.attack.next(self._answer)
                self._wanted = 0
                if step is not None:
                    self._take(step)
            self._finish()
        return True

    def give_up_waiting(self) -> None:
        """For an answer."""
        if self._wanted and not self.writes:
            self._wanted = 0
            try:
                self._finish()
            except OSError:
                pass  # closed on us: that will be read

    def _finish(self) -> None:
        if not self.writes and not self._wanted and not self.ended:
            self.ended = True
            if not self.attack.holds:
                self.sock.shutdown(socket.SHUT_WR)


class Engine:
    """Attacks one endpoint until so many frames are sent."""

    def __init__(self, endpoint: Endpoint, attacker: Attacker, clock: Clock) -> None:
        self.sent = Sent()
        self._endpoint = endpoint
        self._attacker = attacker
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._open: set[_Connection] = set()
        self._held: deque[_Connection] = deque()
        self._held_max = HELD_MAX
        self._begun = 0
        """Frames of the connections so far."""

    def run(self, frames: int) -> Sent:
        """Send at least ``frames``; then end every connection."""
        while self._begun < frames and not self.sent.problems:
            if len(self._open) < OPEN_MAX:
                self._start()
            self._poll(0.0 if len(self._open) < OPEN_MAX else POLL_S)
        self._held_max = 0
        while self._held:
            self._close(self._held[0])
        while self._open and not self.sent.problems:
            self._poll(POLL_S)
        for connection in list(self._open):
            self._close(connection)
        self._selector.close()
        return self.sent

    def _start(self) -> None:
        try:
            sock = self._endpoint.connect()
        except BlockingIOError:
            self._poll(POLL_S)
            return
        except OSError as error:
            self.sent.problems.append(f"{self._endpoint} accepts nobody any more: {error}")
            return
        name, attack = self._attacker.attack()
        connection = _Connection(sock, name, attack, self._clock.monotonic_s())
        self._begun += attack.frames
        self._open.add(connection)
        self._selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)
        self.sent.connections += 1
        self.sent.ways[name] += 1

    def _poll(self, wait_s: float) -> None:
        for key, events in self._selector.select(wait_s):
            connection: _Connection = key.data
            try:
                if events & selectors.EVENT_WRITE and not connection.ended:
                    connection.write()
                if events & selectors.EVENT_READ and not connection.read():
                    self._close(connection)
                    continue
            except BlockingIOError:
                continue
            except OSError:  # closed on us, as it should
                self._close(connection)
                continue
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.writes else 0)
            if wanted != key.events:
                self._selector.modify(key.fileobj, wanted, connection)
            if connection.ended and connection.attack.holds and connection not in self._held:
                self._held.append(connection)
                if len(self._held) > self._held_max:
                    self._close(self._held[0])
        now_s = self._clock.monotonic_s()
        for connection in self._open:
            if now_s - connection.began_s > ANSWER_S:
                connection.give_up_waiting()
        for connection in [one for one in self._open if now_s - one.began_s > HANG_S and one not in self._held]:
            self.sent.problems.append(f"{self._endpoint} did not end a connection of {connection.name}")
            self._close(connection)

    def _close(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if connection in self._held:
            self._held.remove(connection)
        self._selector.unregister(connection.sock)
        connection.sock.close()
        self.sent.frames += connection.attack.frames if connection.bytes_sent else 0
