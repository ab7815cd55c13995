"""Blobs: bytes named by their SHA-256, moved in chunks, checked at both ends."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import grpc

from millstream.core.errors import ExternalError
from millstream.core.ids import BlobKey
from millstream.core.rpc.channel import BlockingPeer, Peer
from millstream.proto.v1.jobmanager_pb2 import BlobChunk, GetBlobRequest
from millstream.proto.v1.jobmanager_pb2_grpc import BlobStoreStub

CHUNK_BYTES: Final = 1024 * 1024
BLOB_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
_DEADLINE_S: Final = 300.0
_transfers: Final = itertools.count()  # the same blob may arrive twice at the same time


class BlobDamagedError(ExternalError):
    """Bytes that do not have the hash of their name."""


def blob_key(data: bytes) -> BlobKey:
    """The name of a blob."""
    return BlobKey(hashlib.sha256(data).hexdigest())


def is_blob_key(text: str) -> bool:
    """Whether ``text`` is a name at all; checked before it becomes part of a path."""
    return len(text) == 64 and all(character in "0123456789abcdef" for character in text)


def chunks_of(data: bytes, key: BlobKey) -> Iterator[BlobChunk]:
    """The messages that carry a blob; at least one."""
    for start in range(0, max(1, len(data)), CHUNK_BYTES):
        yield BlobChunk(key=key, total_bytes=len(data), data=data[start : start + CHUNK_BYTES])


def blob_key_of_file(path: Path) -> BlobKey:
    """The name that a blob in a file should have."""
    with path.open("rb") as stream:
        return BlobKey(hashlib.file_digest(stream, "sha256").hexdigest())


def put_blob(peer: BlockingPeer, data: bytes) -> BlobKey:
    """Upload ``data``."""
    key = blob_key(data)
    peer.call(peer.stub(BlobStoreStub).PutBlob, chunks_of(data, key), deadline_s=_DEADLINE_S)
    return key


async def get_blob(peer: Peer, key: BlobKey, path: Path) -> None:
    """Download to ``path``, which appears only when it is whole and has the right hash."""
    stub = peer.stub(BlobStoreStub)
    call = stub.GetBlob(GetBlobRequest(key=key), timeout=_DEADLINE_S, metadata=peer.metadata(stub.GetBlob))
    try:
        await receive_blob(call, key, path)  # type: ignore[arg-type]
    except grpc.RpcError as error:
        raise peer.error(error) from None


async def receive_blob(chunks: AsyncIterator[BlobChunk], key: BlobKey, path: Path) -> None:
    """Write chunks to ``path`` by way of a temporary file. Raises ``BlobDamagedError``, ``ExternalError``."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.{next(_transfers)}.part")
    digest, received = hashlib.sha256(), 0
    try:
        with partial.open("wb") as stream:
            async for chunk in chunks:
                received += len(chunk.data)
                if received > min(BLOB_BYTES_MAX, chunk.total_bytes):
                    raise BlobDamagedError(f"blob {key} is larger than announced or allowed ({received} bytes)")
                digest.update(chunk.data)
                stream.write(chunk.data)
        if digest.hexdigest() != key:
            raise BlobDamagedError(f"blob {key} arrived with the hash {digest.hexdigest()}")
        partial.replace(path)
    except OSError as error:
        raise ExternalError(f"cannot write the blob {path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
