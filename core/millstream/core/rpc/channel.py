"""Calling: every call is signed, has a deadline, and is retried by a policy when nobody answers.

``Peer`` serves asyncio programs, ``BlockingPeer`` threads. Both raise Millstream's errors only.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc
import grpc.aio

from millstream.core.clock import Clock
from millstream.core.errors import AuthenticationError, MillstreamError, ProtocolVersionError, UnavailableError
from millstream.core.pauses import pause
from millstream.core.rpc.epoch import EPOCH_KEY
from millstream.core.rpc.error_info import ERROR_KEY, from_proto
from millstream.core.rpc.secret import AUTHORIZATION_KEY, ClusterSecret
from millstream.core.rpc.server import MESSAGE_BYTES_MAX
from millstream.core.rpc.version import PROTOCOL_KEY, PROTOCOL_VERSION
from millstream.proto.v1 import common_pb2

DEADLINE_S: Final = 10.0
REFUSALS: Final = 2
"""So many in a row mean that a process has ended, and not that the network was set up anew just then."""
PROBE_WAIT_S: Final = 0.02
PROBE_WAIT_S_MAX: Final = 2.0
GIVEN_UP_INTERVAL_S: Final = 0.25

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)

_DROPPED: Final = {
    grpc.StatusCode.CANCELLED: "CANCELLED",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "Concurrent RPC limit exceeded!",
}
"""How gRPC tells that a server had too many calls to take this one: it drops calls at random from a thousand on that
its event loop has not seen yet, and refuses those beyond ``CONCURRENT_CALLS_MAX`` under way."""

StubT = TypeVar("StubT")


@dataclass(frozen=True)
class RetryPolicy:
    """Which calls are made again: those that nobody answered. Waits grow by ``factor`` with 20 % jitter."""

    attempts_max: int = 3
    first_wait_s: float = 0.1
    factor: float = 2.0
    wait_s_max: float = 2.0

    def wait_s(self, attempt: int, generator: random.Random) -> float:
        """Seconds to wait after failed attempt number ``attempt`` (from 0)."""
        wait = min(self.wait_s_max, self.first_wait_s * self.factor**attempt)
        return wait * generator.uniform(0.8, 1.2)


NO_RETRY: Final = RetryPolicy(attempts_max=1)


class _Calls:
    """What both kinds of peer share: metadata and errors."""

    def __init__(self, address: str, secret: ClusterSecret | None, clock: Clock) -> None:
        self.address = address
        self._secret = secret
        self._clock = clock
        self._random = random.Random(address)

    def metadata(self, method: Any, epoch: int = 0) -> tuple[tuple[str, str], ...]:
        """What every call carries; ``epoch`` unless it is 0."""
        carried = [(PROTOCOL_KEY, str(PROTOCOL_VERSION))]
        if epoch:
            carried.append((EPOCH_KEY, str(epoch)))
        if self._secret is not None:
            name = method._method
            path = name.decode() if isinstance(name, bytes) else str(name)
            carried.append((AUTHORIZATION_KEY, self._secret.sign(path, self._clock.wall_ms())))
        return tuple(carried)

    def error(self, error: grpc.RpcError) -> MillstreamError:
        """What a failed call means."""
        failed: Any = error
        code, details = failed.code(), failed.details() or ""
        for key, value in failed.trailing_metadata() or ():
            if key == ERROR_KEY:
                return from_proto(common_pb2.ErrorInfo.FromString(value))
        if code is grpc.StatusCode.UNAUTHENTICATED:
            return AuthenticationError(f"{self.address} refused the call: {details}")
        if code is grpc.StatusCode.FAILED_PRECONDITION:
            return ProtocolVersionError(f"{self.address} refused the call: {details}")
        if code is grpc.StatusCode.UNAVAILABLE:
            return UnavailableError(f"nobody answers at {self.address} ({details})")
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return UnavailableError(f"{self.address} did not answer in time")
        if _DROPPED.get(code) == details:
            return UnavailableError(f"{self.address} has more to do than it can, and did not take the call")
        return MillstreamError(f"a call to {self.address} failed: {code.name}: {details}")


class Peer(_Calls):
    """A server as an asyncio program sees it. The channel connects at the first call and again when it was lost."""

    def __init__(self, address: str, secret: ClusterSecret | None, clock: Clock) -> None:
        super().__init__(address, secret, clock)
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)

    def stub(self, stub_class: type[StubT]) -> StubT:
        return stub_class(self._channel)  # type: ignore[call-arg]

    async def call(
        self,
        method: Any,
        request: Any,
        deadline_s: float = DEADLINE_S,
        retry: RetryPolicy | None = None,
        epoch: int = 0,
    ) -> Any:
        """Make a unary call. ``retry`` defaults to none: give a policy where the call may be made twice.

        ``epoch``: of the leader that the call is from, or meant for.
        """
        policy = retry or NO_RETRY
        for attempt in range(policy.attempts_max):
            try:
                return await method(request, timeout=deadline_s, metadata=self.metadata(method, epoch))
            except grpc.RpcError as error:
                failure = self.error(error)
                if not isinstance(failure, UnavailableError) or attempt + 1 == policy.attempts_max:
                    raise failure from None
                await pause(policy.wait_s(attempt, self._random))
            except grpc.aio.UsageError as error:  # closed meanwhile: its server was given up
                raise UnavailableError(f"the connection to {self.address} was closed") from error
        raise AssertionError("unreachable")

    async def wait_until_refused(self) -> None:
        """Connect, and return when that connection was lost and nobody listens at the address any more: the process
        has ended. Never for one that is silent or cannot be reached; only its peers' patience can tell that.
        """
        host, _, port = self.address.rpartition(":")
        ready, refused, wait_s = False, 0, PROBE_WAIT_S
        while refused < REFUSALS:
            state = self._channel.get_state(try_to_connect=True)
            if state is grpc.ChannelConnectivity.READY or not ready:
                ready, refused, wait_s = state is grpc.ChannelConnectivity.READY, 0, PROBE_WAIT_S
                await self._channel.wait_for_state_change(state)
                continue
            try:
                async with asyncio.timeout(DEADLINE_S):
                    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            except ConnectionRefusedError:
                refused += 1
            except OSError:  # a time-out too
                refused = 0
            else:
                refused = 0
                writer.close()
            if refused == 0:
                wait_s = min(PROBE_WAIT_S_MAX, 2 * wait_s)  # it may be frozen, or just about to end
            await pause(wait_s)

    async def close(self) -> None:
        await self._channel.close(None)


class BlockingPeer(_Calls):
    """The same for programs with threads."""

    def __init__(self, address: str, secret: ClusterSecret | None, clock: Clock) -> None:
        super().__init__(address, secret, clock)
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._closed = threading.Event()

    def stub(self, stub_class: type[StubT]) -> StubT:
        return stub_class(self._channel)  # type: ignore[call-arg]

    def call(self, method: Any, request: Any, deadline_s: float = DEADLINE_S, retry: RetryPolicy | None = None) -> Any:
        """Make a unary (or client-streaming) call."""
        policy = retry or NO_RETRY
        for attempt in range(policy.attempts_max):
            try:
                return method(request, timeout=deadline_s, metadata=self.metadata(method))
            except grpc.RpcError as error:
                failure = self.error(error)
                if not isinstance(failure, UnavailableError) or attempt + 1 == policy.attempts_max:
                    raise failure from None
                self._closed.wait(policy.wait_s(attempt, self._random))
        raise AssertionError("unreachable")

    def call_unless(
        self, given_up: Callable[[], bool], method: Any, request: Any, deadline_s: float = DEADLINE_S
    ) -> Any:
        """Make a unary call once. ``UnavailableError`` when ``given_up``, asked every now and then, turns true."""
        answer = method.future(request, timeout=deadline_s, metadata=self.metadata(method))
        while True:
            try:
                return answer.result(timeout=GIVEN_UP_INTERVAL_S)
            except grpc.FutureTimeoutError:
                if given_up():
                    answer.cancel()
                    raise UnavailableError(f"{self.address} was not waited for any longer") from None
            except grpc.RpcError as error:
                raise self.error(error) from None

    def close(self) -> None:
        self._closed.set()
        self._channel.close()
