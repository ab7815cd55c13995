"""A server goes on whatever is sent to it: names that are no text, requests that do not parse."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import grpc
import grpc.aio
import pytest

from millstream.core.clock import SystemClock
from millstream.core.rpc.channel import Peer
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


class Jobs(DispatcherServicer):
    @answering
    async def ListJobs(self, request: ListJobsRequest) -> ListJobsResponse:
        return ListJobsResponse()


class Blobs(BlobStoreServicer):
    async def PutBlob(self, requests: Any, context: Any) -> Any:
        async for _ in requests:
            raise AssertionError("it was not to be decoded")

    async def GetBlob(self, request: GetBlobRequest, context: Any) -> Any:
        yield BlobChunk()


async def serving() -> tuple[grpc.aio.Server, str]:
    server = create_server(SECRET, SystemClock())
    add_DispatcherServicer_to_server(Jobs(), server)
    add_BlobStoreServicer_to_server(Blobs(), server)
    port = bind(server, SECRET, "127.0.0.1", 0, "a.port")
    await server.start()
    return server, f"127.0.0.1:{port}"


async def list_jobs(address: str) -> None:
    peer = Peer(address, SECRET, SystemClock())
    await peer.call(peer.stub(DispatcherStub).ListJobs, ListJobsRequest(), WAIT_S)
    await peer.close()


def call_by_hand(address: str, path: bytes) -> None:
    """Only what HTTP/2 needs; returns when the server has answered."""
    headers = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x")]
    headers += [(b"te", b"trailers"), (b"content-type", b"application/grpc"), (b"note", b"\xff\xfe")]
    block = b"".join(b"\0" + bytes((len(n),)) + n + bytes((len(v),)) + v for n, v in headers)
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), WAIT_S) as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4\0" + bytes(4))
        sock.sendall(len(block).to_bytes(3) + b"\1\4\0\0\0\1" + block + b"\0\0\5\0\1\0\0\0\1" + bytes(5))
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
