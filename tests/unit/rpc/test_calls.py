"""Calls: signed, versioned, with a deadline; made again when and only when nobody answered."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from millstream.core.clock import ManualClock
from millstream.core.errors import (
    AuthenticationError,
    ConfigError,
    MillstreamError,
    ProtocolVersionError,
    SlotDiedError,
    UnavailableError,
)
from millstream.core.rpc.channel import NO_RETRY, BlockingPeer, Peer, RetryPolicy
from millstream.core.rpc.error_info import ERROR_KEY, to_proto
from millstream.core.rpc.secret import AUTHORIZATION_KEY, ClusterSecret
from millstream.core.rpc.server import bind, create_server
from millstream.core.rpc.version import PROTOCOL_KEY, PROTOCOL_VERSION, mismatch_message
from millstream.proto.v1.jobmanager_pb2 import ListJobsRequest
from millstream.proto.v1.jobmanager_pb2_grpc import DispatcherStub

SECRET = ClusterSecret(b"a secret of sixteen")
CODE = grpc.StatusCode
ADDRESS = "host:1"
QUICK = RetryPolicy(attempts_max=3, first_wait_s=0.001)


class Failed(grpc.RpcError):
    """A failed call as gRPC raises it."""

    def __init__(self, code: grpc.StatusCode, error: MillstreamError | None = None, details: str = "details") -> None:
        super().__init__(code)
        self._code = code
        self._details = details
        self._trailing = ((ERROR_KEY, to_proto(error).SerializeToString()),) if error is not None else None

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._trailing


class Method:
    """A stub's method that fails with ``outcomes`` one after the other, then answers."""

    _method = b"/millstream.proto.v1.Dispatcher/ListJobs"

    def __init__(self, *outcomes: Failed) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[tuple[float, dict[str, str]]] = []

    def __call__(self, request: object, timeout: float, metadata: tuple[tuple[str, str], ...]) -> object:
        self.calls.append((timeout, dict(metadata)))
        if self.outcomes:
            raise self.outcomes.pop(0)
        return request


def call_blocking(method: Method, **options: Any) -> object:
    peer = BlockingPeer(ADDRESS, SECRET, ManualClock(5))
    try:
        return peer.call(method, "request", **options)
    finally:
        peer.close()


def call_async(method: Method, **options: Any) -> object:
    async def run() -> object:
        peer = Peer(ADDRESS, SECRET, ManualClock(5))

        async def call(request: object, **options: Any) -> object:
            return method(request, **options)

        call._method = method._method  # type: ignore[attr-defined]
        try:
            return await peer.call(call, "request", **options)
        finally:
            await peer.close()

    return asyncio.run(run())


BOTH = pytest.mark.parametrize("call", [call_blocking, call_async])
Call = Callable[..., object]

MEANINGS: list[tuple[Failed, type[MillstreamError], str, bool]] = [
    (Failed(CODE.UNAVAILABLE), UnavailableError, "nobody answers at host:1", True),
    (Failed(CODE.DEADLINE_EXCEEDED), UnavailableError, "host:1 did not answer in time", True),
    (Failed(CODE.CANCELLED, details="CANCELLED"), UnavailableError, "host:1 has more to do than it can", True),
    (
        Failed(CODE.RESOURCE_EXHAUSTED, details="Concurrent RPC limit exceeded!"),
        UnavailableError,
        "host:1 has more to do than it can",
        True,
    ),
    (Failed(CODE.CANCELLED), MillstreamError, "a call to host:1 failed: CANCELLED: details", False),
    (Failed(CODE.UNAUTHENTICATED), AuthenticationError, "host:1 refused the call: details", False),
    (Failed(CODE.FAILED_PRECONDITION), ProtocolVersionError, "host:1 refused the call: details", False),
    (Failed(CODE.INTERNAL), MillstreamError, "a call to host:1 failed: INTERNAL: details", False),
    (Failed(CODE.RESOURCE_EXHAUSTED), MillstreamError, "a call to host:1 failed: RESOURCE_EXHAUSTED", False),
    (Failed(CODE.UNIMPLEMENTED), MillstreamError, "a call to host:1 failed: UNIMPLEMENTED", False),
    (Failed(CODE.ABORTED, ConfigError("its own words")), ConfigError, "its own words", False),
    (Failed(CODE.ABORTED, SlotDiedError("slot 3 died")), SlotDiedError, "slot 3 died", False),
]


@BOTH
@pytest.mark.parametrize(("failed", "kind", "message", "retried"), MEANINGS)
def test_what_a_failure_means_and_whether_it_is_tried_again(
    call: Call, failed: Failed, kind: type[MillstreamError], message: str, retried: bool
) -> None:
    for attempts_max in (1, 3):
        method = Method(*[failed] * 5)
        with pytest.raises(kind) as caught:
            call(method, retry=RetryPolicy(attempts_max, first_wait_s=0.001))
        assert type(caught.value) is kind and str(caught.value).startswith(message)
        assert len(method.calls) == (attempts_max if retried else 1)


@BOTH
def test_nothing_is_tried_again_unless_asked(call: Call) -> None:
    method = Method(Failed(CODE.UNAVAILABLE))
    with pytest.raises(UnavailableError):
        call(method)
    assert len(method.calls) == 1 and NO_RETRY.attempts_max == 1


@BOTH
def test_an_attempt_that_is_answered_ends_the_tries(call: Call) -> None:
    method = Method(Failed(CODE.UNAVAILABLE), Failed(CODE.DEADLINE_EXCEEDED))
    assert call(method, retry=QUICK) == "request"
    assert len(method.calls) == 3


@BOTH
def test_every_attempt_has_a_deadline_a_version_and_a_signature_of_its_own(call: Call) -> None:
    method = Method(Failed(CODE.UNAVAILABLE))
    call(method, retry=QUICK, deadline_s=7.5)
    assert [timeout for timeout, _ in method.calls] == [7.5, 7.5]
    for _, metadata in method.calls:
        assert metadata[PROTOCOL_KEY] == str(PROTOCOL_VERSION)
        SECRET.verify(method._method.decode(), metadata[AUTHORIZATION_KEY], 5)
    first, second = (metadata[AUTHORIZATION_KEY] for _, metadata in method.calls)
    assert first != second
    method = Method()
    call(method)
    assert [timeout for timeout, _ in method.calls] == [10.0]


def test_without_a_secret_only_the_version_is_sent() -> None:
    peer = BlockingPeer(ADDRESS, None, ManualClock())
    assert peer.metadata(Method()) == ((PROTOCOL_KEY, str(PROTOCOL_VERSION)),)
    peer.close()


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        (RetryPolicy(), [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]),
        (RetryPolicy(first_wait_s=1, factor=3, wait_s_max=5), [1, 3, 5, 5]),
        (RetryPolicy(first_wait_s=1, factor=1), [1, 1, 1]),
    ],
)
def test_waits_grow_up_to_a_bound_with_a_fifth_of_jitter(policy: RetryPolicy, waits: list[float]) -> None:
    for attempt, wait_s in enumerate(waits):
        drawn = [policy.wait_s(attempt, random.Random(seed)) for seed in range(200)]
        assert 0.8 * wait_s <= min(drawn) < 0.85 * wait_s and 1.15 * wait_s < max(drawn) <= 1.2 * wait_s


@pytest.mark.parametrize("theirs", ["", "0", "2", "x"])
def test_a_mismatch_names_both_versions_and_what_to_do(theirs: str) -> None:
    message = mismatch_message(theirs)
    assert f"caller speaks version {theirs or 'none'}, this server version {PROTOCOL_VERSION}" in message
    assert "Run the same release of Millstream" in message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_named_with_its_setting(host: str) -> None:
    async def run() -> None:
        server = create_server(SECRET, ManualClock())
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            message = rf"cannot listen on {host}:{port}: .* choose another with -D jobmanager\.rpc\.port=PORT"
            with pytest.raises(ConfigError, match=message):
                bind(server, SECRET, host, port, "jobmanager.rpc.port")
        assert bind(server, SECRET, host, 0, "jobmanager.rpc.port") > 0
        await server.stop(None)

    asyncio.run(run())


def test_an_address_of_another_machine_cannot_be_bound() -> None:
    async def run() -> None:
        server = create_server(SECRET, ManualClock())
        with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1"):
            bind(server, SECRET, "192.0.2.1", 0, "jobmanager.rpc.port")
        await server.stop(None)

    asyncio.run(run())


@pytest.mark.parametrize("host", ["no.such.host.invalid", "not an address"])
def test_a_name_that_is_no_address_is_a_setting_to_change(host: str) -> None:
    async def run() -> None:
        server = create_server(SECRET, ManualClock())
        with pytest.raises(ConfigError, match="cannot listen on"):
            bind(server, SECRET, host, 0, "jobmanager.rpc.port")
        await server.stop(None)

    asyncio.run(run())


def test_nobody_at_an_address_is_unavailable_within_the_deadline() -> None:
    async def run() -> None:
        with socket.socket() as unheard:
            unheard.bind(("127.0.0.1", 0))  # bound, but not listening
            peer = Peer(f"127.0.0.1:{unheard.getsockname()[1]}", SECRET, ManualClock())
            with pytest.raises(UnavailableError, match=peer.address):
                await peer.call(peer.stub(DispatcherStub).ListJobs, ListJobsRequest(), deadline_s=20, retry=QUICK)
            await peer.close()

    asyncio.run(run())
