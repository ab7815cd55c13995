"""An authenticated peer that sends damaged, forged or senseless frames loses its connection; nothing else happens."""

from __future__ import annotations

import random
import socket
import tracemalloc
from typing import Any

import msgpack
import pytest

from millstream.core.elements import ObjectBatch
from millstream.core.errors import ExternalError, MalformedRecordError
from millstream.core.serde import encode_batch
from millstream.taskmanager.network import handshake
from millstream.taskmanager.network.compression import Compression
from millstream.taskmanager.network.frames import FLAG_LZ4, FLAG_MORE, FLAG_ZSTD, FrameKind, pack_header

JOB = "a" * 32
TOKEN = b"token of the job"


def frame(kind: int, channel: int, sequence: int, number: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return pack_header(kind, channel, sequence, number, (payload,), flags) + payload


def authenticated(slots: Any, slot: Any) -> socket.socket:
    """A peer that knows the token, but whose frames we write by hand."""
    sock = socket.create_connection(("127.0.0.1", slot.network.address.tcp_port))
    sock.sendall(handshake.hello(JOB, bytes(16)))
    slots.settle()
    challenge = sock.recv(handshake.CHALLENGE_BYTES)
    nonce = handshake.read_challenge(challenge, TOKEN, bytes(16))
    sock.sendall(handshake.proof(TOKEN, bytes(16), nonce))
    sock.setblocking(False)
    slots.settle()
    assert slot.network.statistics().connections == 1
    return sock


def opening(credit: int = 2) -> bytes:
    return frame(FrameKind.OPEN, 1, 0, credit, msgpack.packb([0, 0, 0, 0]))


@pytest.mark.parametrize(
    "sent",
    [
        frame(FrameKind.DATA, 1, 0, 0, b"a consumer sends no data"),
        frame(FrameKind.REFUSE, 1, 0, 0, b""),
        frame(FrameKind.OPEN, 1, 0, 2, b"\xc1"),
        frame(FrameKind.OPEN, 1, 0, 2, msgpack.packb([1, 2])),
        frame(FrameKind.OPEN, 1, 0, 2, msgpack.packb(["a", 0, 0, 0])),
        opening(0),
        opening(2**32 - 1),
        opening() + opening(),
        opening() + frame(FrameKind.CREDIT, 1, 0, 0),
        opening() + frame(FrameKind.CREDIT, 1, 0, 2**32 - 1),
        b"\x00" * 100,
    ],
    ids=range(11),
)
def test_senseless_consumers_lose_their_connection(slots: Any, sent: bytes) -> None:
    slot = slots.new()
    partition = slot.partition()
    with authenticated(slots, slot) as sock:
        sock.sendall(sent)
        slots.until(lambda: slot.network.statistics().connections == 0)
    partition.emit(ObjectBatch([1]))  # the slot goes on


def test_frames_for_channels_that_are_closed_are_ignored(slots: Any) -> None:
    slot = slots.new()
    with authenticated(slots, slot) as sock:
        sock.sendall(frame(FrameKind.CREDIT, 9, 0, 5) + frame(FrameKind.CLOSE, 9, 0, 0))
        slots.settle()
        assert slot.network.statistics().connections == 1


def test_thousands_of_random_and_mutated_streams(slots: Any) -> None:
    """No crash, no growth: after all of them the slot still serves a consumer."""
    generator = random.Random(20)
    server = slots.new(unix=False)
    valid = opening() + b"".join(frame(FrameKind.CREDIT, 1, 0, 1) for _ in range(20))
    hello = handshake.hello(JOB, bytes(16))
    tracemalloc.start()
    try:
        for number in range(1_500):
            authenticate = number % 3 == 0
            if authenticate:
                sock = authenticated(slots, server)
                data = bytearray(valid)
            else:
                sock = socket.create_connection(("127.0.0.1", server.network.address.tcp_port))
                data = bytearray(generator.choice([hello + valid, generator.randbytes(generator.randint(1, 3000))]))
            for _ in range(generator.randint(0, 3)):
                data[generator.randrange(len(data))] = generator.randrange(256)
            try:
                sock.sendall(data[: generator.randint(1, len(data))])
            except OSError:
                pass  # closed on us already
            slots.settle()
            sock.close()
            slots.settle()
        assert server.network.statistics().connections == 0
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    slots.clock.advance(20_000)
    slots.settle()
    partition = server.partition(edge=5)
    gate = slots.new().gate(server, edge=5)
    partition.emit(ObjectBatch([1]))
    partition.finish()
    slots.until(gate.has_data)
    assert gate.poll()[1].values == [1]


class Producer:
    """A producer whose frames we write by hand, with a real consumer."""

    def __init__(self, slots: Any, **settings: Any) -> None:
        self.slots = slots
        address = slots.new(unix=False)
        address.network._listener.close()
        self.server = socket.create_server(("127.0.0.1", 0))
        address.network._listener.tcp_port = self.server.getsockname()[1]
        self.consumer = slots.new(**settings)
        self.gate = self.consumer.gate(address)
        self.sock, _ = self.server.accept()
        client = handshake.read_hello(self.sock.recv(handshake.HELLO_BYTES), JOB)
        self.sock.sendall(handshake.challenge(TOKEN, client, bytes(16)))
        slots.settle()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)
        self.slots.settle()

    def close(self) -> None:
        self.sock.close()
        self.server.close()


batch = b"".join(encode_batch(ObjectBatch([1, 2, 3])))


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (frame(FrameKind.CREDIT, 1, 0, 1), "sent a CREDIT frame"),
        (frame(FrameKind.OPEN, 1, 0, 1), "sent a OPEN frame"),
        (frame(FrameKind.DATA, 1, 5, 0, batch), "frame 5 where 0 was expected"),
        (b"".join(frame(FrameKind.DATA, 1, n, 0, batch) for n in range(3)), "without credit"),
        (
            frame(FrameKind.DATA, 1, 0, 0, batch, FLAG_MORE) + frame(FrameKind.CONTROL, 1, 1, 0, b"x"),
            "inside a batch",
        ),
        (b"".join(frame(FrameKind.DATA, 1, n, 0, bytes(900), FLAG_MORE) for n in range(2)), "larger than the limit"),
        (b"\xff" * 64, "no Millstream frame"),
    ],
    ids=range(7),
)
def test_senseless_producers_lose_their_connection(slots: Any, sent: bytes, reason: str) -> None:
    producer = Producer(slots, floating_buffers=0, message_bytes_max=1500)
    producer.send(sent)
    assert producer.consumer.network.statistics().connections == 0
    slots.clock.advance(1_001)
    slots.settle()
    with pytest.raises(ExternalError, match=reason):
        while producer.gate.poll() is not None:
            pass
        producer.gate.poll()
    producer.close()


@pytest.mark.parametrize(
    "sent",
    [
        frame(FrameKind.DATA, 1, 0, 0, b"no batch"),
        frame(FrameKind.DATA, 1, 0, 0, batch[:-1]),
        frame(FrameKind.CONTROL, 1, 0, 0, b"\x93\x01\x02"),
        frame(FrameKind.CONTROL, 1, 0, 0, b""),
        frame(FrameKind.DATA, 1, 0, 0, b"\xff\xff\xff\xff" + batch, FLAG_LZ4),
        frame(FrameKind.DATA, 1, 0, 0, b"\x10\x00\x00\x00" + batch, FLAG_LZ4),
    ],
    ids=range(6),
)
def test_frames_with_senseless_content_fail_the_task(slots: Any, sent: bytes) -> None:
    producer = Producer(slots)
    producer.send(sent)
    with pytest.raises(MalformedRecordError):
        producer.gate.poll()
    producer.close()


def test_compressed_batches_cannot_claim_more_than_the_limit() -> None:
    compression = Compression("zstd", 10_000)
    flags, packed = compression.compress(bytes(10_000))
    assert bytes(compression.decompress(flags, packed)) == bytes(10_000)
    with pytest.raises(MalformedRecordError, match="claims 10000 bytes; the limit is 9999"):
        Compression("none", 9_999).decompress(flags, packed)
    with pytest.raises(MalformedRecordError, match="two codecs"):
        compression.decompress(FLAG_LZ4 | FLAG_ZSTD, packed)


def test_large_batches_share_a_bound(slots: Any) -> None:
    producer = Producer(slots, segment_bytes=1024, memory_bytes=2048, message_bytes_max=4096, floating_buffers=0)
    sequence = 0
    while producer.consumer.network.statistics().connections and sequence < 100:
        producer.send(frame(FrameKind.DATA, 1, sequence, 0, bytes(1000), FLAG_MORE))
        sequence += 1
    assert sequence == 5, "four pieces fit the limit of one batch"
    assert producer.consumer.network.statistics().assembly_bytes <= 4096
    producer.close()
