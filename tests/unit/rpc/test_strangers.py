"""A server goes on whatever is sent to it: names that are no text, requests that do not parse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from concurrent.futures import Future
from typing import Any

import grpc
import grpc.aio
import pytest

from millstream.core.clock import SystemClock
from millstream.core.errors import UnavailableError
from millstream.core.rpc.channel import BlockingPeer, Peer, RetryPolicy
from millstream.core.rpc.secret import AUTHORIZATION_KEY, ClusterSecret
from millstream.core.rpc.server import answering, bind, create_server
from millstream.core.rpc.version import PROTOCOL_KEY, PROTOCOL_VERSION
from millstream.proto.v1.jobmanager_pb2 import BlobChunk, GetBlobRequest, ListJobsRequest, ListJobsResponse
from millstream.proto.v1.jobmanager_pb2_grpc import (
    BlobStoreServicer,
    DispatcherServicer,
    DispatcherStub,
    add_BlobStoreServicer_to_server,
    add_DispatcherServicer_to_server,
)

SECRET = ClusterSecret(b"a secret of sixteen")
SERVICES = "/millstream.proto.v1"
WAIT_S = 10.0
TRIES = 120
TRY_S = 0.5
STREAMS_MAX = 250
DROPS_ALL_ABOVE = 3000
"""Calls that its event loop has not seen: gRPC drops some from a thousand on."""


class Jobs(DispatcherServicer):
    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    @answering
    async def ListJobs(self, request: ListJobsRequest) -> ListJobsResponse:
        self.called.set()
        await self.may_answer.wait()
        return ListJobsResponse()


class Blobs(BlobStoreServicer):
    async def PutBlob(self, requests: Any, context: Any) -> Any:
        async for _ in requests:
            raise AssertionError("it was not to be decoded")

    async def GetBlob(self, request: GetBlobRequest, context: Any) -> Any:
        yield BlobChunk()


async def serving(jobs: Jobs | None = None) -> tuple[grpc.aio.Server, str]:
    server = create_server(SECRET, SystemClock())
    add_DispatcherServicer_to_server(jobs or Jobs(), server)
    add_BlobStoreServicer_to_server(Blobs(), server)
    port = bind(server, SECRET, "127.0.0.1", 0, "a.port")
    await server.start()
    return server, f"127.0.0.1:{port}"


async def list_jobs(address: str) -> None:
    peer = Peer(address, SECRET, SystemClock())
    await peer.call(peer.stub(DispatcherStub).ListJobs, ListJobsRequest(), WAIT_S, RetryPolicy(attempts_max=8))
    await peer.close()


def begun_by_hand(address: str, path: bytes, calls: int = 1) -> socket.socket:
    """A connection with so many calls that have sent their headers: only what HTTP/2 needs."""
    headers = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x")]
    headers += [(b"te", b"trailers"), (b"content-type", b"application/grpc"), (b"note", b"\xff\xfe")]
    block = b"".join(b"\0" + bytes((len(n),)) + n + bytes((len(v),)) + v for n, v in headers)
    sock = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), WAIT_S)
    sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4\0" + bytes(4))
    sock.sendall(
        b"".join(len(block).to_bytes(3) + b"\1\4" + (2 * call + 1).to_bytes(4) + block for call in range(calls))
    )
    return sock


def call_by_hand(address: str, path: bytes) -> None:
    """Returns when the server has answered."""
    with begun_by_hand(address, path) as sock:
        sock.sendall(b"\0\0\5\0\1\0\0\0\1" + bytes(5))
        answer = b""
        while b"grpc-status" not in answer and (data := sock.recv(4096)):
            answer += data


@pytest.mark.parametrize("path", [b"/\x94\xff", f"{SERVICES}.Dispatcher/ListJobs".encode() + b"\xff", b"/x/y", b"\x80"])
def test_methods_whose_names_are_no_text_end_no_server(path: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        server, address = await serving()
        for _ in range(3):
            await asyncio.to_thread(call_by_hand, address, path)
        await list_jobs(address)
        await server.stop(None)

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert not caplog.records


@pytest.mark.parametrize("method", ["Dispatcher/ListJobs", "BlobStore/GetBlob", "BlobStore/PutBlob"])
def test_a_request_that_does_not_parse_is_a_bad_call(method: str, caplog: pytest.LogCaptureFixture) -> None:
    path = f"{SERVICES}.{method}"

    async def run() -> grpc.aio.AioRpcError:
        server, address = await serving()
        metadata = (
            (PROTOCOL_KEY, str(PROTOCOL_VERSION)),
            (AUTHORIZATION_KEY, SECRET.sign(path, SystemClock().wall_ms())),
        )
        async with grpc.aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                if method.endswith("PutBlob"):
                    await channel.stream_unary(path)(iter([b"\xff"]), timeout=WAIT_S, metadata=metadata)
                elif method.endswith("GetBlob"):
                    async for _ in channel.unary_stream(path)(b"\xff", timeout=WAIT_S, metadata=metadata):
                        pass
                else:
                    await channel.unary_unary(path)(b"\xff", timeout=WAIT_S, metadata=metadata)
        await list_jobs(address)
        await server.stop(None)
        return caught.value

    with caplog.at_level(logging.WARNING):
        error = asyncio.run(run())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT and "the request cannot be read" in str(error.details())
    assert not caplog.records


def test_a_call_that_a_server_drops_for_all_those_of_strangers_may_be_made_again() -> None:
    busy, free = threading.Event(), threading.Event()

    async def serve(address: Future[str], ended: Future[None]) -> None:
        server, where = await serving()
        address.set_result(where)
        await asyncio.to_thread(busy.wait)
        free.wait()  # the whole loop waits
        await asyncio.wrap_future(ended)
        await server.stop(None)

    address: Future[str] = Future()
    ended: Future[None] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(serve(address, ended)))
    thread.start()
    with contextlib.ExitStack() as strangers:
        strangers.callback(thread.join)
        strangers.callback(ended.set_result, None)
        strangers.callback(free.set)
        where = address.result(WAIT_S)
        busy.set()
        for _ in range(DROPS_ALL_ABOVE // STREAMS_MAX + 1):
            strangers.enter_context(begun_by_hand(where, b"/x/y", STREAMS_MAX))
        peer = BlockingPeer(where, SECRET, SystemClock())
        strangers.callback(peer.close)
        method = peer.stub(DispatcherStub).ListJobs
        for _ in range(TRIES):  # until the server has read all that was sent
            with pytest.raises(UnavailableError) as caught:
                peer.call(method, ListJobsRequest(), TRY_S)
            if "more to do than it can" in str(caught.value):
                break
        else:
            pytest.fail("nothing was dropped")
        threading.Timer(0.05, free.set).start()
        peer.call(method, ListJobsRequest(), WAIT_S, RetryPolicy(attempts_max=100))


def test_a_call_beyond_those_that_a_server_takes_may_be_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millstream.core.rpc.server.CONCURRENT_CALLS_MAX", 1)

    async def run() -> None:
        jobs = Jobs()
        jobs.may_answer.clear()
        server, address = await serving(jobs)
        first = asyncio.create_task(list_jobs(address))
        peer = Peer(address, SECRET, SystemClock())
        method = peer.stub(DispatcherStub).ListJobs
        await jobs.called.wait()
        with pytest.raises(UnavailableError, match="more to do than it can"):
            await peer.call(method, ListJobsRequest(), WAIT_S)
        again = asyncio.create_task(peer.call(method, ListJobsRequest(), WAIT_S, RetryPolicy(attempts_max=100)))
        jobs.may_answer.set()
        await asyncio.gather(first, again)
        await peer.close()
        await server.stop(None)

    asyncio.run(run())


def test_strangers_whose_requests_never_come_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millstream.core.rpc.server.CONCURRENT_CALLS_MAX", STREAMS_MAX // 2)

    async def run() -> None:
        server, address = await serving()
        for path in (b"/x/y", f"{SERVICES}.Dispatcher/ListJobs".encode(), f"{SERVICES}.BlobStore/GetBlob".encode()):
            with begun_by_hand(address, path, STREAMS_MAX):
                for _ in range(3):
                    await list_jobs(address)
        await server.stop(None)

    asyncio.run(run())
