"""gRPC without sockets: ``SimServer`` and ``SimChannel`` are ``grpc.aio.server`` and ``insecure_channel`` here.

Above them everything is the product's: stubs, ``Peer``, interceptors, services. Requests and answers travel as bytes
through ``SimNet``. A call can reach its server and its answer be lost; the caller learns only that nobody answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from tests.sim.loop import PROCESS, SimProcess
from tests.sim.net import SimNet, nothing

NET: list[SimNet] = []
"""The network of the run."""


class SimRpcError(grpc.RpcError):
    """What a failed call raises."""

    def __init__(self, code: grpc.StatusCode, details: str = "", trailing: Any = ()) -> None:
        super().__init__(f"{code.name}: {details}")
        self._code, self._details, self._trailing = code, details, trailing

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._trailing


@dataclass
class _Call:
    """One call on its way: ``chunks`` are the encoded requests."""

    method: str
    chunks: list[bytes]
    metadata: tuple[tuple[str, Any], ...]
    deadline_s: float


Answer = tuple[list[bytes] | None, SimRpcError | None]


# -- the server -----------------------------------------------------------------------------------------------------


class _Aborted(Exception):
    def __init__(self, error: SimRpcError) -> None:
        super().__init__(str(error))
        self.error = error


class _Context:
    """``ServicerContext`` as far as the product uses it."""

    def __init__(self, metadata: tuple[tuple[str, Any], ...]) -> None:
        self._metadata = metadata
        self._trailing: Any = ()

    def invocation_metadata(self) -> tuple[tuple[str, Any], ...]:
        return self._metadata

    def set_trailing_metadata(self, trailing: Any) -> None:
        self._trailing = trailing

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        raise _Aborted(SimRpcError(code, details, tuple(trailing_metadata)))


@dataclass(frozen=True)
class _Details:
    method: str
    invocation_metadata: Any


class SimServer:
    """``grpc.aio.Server``; belongs to the process that makes it."""

    def __init__(self, interceptors: Any = (), **_: Any) -> None:
        self.process: SimProcess = PROCESS.get()
        self.serving = False
        self._ended = asyncio.Event()
        self._interceptors = list(interceptors or ())
        self._handlers: list[Any] = []
        self._addresses: list[str] = []

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """The same again, for servers that look them up by name."""

    def add_insecure_port(self, address: str) -> int:
        port = int(address.rpartition(":")[2]) or NET[0].free_port()
        self._addresses.append(f"{self.process.machine}:{port}")
        return port

    async def start(self) -> None:
        self.serving = True
        for address in self._addresses:
            NET[0].servers[address] = self

    async def stop(self, grace: float | None) -> None:
        self.serving = False
        self._ended.set()

    async def wait_for_termination(self) -> bool:
        return await self._ended.wait()

    async def answer(self, call: _Call) -> Answer:
        """Run the handler."""
        context = _Context(call.metadata)
        try:
            handler = await self._intercepted(_Details(call.method, call.metadata))
            if handler is None:
                raise _Aborted(SimRpcError(grpc.StatusCode.UNIMPLEMENTED, call.method))
            decode, encode = handler.request_deserializer, handler.response_serializer
            requests = [decode(chunk) if decode else chunk for chunk in call.chunks]
            given: Any = _each(requests) if handler.request_streaming else requests[0]
            if handler.response_streaming:
                parts = handler.unary_stream(given, context)
                if asyncio.iscoroutine(parts):  # as one that refuses: it has nothing to yield
                    await parts
                    return [], None
                return [encode(part) async for part in parts], None
            function = handler.stream_unary if handler.request_streaming else handler.unary_unary
            return [encode(await function(given, context))], None
        except _Aborted as aborted:
            return None, aborted.error
        except Exception as error:
            NET[0].loop.fail(error)  # no handler may raise anything else
            raise

    async def _intercepted(self, details: _Details) -> Any:
        async def found(asked: Any) -> Any:
            handlers = (generic.service(asked) for generic in self._handlers)
            return next((handler for handler in handlers if handler is not None), None)

        continuation: Callable[[Any], Awaitable[Any]] = found
        for interceptor in reversed(self._interceptors):
            continuation = _around(interceptor, continuation)
        return await continuation(details)


def _around(interceptor: Any, continuation: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    async def intercept(details: Any) -> Any:
        return await interceptor.intercept_service(continuation, details)

    return intercept


async def _each(requests: list[Any]) -> AsyncIterator[Any]:
    for request in requests:
        yield request


async def wait_until_refused(peer: Any) -> None:
    """Takes the place of the ``Peer``'s own: connect, and return when the kernel there says that nobody listens."""
    loop, net = asyncio.get_running_loop(), NET[0]
    caller = PROCESS.get()
    server = net.servers.get(peer.address)
    refused = loop.create_future()

    def tell() -> None:
        if not refused.done():
            refused.set_result(None)

    if server is not None and server.process.alive:
        kernel = net.of_machine(peer.address)
        server.process.waiting[refused] = lambda: net.send(kernel, caller, tell, nothing)
        try:
            await refused
        finally:
            server.process.waiting.pop(refused, None)
    else:
        await refused


# -- the caller -----------------------------------------------------------------------------------------------------


class SimChannel:
    """``grpc.aio.Channel``."""

    def __init__(self, address: str, **_: Any) -> None:
        self.address = address
        self.closed = False
        self.open: dict[_Exchange, None] = {}
        """Calls that wait for their answers."""

    def unary_unary(self, path: str, *, request_serializer: Any, response_deserializer: Any, **_: Any) -> _Method:
        return _Method(self, path, request_serializer, response_deserializer)

    def unary_stream(self, path: str, *, request_serializer: Any, response_deserializer: Any, **_: Any) -> _Method:
        return _Method(self, path, request_serializer, response_deserializer, streams_out=True)

    def stream_unary(self, path: str, *, request_serializer: Any, response_deserializer: Any, **_: Any) -> _Method:
        return _Method(self, path, request_serializer, response_deserializer, streams_in=True)

    async def close(self, grace: float | None = None) -> None:
        """Calls that are under way are cancelled."""
        self.closed = True
        for exchange in list(self.open):
            exchange.future.cancel()


class _Method:
    """A multi-callable."""

    def __init__(
        self,
        channel: SimChannel,
        path: str,
        encode: Any,
        decode: Any,
        streams_in: bool = False,
        streams_out: bool = False,
    ) -> None:
        self._method = path
        self._channel = channel
        self._encode, self._decode = encode, decode
        self._streams_in, self._streams_out = streams_in, streams_out

    def __call__(self, request: Any, timeout: float | None = None, metadata: Any = ()) -> Any:
        requests = list(request) if self._streams_in else [request]
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + (600.0 if timeout is None else timeout)
        call = _Call(self._method, [self._encode(one) for one in requests], tuple(metadata), deadline_s)
        return self._stream(call) if self._streams_out else self._unary(call)

    async def _unary(self, call: _Call) -> Any:
        return self._decode((await self._exchange(call))[0])

    async def _stream(self, call: _Call) -> AsyncIterator[Any]:
        for part in await self._exchange(call):
            yield self._decode(part)

    async def _exchange(self, call: _Call) -> list[bytes]:
        if self._channel.closed:
            raise grpc.aio.UsageError("the channel is closed")
        exchange = _Exchange(call, self._channel.address)
        self._channel.open[exchange] = None
        try:
            chunks, error = await exchange.future
        finally:
            del self._channel.open[exchange]
            exchange.over()
        if error is not None:
            raise error
        assert chunks is not None
        return chunks


class _Exchange:
    """One call from its caller's side, and its traces at the server."""

    def __init__(self, call: _Call, address: str) -> None:
        self._net = NET[0]
        self._loop: Any = asyncio.get_running_loop()
        self._caller = PROCESS.get()
        self._call = call
        self._address = address
        self._task: asyncio.Task[Any] | None = None
        self._server: SimProcess | None = None
        self.future: asyncio.Future[Answer] = self._loop.create_future()
        self._deadline = self._loop.call_at(
            call.deadline_s, self._finish, (None, SimRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, "too late"))
        )
        machine = address.rpartition(":")[0]
        self._net.send(self._caller, machine, self._arrive, self._reset)

    def over(self) -> None:
        """Answered, given up, or cancelled: then the server's handler is cancelled too, when it hears of it."""
        self._deadline.cancel()
        server = self._server
        if server is not None:
            server.waiting.pop(self, None)
            if self._task is None or not self._task.done():
                self._net.send(self._caller, server, self._cancel, nothing)

    def _cancel(self) -> None:
        """At the server, which may have begun, or even be done."""
        if self._task is not None:
            self._task.cancel()

    def _arrive(self) -> None:
        """At the server's machine, in no process yet."""
        server: SimServer | None = self._net.servers.get(self._address)
        if server is None or not server.process.alive or not server.serving:
            refused = SimRpcError(grpc.StatusCode.UNAVAILABLE, "connection refused")
            self._net.send(
                self._net.of_machine(self._address), self._caller, lambda: self._finish((None, refused)), nothing
            )
            return
        server.process.soon(self._serve, server)
        self._server = server.process
        kernel = self._net.of_machine(self._address)
        self._server.waiting[self] = lambda: self._net.send(kernel, self._caller, self._reset, nothing)

    def _serve(self, server: SimServer) -> None:
        if self._call.deadline_s < self._loop.time():
            return
        self._net.on_call(server.process, self._call.method, self._call.chunks)

        async def run() -> None:
            answer = await server.answer(self._call)
            if server.serving:
                self._net.send(server.process, self._caller, lambda: self._finish(answer), self._reset)

        self._task = self._loop.create_task(run())

    def _reset(self) -> None:
        self._finish((None, SimRpcError(grpc.StatusCode.UNAVAILABLE, "the connection was lost")))

    def _finish(self, answer: Answer) -> None:
        if not self.future.done():
            self.future.set_result(answer)
