"""Making servers: version and signature are checked before a request is decoded; addresses before they are bound."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
import grpc.aio

from millstream.core.clock import Clock
from millstream.core.errors import AuthenticationError, ConfigError, ExternalError, MillstreamError
from millstream.core.rpc.decoding import refusing_malformed
from millstream.core.rpc.error_info import ERROR_KEY, to_proto
from millstream.core.rpc.secret import AUTHORIZATION_KEY, ClusterSecret
from millstream.core.rpc.version import PROTOCOL_KEY, PROTOCOL_VERSION, mismatch_message

MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
CONCURRENT_CALLS_MAX: Final = 1000

OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", 64 * 1024),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
    # Identity only: a compressed message could expand without bound before its size is checked.
    ("grpc.compression_enabled_algorithms_bitset", 1),
)

R = TypeVar("R")
Handler = grpc.RpcMethodHandler
_CAUSED_BY_STRANGERS: Final = ("Invalid encoding on", "Failed sending error status from server")
_GRPC_LOG: Final = logging.getLogger("grpc._cython.cygrpc")
Metadata = tuple[tuple[str, str | bytes], ...]

if TYPE_CHECKING:
    _Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    _Interceptor = grpc.aio.ServerInterceptor  # generic in its stubs only


Admission = Callable[[Mapping[str, str | bytes]], MillstreamError | None]
"""By the metadata of a call whether it is refused, and why."""


def create_server(secret: ClusterSecret | None, clock: Clock, admission: Admission | None = None) -> grpc.aio.Server:
    """A server that admits callers who know ``secret``; None admits all, which ``bind`` allows on loopback only.

    ``admission`` has a say in every call of a caller who is known.
    """
    return grpc.aio.server(
        interceptors=[_Gatekeeper(secret, clock, admission)],
        options=OPTIONS,
        maximum_concurrent_rpcs=CONCURRENT_CALLS_MAX,
    )


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Strangers may send names that are no text, and hang up: gRPC would log each with its stack."""
    message = record.getMessage()
    return message.isascii() and not message.startswith(_CAUSED_BY_STRANGERS)


_GRPC_LOG.addFilter(_is_worth_telling)


def bind(server: grpc.aio.Server, secret: ClusterSecret | None, host: str, port: int, setting: str) -> int:
    """Add ``host:port`` (0: any free port) to ``server``; returns the port. ``setting`` names the port's setting.

    Raises ``ConfigError`` when the port is taken, or when the address is beyond loopback and there is no secret.
    """
    if secret is None and not is_loopback(host):
        raise ConfigError(
            f"refusing to listen on {host}: beyond loopback a cluster secret is required. Make one with "
            f"`millstream secret create FILE` and set security.secret-file=FILE everywhere in the cluster."
        )
    check_free(host, port, setting)
    try:
        bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error}. Choose another address or {setting}.") from None
    if bound == 0:
        raise ConfigError(f"cannot listen on {host}:{port}. Choose another address or {setting}.")
    return int(bound)


def watch(server: grpc.aio.Server, ended: Callable[[MillstreamError], None]) -> asyncio.Task[Any]:
    """Call ``ended`` when a started server ends, by itself too: a process that cannot be reached must not go on.

    What is returned has to be kept, and must not be cancelled.
    """

    async def watching() -> None:
        cause = ""
        try:
            await server.wait_for_termination()
        except Exception as error:  # what has ended it
            cause = f" {type(error).__name__}: {error}."
        ended(
            ExternalError(
                f"the RPC server of this process has ended by itself.{cause} Nobody can reach the process any more, so "
                f"it stops: start it again, unless something does that already."
            )
        )

    return asyncio.get_running_loop().create_task(watching())


def check_free(host: str, port: int, setting: str) -> None:
    """Raise ``ConfigError`` naming the port when somebody listens there; gRPC itself would not say."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}. Stop what uses the port, or choose another with "
            f"-D {setting}=PORT (0 for any free one)."
        ) from None


def is_loopback(host: str) -> bool:
    """Whether ``host`` can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: Exception) -> None:
    """End a call with ``error``; the caller's ``Peer`` raises the same class."""
    await context.abort(*_status_of(error))


def _status_of(error: Exception) -> tuple[grpc.StatusCode, str, Metadata]:
    """How ``error`` travels."""
    code = grpc.StatusCode.UNAUTHENTICATED if isinstance(error, AuthenticationError) else grpc.StatusCode.ABORTED
    info = to_proto(error)
    return code, info.message[:1000], ((ERROR_KEY, info.SerializeToString()),)


def answering(
    method: Callable[[Any, Any], Awaitable[Any]],
) -> Callable[[Any, Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]:
    """Makes a servicer method of ``method(self, request)``: Millstream errors travel as such."""

    async def serve(self: Any, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await method(self, request)
        except MillstreamError as error:
            await abort(context, error)

    serve.__name__ = getattr(method, "__name__", "serve")
    serve.__doc__ = method.__doc__
    return serve


async def seen_through(action: Awaitable[R]) -> R:
    """The result of what goes on to its end even if the caller hangs up: then its error is for nobody."""
    going_on = asyncio.ensure_future(action)
    going_on.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return await asyncio.shield(going_on)


class _Gatekeeper(_Interceptor):
    """Looks at metadata only. A refused call is answered by a handler that does not decode the request."""

    def __init__(self, secret: ClusterSecret | None, clock: Clock, admission: Admission | None) -> None:
        self._secret = secret
        self._clock = clock
        self._admission = admission

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler[Any, Any]:
        metadata = {str(key): value for key, value in handler_call_details.invocation_metadata or ()}
        method = str(handler_call_details.method)
        theirs = str(metadata.get(PROTOCOL_KEY, ""))
        if theirs != str(PROTOCOL_VERSION):
            return _refusal(grpc.StatusCode.FAILED_PRECONDITION, mismatch_message(theirs))
        if self._secret is not None:
            try:
                self._secret.verify(method, str(metadata.get(AUTHORIZATION_KEY, "")), self._clock.wall_ms())
            except AuthenticationError as error:
                return _refusal(grpc.StatusCode.UNAUTHENTICATED, str(error))
        refused = self._admission(metadata) if self._admission is not None else None
        if refused is not None:
            return _refusal(*_status_of(refused))
        handler = await continuation(handler_call_details)
        return handler if handler is None else refusing_malformed(handler)


def _refusal(code: grpc.StatusCode, message: str, trailing: Metadata = ()) -> Handler[Any, Any]:
    """A handler that refuses at once. It takes a stream, whatever the method takes: gRPC would wait for the one request
    of a call, and a stranger who never sends it would be one of ``CONCURRENT_CALLS_MAX`` for as long as he likes."""

    async def refuse(requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(code, message, trailing)

    return grpc.stream_unary_rpc_method_handler(refuse)
