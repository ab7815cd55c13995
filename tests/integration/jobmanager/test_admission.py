"""Who may call: every method refuses unsigned calls and other versions before it decodes; garbage does no harm."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from typing import Any

import grpc
import psutil
import pytest
from jobmanagers import JobManagerProcess, job, wait_until

from millstream.core.clock import SystemClock
from millstream.core.rpc.error_info import ERROR_KEY
from millstream.core.rpc.secret import AUTHORIZATION_KEY, WINDOW_MS, ClusterSecret
from millstream.core.rpc.version import PROTOCOL_KEY, PROTOCOL_VERSION
from millstream.proto.v1 import jobmanager_pb2

pytestmark = pytest.mark.integration

UNDECODABLE = b"\xff" * 9
CODE = grpc.StatusCode
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for service in jobmanager_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
Outcome = tuple[grpc.StatusCode, str, dict[str, Any]]


def raw_call(channel: grpc.Channel, path: str, body: bytes, metadata: dict[str, str]) -> Outcome:
    """Code, details and trailing metadata of a call whose request is ``body`` as it is."""
    method = METHODS.get(path)
    made = tuple(metadata.items())
    try:
        if method is not None and method.client_streaming:
            channel.stream_unary(path)(iter([body]), timeout=20, metadata=made)
        elif method is not None and method.server_streaming:
            list(channel.unary_stream(path)(body, timeout=20, metadata=made))
        else:
            channel.unary_unary(path)(body, timeout=20, metadata=made)
    except grpc.RpcError as error:
        failed: Any = error
        return failed.code(), failed.details(), dict(failed.trailing_metadata() or ())
    return CODE.OK, "", {}


@pytest.fixture
def channel(jobmanager: JobManagerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(jobmanager.address) as made:
        yield made


def signed(secret: ClusterSecret, path: str, wall_ms: int | None = None) -> dict[str, str]:
    now_ms = SystemClock().wall_ms() if wall_ms is None else wall_ms
    return {PROTOCOL_KEY: str(PROTOCOL_VERSION), AUTHORIZATION_KEY: secret.sign(path, now_ms)}


def test_the_services_were_found() -> None:
    assert {path.split(".")[-1].split("/")[0] for path in METHODS} >= {"Dispatcher", "ResourceManager", "BlobStore"}
    assert len(METHODS) >= 16


def test_every_method_refuses_what_is_not_signed_before_it_decodes(
    jobmanager: JobManagerProcess, channel: grpc.Channel
) -> None:
    version = {PROTOCOL_KEY: str(PROTOCOL_VERSION)}
    now_ms = SystemClock().wall_ms()
    stranger = ClusterSecret(b"the secret of others")
    for path in [*METHODS, "/millstream.proto.v1.Dispatcher/NoSuchMethod", "/no.such.Service/Method"]:
        other = next(method for method in METHODS if method != path)
        for what, metadata, message in (
            ("unsigned", version, "not signed"),
            ("empty", version | {AUTHORIZATION_KEY: ""}, "not signed"),
            ("another scheme", version | {AUTHORIZATION_KEY: "Bearer abc"}, "not signed"),
            ("another secret", signed(stranger, path), "another secret"),
            ("another method", signed(jobmanager.secret, other), "another secret"),
            ("too old", signed(jobmanager.secret, path, now_ms - WINDOW_MS - 60_000), "clocks differ"),
        ):
            code, details, _ = raw_call(channel, path, UNDECODABLE, metadata)
            assert code is CODE.UNAUTHENTICATED and message in details, f"{path}, {what}: {code} {details}"


def test_every_method_refuses_another_version_before_it_decodes(
    jobmanager: JobManagerProcess, channel: grpc.Channel
) -> None:
    for path in METHODS:
        for theirs in (None, "0", str(PROTOCOL_VERSION + 1), "x"):
            metadata = signed(jobmanager.secret, path)
            del metadata[PROTOCOL_KEY]
            code, details, _ = raw_call(
                channel, path, UNDECODABLE, metadata if theirs is None else metadata | {PROTOCOL_KEY: theirs}
            )
            assert code is CODE.FAILED_PRECONDITION, f"{path}, version {theirs}: {code} {details}"
            assert f"caller speaks version {theirs or 'none'}, this server version {PROTOCOL_VERSION}" in details


def test_a_signed_call_is_decoded(jobmanager: JobManagerProcess, channel: grpc.Channel) -> None:
    """What shows that the refusals of the other tests come first. The server lives on."""
    for path in METHODS:
        code, details, _ = raw_call(channel, path, UNDECODABLE, signed(jobmanager.secret, path))
        assert code is CODE.INVALID_ARGUMENT and "cannot be read" in details, f"{path}: {code} {details}"
    assert jobmanager.cluster().jobs_running == 0


def test_an_empty_request_is_answered_or_refused_in_words(jobmanager: JobManagerProcess, channel: grpc.Channel) -> None:
    for path in METHODS:
        code, details, trailing = raw_call(channel, path, b"", signed(jobmanager.secret, path))
        assert code is CODE.OK or (code is CODE.ABORTED and ERROR_KEY in trailing), f"{path}: {code} {details}"
        assert code is CODE.OK or details
    assert jobmanager.process.poll() is None


def garbage(generator: random.Random) -> bytes:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    noise = generator.randbytes(generator.randrange(1, 5000))
    length = generator.randrange(2**14).to_bytes(3, "big")
    frame = length + bytes([generator.randrange(10), generator.randrange(256)]) + noise
    return generator.choice(
        [
            noise,
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01" + noise,
            preface + noise,
            preface + frame,
            preface,
        ]
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_bytes_on_the_port_do_no_harm(jobmanager: JobManagerProcess, seed: int) -> None:
    generator = random.Random(seed)
    jobmanager.submit(job())
    process = psutil.Process(jobmanager.process.pid)
    before_bytes = process.memory_info().rss
    silent = [socket.create_connection(("127.0.0.1", jobmanager.port), timeout=10) for _ in range(20)]
    for number in range(100):
        with socket.create_connection(("127.0.0.1", jobmanager.port), timeout=10) as connection:
            try:
                connection.sendall(garbage(generator))
                if number % 10 == 0:
                    assert jobmanager.status("job") == "CREATED", f"seed {seed}, connection {number}"
            except (BrokenPipeError, ConnectionResetError):
                continue  # it has hung up already
    assert jobmanager.status("job") == "CREATED"
    assert process.memory_info().rss < before_bytes + 100_000_000, f"seed {seed}"
    for connection in silent:
        connection.close()
    wait_until(lambda: process.num_fds() < 40, f"connections are closed, {process.num_fds()} are open (seed {seed})")
