"""Blobs on the JobManager's disk: user code by content hash, with a bound on the total size."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import grpc.aio

from millstream.core.errors import DamagedStateError, ExternalError, MillstreamError, UserError
from millstream.core.ids import BlobKey
from millstream.core.rpc.blobs import CHUNK_BYTES, blob_key_of_file, is_blob_key, receive_blob
from millstream.core.rpc.server import abort, answering
from millstream.proto.v1 import job_graph_pb2, jobmanager_pb2
from millstream.proto.v1.jobmanager_pb2_grpc import BlobStoreServicer

TOTAL_BYTES_MAX: Final = 16 * 1024 * 1024 * 1024


def blob_keys(graph: job_graph_pb2.JobGraph) -> set[str]:
    """The blobs that a job needs."""
    keys = {graph.modules_blob}
    for vertex in graph.vertices:
        keys |= {vertex.payload_blob, vertex.enumerator_blob}
    return keys - {""}


class BlobStore:
    """Files named by their SHA-256 below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, key: str) -> Path:
        """Where the blob is. Raises ``UserError`` for what is no blob key: it would become part of a path."""
        if not is_blob_key(key):
            raise UserError(f"{key[:80]!r} is not a blob key")
        return self._directory / key

    def has(self, key: str) -> bool:
        return self.path(key).exists()

    def wanted(self, key: str) -> bool:
        """Whether the blob is here; if so it counts as new, since who asks will not upload it again."""
        try:
            os.utime(self.path(key))
        except FileNotFoundError:
            return False
        return True

    def bring(self, key: str, fetch: Callable[[Path], None], place: str) -> None:
        """Take a blob from ``place``, of which ``fetch`` makes a file here. Raises ``DamagedStateError``."""
        draft = self._directory / f".{key}.brought"
        draft.unlink(missing_ok=True)
        try:
            fetch(draft)
            if blob_key_of_file(draft) != key:
                raise DamagedStateError(f"{place} is damaged: its bytes do not have the hash of its name")
            draft.replace(self.path(key))
        except FileNotFoundError:
            raise DamagedStateError(f"{place} is missing") from None
        finally:
            draft.unlink(missing_ok=True)

    def check_room(self, size: int) -> None:
        total = sum(file.stat().st_size for file in self._directory.iterdir())
        if total + size > TOTAL_BYTES_MAX:
            raise ExternalError(f"the blob store holds {total} bytes; {size} more would exceed {TOTAL_BYTES_MAX}")

    def retain_only(self, keys: set[str], before_ms: int) -> None:
        """Delete blobs that no job refers to and that came before ``before_ms`` (wall clock).

        Newer ones may belong to a client that has not submitted its job yet.
        """
        for file in self._directory.iterdir():
            if file.name in keys or file.name.startswith("."):
                continue
            if file.stat().st_mtime_ns < before_ms * 1_000_000:
                file.unlink()


class BlobService(BlobStoreServicer):
    """gRPC face of the store."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    @answering
    async def HasBlobs(self, request: jobmanager_pb2.HasBlobsRequest) -> jobmanager_pb2.HasBlobsResponse:
        missing = [key for key in request.keys if not self._store.wanted(key)]
        return jobmanager_pb2.HasBlobsResponse(missing=missing)

    async def PutBlob(
        self, request_iterator: AsyncIterator[jobmanager_pb2.BlobChunk], context: grpc.aio.ServicerContext[Any, Any]
    ) -> jobmanager_pb2.PutBlobResponse:
        try:
            first = await anext(aiter(request_iterator))
            path = self._store.path(first.key)
            self._store.check_room(first.total_bytes)

            async def chunks() -> AsyncIterator[jobmanager_pb2.BlobChunk]:
                yield first
                async for chunk in request_iterator:
                    yield chunk

            await receive_blob(chunks(), BlobKey(first.key), path)
            return jobmanager_pb2.PutBlobResponse(key=first.key)
        except MillstreamError as error:
            await abort(context, error)
        except StopAsyncIteration:
            await abort(context, UserError("an upload without a chunk"))
        raise AssertionError("unreachable")

    async def GetBlob(
        self, request: jobmanager_pb2.GetBlobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[jobmanager_pb2.BlobChunk]:
        try:
            path = self._store.path(request.key)
            if not path.exists():
                raise UserError(f"there is no blob {request.key}")
        except MillstreamError as error:
            await abort(context, error)
        total = path.stat().st_size
        with path.open("rb") as stream:
            while True:
                data = stream.read(CHUNK_BYTES)
                if not data and stream.tell():
                    return
                yield jobmanager_pb2.BlobChunk(key=request.key, total_bytes=total, data=data)
                if not data:
                    return
