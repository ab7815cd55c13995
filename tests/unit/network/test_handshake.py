"""Both sides prove that they know the job's token; whoever does not gets nothing and costs little."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.errors import AuthenticationError, MillstreamError, ProtocolVersionError
from millstream.taskmanager.network import handshake
from millstream.taskmanager.network.connection import UNREAD_HANDSHAKE_BYTES_MAX

JOB = "a" * 32
TOKEN = b"token of the job"
nonces = st.binary(min_size=16, max_size=16)


@given(st.binary(min_size=1, max_size=40), nonces, nonces)
def test_peers_with_the_same_token_agree(token: bytes, client: bytes, server: bytes) -> None:
    assert handshake.read_hello(handshake.hello(JOB, client), JOB) == client
    assert handshake.read_challenge(handshake.challenge(token, client, server), token, client) == server
    handshake.check_proof(handshake.proof(token, client, server), token, client, server)


@given(nonces, nonces, nonces)
def test_other_tokens_and_replays_are_refused(client: bytes, server: bytes, other: bytes) -> None:
    with pytest.raises(AuthenticationError):
        handshake.read_challenge(handshake.challenge(b"wrong", client, server), TOKEN, client)
    with pytest.raises(AuthenticationError):
        handshake.check_proof(handshake.proof(b"wrong", client, server), TOKEN, client, server)
    if other != client:
        with pytest.raises(AuthenticationError):
            handshake.read_challenge(handshake.challenge(TOKEN, other, server), TOKEN, client)
    if other != server:
        with pytest.raises(AuthenticationError):
            handshake.check_proof(handshake.proof(TOKEN, client, other), TOKEN, client, server)
    # The server's proof does not serve as the client's.
    reflected = handshake.challenge(TOKEN, client, server)[-handshake.PROOF_BYTES :]
    with pytest.raises(AuthenticationError):
        handshake.check_proof(reflected, TOKEN, client, server)


def test_other_job_and_other_version_are_refused() -> None:
    with pytest.raises(AuthenticationError, match="another job"):
        handshake.read_hello(handshake.hello("b" * 32, bytes(16)), JOB)
    hello = bytearray(handshake.hello(JOB, bytes(16)))
    struct.pack_into("<H", hello, 8, 77)
    with pytest.raises(ProtocolVersionError, match="version 77"):
        handshake.read_hello(bytes(hello), JOB)


@given(st.binary(min_size=handshake.CHALLENGE_BYTES, max_size=handshake.CHALLENGE_BYTES))
def test_random_challenges_are_refused(data: bytes) -> None:
    with pytest.raises(MillstreamError):
        handshake.read_challenge(data, TOKEN, bytes(16))


def connected(slots: Any, slot: Any) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", slot.network.address.tcp_port))
    sock.setblocking(False)
    slots.until(lambda: slot.network.statistics().connections == 1)
    return sock


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "no Millstream"),
        (b"\x16\x03\x01\x02\x00", "no Millstream"),
        (handshake.hello("b" * 32, bytes(16)), "another job"),
        (handshake.hello(JOB, bytes(16)) + bytes(handshake.PROOF_BYTES), "does not know the job's token"),
        (handshake.hello(JOB, bytes(16)) + bytes(5000), "does not know the job's token"),
    ],
    ids=["http", "tls", "another job", "no proof", "a flood"],
)
def test_strangers_get_one_line_in_the_log(
    slots: Any, caplog: pytest.LogCaptureFixture, first: bytes, reason: str
) -> None:
    slot = slots.new()
    with connected(slots, slot) as sock:
        sock.send(first)
        slots.until(lambda: slot.network.statistics().connections == 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    message = caplog.records[0].getMessage()
    assert "closed a data connection from 127.0.0.1:" in message and reason in message


def test_silent_strangers_are_closed_after_two_seconds(slots: Any, caplog: pytest.LogCaptureFixture) -> None:
    slot = slots.new(job=False)
    with connected(slots, slot) as silent:
        silent.send(b"MSTR")
        slots.settle()
        slots.clock.advance(1_900)
        slots.settle()
        assert slot.network.statistics().connections == 1
        slots.clock.advance(200)
        slots.settle()
        assert slot.network.statistics().connections == 0
    assert "no handshake within 2 s" in caplog.text


def test_bytes_before_the_job_are_bounded(slots: Any, caplog: pytest.LogCaptureFixture) -> None:
    slot = slots.new(job=False)
    with connected(slots, slot) as sock:
        sock.send(handshake.hello(JOB, bytes(16)) + bytes(UNREAD_HANDSHAKE_BYTES_MAX))
        slots.until(lambda: slot.network.statistics().connections == 0)
    assert f"more than {UNREAD_HANDSHAKE_BYTES_MAX} bytes before the handshake" in caplog.text


def test_strangers_cannot_fill_the_slot(slots: Any, caplog: pytest.LogCaptureFixture) -> None:
    slot = slots.new(unauthenticated_connections_max=3)
    socks = [socket.create_connection(("127.0.0.1", slot.network.address.tcp_port)) for _ in range(5)]
    slots.settle()
    assert slot.network.statistics().connections == 3
    assert caplog.text.count("too many that have not authenticated") == 2
    slots.clock.advance(2_100)
    slots.settle()
    assert slot.network.statistics().connections == 0
    for sock in socks:
        sock.close()


def test_consumer_of_a_foreign_server_is_told(slots: Any) -> None:
    slot = slots.new()
    with socket.create_server(("127.0.0.1", 0)) as server:
        producer = slots.new(unix=False)
        producer.network._listener.close()
        producer.network._listener.tcp_port = server.getsockname()[1]
        gate = slot.gate(producer)
        foreign, _ = server.accept()
        foreign.sendall(b"220 mail.example.org ESMTP\r\n")
        slots.until(gate.has_data)
        with pytest.raises(AuthenticationError, match="no Millstream"):
            gate.poll()
        foreign.close()
