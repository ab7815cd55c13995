"""What is sent to each kind of port. An attack is the bytes of one connection and how many frames they are."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import msgpack

from millstream.core.clock import SystemClock
from millstream.core.rpc.secret import AUTHORIZATION_KEY, ClusterSecret
from millstream.core.rpc.version import PROTOCOL_KEY, PROTOCOL_VERSION
from millstream.proto.v1 import jobmanager_pb2, taskmanager_pb2
from millstream.taskmanager.network import handshake
from millstream.taskmanager.network.frames import FLAG_MORE, FrameKind, pack_header
from tests.fuzz import http2
from tests.fuzz.mutation import Mutator

SEGMENT_BYTES: Final = 4096
FRAMES_A_CONNECTION: Final = 200
METHODS: Final = {
    f"/{service.full_name}/{method.name}": method.input_type
    for module in (jobmanager_pb2, taskmanager_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
REPLACES_AN_IDLE_SLOT: Final = "/FreeSlot"
TOKEN_BYTES: Final = 32


@dataclass(frozen=True)
class Step:
    """Bytes to send, and what to wait for before the next ones; ``answer_bytes`` of it are wanted, 0 for none."""

    data: bytes
    answer_bytes: int = 0
    sliced: bool = False
    """One byte a segment."""


class Attack(Protocol):
    """Of one connection."""

    frames: int
    holds: bool
    """Nothing more comes, and the connection stays open for a while."""

    def first(self) -> Step: ...

    def next(self, answer: bytes) -> Step | None:
        """After an answer that was wanted; None: that was all."""
        ...


class Burst:
    """Everything at once."""

    def __init__(self, data: bytes, frames: int, *, holds: bool = False, sliced: bool = False) -> None:
        self.frames = frames
        self.holds = holds
        self._step = Step(data, sliced=sliced)

    def first(self) -> Step:
        return self._step

    def next(self, answer: bytes) -> Step | None:
        return None


class Authenticated:
    """A peer of the data plane that knows the job's token, and then sends ``data``."""

    holds = False

    def __init__(self, job_id: str, token: bytes, data: bytes, frames: int) -> None:
        self.frames = frames + 2
        self._job_id = job_id
        self._token = token
        self._data = data

    def first(self) -> Step:
        return Step(handshake.hello(self._job_id, bytes(handshake.NONCE_BYTES)), handshake.CHALLENGE_BYTES)

    def next(self, answer: bytes) -> Step | None:
        nonce = bytes(handshake.NONCE_BYTES)
        server_nonce = answer[10 : 10 + handshake.NONCE_BYTES]
        return Step(handshake.proof(self._token, nonce, server_nonce) + self._data)


class Attacker:
    """Makes attacks on one kind of port, from one seed."""

    def __init__(self, chance: random.Random, mutator: Mutator) -> None:
        self.chance = chance
        self.mutator = mutator
        self.ways: dict[str, Callable[[], Attack]] = {"noise": self._noise}

    def attack(self) -> tuple[str, Attack]:
        """And its name."""
        name = self.chance.choice(list(self.ways))
        return name, self.ways[name]()

    def _noise(self) -> Attack:
        chance = self.chance
        if chance.random() < 0.1:
            return Burst(self.mutator.noise(), 1, holds=chance.random() < 0.2, sliced=chance.random() < 0.2)
        parts = [self.mutator.noise(100) for _ in range(20)]
        return Burst(b"".join(parts), len(parts))


class DataAttacker(Attacker):
    """On the data plane of a slot that runs the job."""

    def __init__(self, chance: random.Random, mutator: Mutator, job_id: str, token: bytes) -> None:
        super().__init__(chance, mutator)
        self._job_id = job_id
        self._token = token
        self.ways |= {
            "handshake": self._handshake,
            "wrong token": self._wrong_token,
            "frames": self._frames,
            "mutated frames": self._mutated_frames,
            "unfinished": self._unfinished,
        }

    def _handshake(self) -> Attack:
        """Hellos of other jobs, other versions, other bytes; never a right one."""
        job = self.chance.choice((self._job_id, "0" * 32, "\0" * 32))
        data = self.mutator.mutated(handshake.hello(job, self.chance.randbytes(handshake.NONCE_BYTES)))
        return Burst(data + self.mutator.noise(), 2, sliced=self.chance.random() < 0.05)

    def _wrong_token(self) -> Attack:
        data = self._valid_frames()
        return Authenticated(self._job_id, self.chance.randbytes(TOKEN_BYTES), data, FRAMES_A_CONNECTION)

    def _frames(self) -> Attack:
        """Whole frames with right checksums, for channels that do not exist; the last one is senseless."""
        data = self._valid_frames() + self._senseless_frame()
        return Authenticated(self._job_id, self._token, data, FRAMES_A_CONNECTION + 1)

    def _mutated_frames(self) -> Attack:
        data = self._valid_frames()
        at = self.chance.randrange(len(data))
        data = data[:at] + self.mutator.mutated(data[at : at + 200]) + data[at + 200 :]
        return Authenticated(self._job_id, self._token, data, FRAMES_A_CONNECTION)

    def _unfinished(self) -> Attack:
        head = pack_header(FrameKind.OPEN, 1, 0, 1, (bytes(SEGMENT_BYTES),))
        return Authenticated(self._job_id, self._token, head + bytes(100), 1)

    def _valid_frames(self) -> bytes:
        """Credit, ends and requests of a consumer of partitions that nobody has."""
        chance, frames = self.chance, []
        for number in range(FRAMES_A_CONNECTION):
            match chance.randrange(10):
                case 0:
                    wanted = msgpack.packb(
                        [chance.randint(1000, 2**32), *(chance.choice((0, 1, 2**31)) for _ in range(3))]
                    )
                    frames.append(_frame(FrameKind.OPEN, 100 + number, chance.choice((1, 2, 1000)), wanted))
                case 1:
                    frames.append(_frame(FrameKind.CLOSE, chance.randint(0, 400), 0))
                case _:
                    frames.append(_frame(FrameKind.CREDIT, chance.choice((7, 2**32 - 1)), chance.randint(0, 2**32 - 1)))
        return b"".join(frames)

    def _senseless_frame(self) -> bytes:
        chance = self.chance
        kind = chance.choice([*FrameKind, 0, 9, 15])
        noise = self.mutator.noise(SEGMENT_BYTES + 10)
        wanted = chance.choice(
            (noise, b"\xdd\xff\xff\xff\xff", msgpack.packb([[[[]]]] * 4), msgpack.packb([-1] * 4), b"\x91" * 2000)
        )
        return _frame(kind, chance.choice((0, 7, 2**32 - 1)), chance.choice((0, 1, 2**32 - 1)), wanted, FLAG_MORE)


class RpcAttacker(Attacker):
    """On the gRPC port of a JobManager or a TaskManager."""

    def __init__(self, chance: random.Random, mutator: Mutator, secret: ClusterSecret) -> None:
        super().__init__(chance, mutator)
        self._secret = secret
        self._other = ClusterSecret(b"another secret of some length")
        self._clock = SystemClock()
        self.ways |= {
            "unsigned calls": lambda: self._calls(None),
            "calls signed by others": lambda: self._calls(self._other),
            "signed calls": lambda: self._calls(self._secret),
            "more signed calls": lambda: self._calls(self._secret),
            "mutated calls": self._mutated_calls,
            "frames": self._frames,
            "floods": self._floods,
            "unfinished": self._unfinished,
        }

    def _metadata(self, path: str, secret: ClusterSecret | None) -> list[tuple[str, str]]:
        version = (
            str(PROTOCOL_VERSION) if self.chance.random() < 0.95 else self.chance.choice(("", "2", "-1", "x" * 500))
        )
        metadata = [(PROTOCOL_KEY, version)]
        if secret is not None:
            signature = secret.sign(path, self._clock.wall_ms())
            if self.chance.random() < 0.1 and secret is not self._secret:
                signature = (
                    self.mutator.mutated(signature.encode()).decode("latin-1").encode("ascii", "replace").decode()
                )
            metadata.append((AUTHORIZATION_KEY, signature))
        return metadata

    def _one_call(self, secret: ClusterSecret | None, stream: int) -> bytes:
        path = self.chance.choice(list(METHODS))
        if path.endswith(REPLACES_AN_IDLE_SLOT) and secret is self._secret:
            secret = self._other  # who knows the secret is obeyed, and the slot's ports would be gone
        message = self.mutator.sometimes_mutated(self.mutator.message(METHODS[path]).SerializeToString())
        claimed = self.chance.choice((0, 2**31, 2**32 - 1, 5)) if self.chance.random() < 0.02 else None
        if self.chance.random() < 0.03:
            path = self.chance.choice(("/", "/x/y", path.lower(), path + "\0", "/" * 3000))
        return http2.call(path, self._metadata(path, secret), message, stream, claimed)

    def _calls(self, secret: ClusterSecret | None) -> Attack:
        calls = [self._one_call(secret, 2 * number + 1) for number in range(FRAMES_A_CONNECTION // 4)]
        return Burst(http2.opening() + b"".join(calls), 2 + 2 * len(calls))

    def _mutated_calls(self) -> Attack:
        calls = [self._one_call(self._secret, 2 * number + 1) for number in range(10)]
        at = self.chance.randrange(len(calls))
        calls[at] = self.mutator.mutated(calls[at])
        return Burst(http2.opening() + b"".join(calls), 2 + 2 * len(calls), sliced=self.chance.random() < 0.02)

    def _frames(self) -> Attack:
        """Of any kind, in any order; most are well formed."""
        chance, frames = self.chance, []
        for _ in range(FRAMES_A_CONNECTION):
            kind = chance.choice((*range(10), chance.randrange(256)))
            payload = self.mutator.noise(60)
            length = chance.choice((0, 2**24 - 1, 16384)) if chance.random() < 0.01 else None
            frames.append(http2.frame(kind, chance.randrange(256), chance.choice((0, 1, 3, 2**31)), payload, length))
        return Burst(http2.opening() + b"".join(frames), 2 + len(frames))

    def _floods(self) -> Attack:
        """Many of one kind, each of which costs the server something."""
        chance = self.chance
        count = 2 * FRAMES_A_CONNECTION
        call = self._one_call(None, 1)
        match chance.randrange(5):
            case 0:
                frames = [http2.frame(http2.PING, 0, 0, bytes(8))] * count
            case 1:
                frames = [http2.frame(http2.SETTINGS, 0, 0, b"\0\3" + (n % 256).to_bytes(4)) for n in range(count)]
            case 2:  # streams that are opened and given up at once
                frames = [self._given_up(n) for n in range(count // 2)]
            case 3:
                head = http2.frame(http2.HEADERS, 0, 1, http2.header_block([(":method", "POST")]))
                rest = http2.header_block([("x", "y" * 50)])
                frames = [head] + [http2.frame(http2.CONTINUATION, 0, 1, rest)] * count
            case _:
                frames = [call] + [
                    http2.frame(http2.WINDOW_UPDATE, 0, chance.choice((0, 1)), (2**31 - 1).to_bytes(4))
                ] * count
        return Burst(http2.opening() + b"".join(frames), 2 + count)

    def _given_up(self, number: int) -> bytes:
        stream = 2 * number + 1
        headers = http2.header_block([(":method", "POST"), (":scheme", "http"), (":path", "/x/y"), (":authority", "x")])
        head = http2.frame(http2.HEADERS, http2.END_HEADERS, stream, headers)
        return head + http2.frame(http2.RST_STREAM, 0, stream, bytes(4))

    def _unfinished(self) -> Attack:
        data = http2.opening() + self._one_call(self._secret, 1)
        return Burst(data[: self.chance.randrange(len(data))], 3, holds=True)


class HttpAttacker(Attacker):
    """On a port that serves metrics."""

    def __init__(self, chance: random.Random, mutator: Mutator) -> None:
        super().__init__(chance, mutator)
        self.ways |= {"requests": self._request, "mutated requests": self._mutated, "unfinished": self._unfinished}

    def _valid(self) -> bytes:
        method = self.chance.choice(("GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE", "PRI", "\0"))
        path = self.chance.choice(
            ("/metrics", "/", "/../../etc/passwd", "/?name[]=" + "x" * 500, "/%00", "*", "x" * 9000)
        )
        headers = self.chance.choice(
            ("", "Host: x\r\n", "X: y\r\n" * 150, "X: " + "y" * 70_000 + "\r\n", "Content-Length: 999\r\n")
        )
        return f"{method} {path} HTTP/1.{self.chance.randrange(3)}\r\n{headers}\r\n".encode()

    def _request(self) -> Attack:
        return Burst(self._valid(), 1)

    def _mutated(self) -> Attack:
        return Burst(self.mutator.mutated(self._valid()), 1, sliced=self.chance.random() < 0.02)

    def _unfinished(self) -> Attack:
        return Burst(b"GET /metrics HTTP/1.1\r\nHost: ", 1, holds=True)


def _frame(kind: int, channel: int, number: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return (
        pack_header(kind, channel, 0, number & 0xFFFFFFFF, (payload,), flags if kind == FrameKind.DATA else 0) + payload
    )
