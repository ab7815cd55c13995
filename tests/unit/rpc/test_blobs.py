"""Blobs: what arrives has the hash of its name and the announced size, or does not arrive."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.clock import SystemClock
from millstream.core.errors import ExternalError, UserError
from millstream.core.ids import BlobKey
from millstream.core.rpc import blobs
from millstream.core.rpc.blobs import (
    CHUNK_BYTES,
    BlobDamagedError,
    blob_key,
    chunks_of,
    get_blob,
    is_blob_key,
    receive_blob,
)
from millstream.core.rpc.channel import Peer
from millstream.core.rpc.server import bind, create_server
from millstream.jobmanager.blob_store import BlobService, BlobStore
from millstream.proto.v1.jobmanager_pb2 import BlobChunk
from millstream.proto.v1.jobmanager_pb2_grpc import BlobStoreStub, add_BlobStoreServicer_to_server

DATA = b"user code" * 10
KEY = blob_key(DATA)


def chunk(data: bytes, total: int, key: str = KEY) -> BlobChunk:
    return BlobChunk(key=key, total_bytes=total, data=data)


def receive(chunks: Iterable[BlobChunk | Exception], path: Path, key: BlobKey = KEY) -> None:
    async def stream() -> AsyncIterator[BlobChunk]:
        for item in chunks:
            if isinstance(item, Exception):
                raise item
            yield item

    asyncio.run(receive_blob(stream(), key, path))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_a_blob_arrives_as_it_was_sent(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    sent = list(chunks_of(data, blob_key(data)))
    assert sent and all(len(part.data) <= CHUNK_BYTES and part.total_bytes == size for part in sent)
    receive(sent, tmp_path / "blob", blob_key(data))
    assert (tmp_path / "blob").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["blob"]


DAMAGED = {
    "other bytes": [chunk(b"x" * len(DATA), len(DATA))],
    "too few": [chunk(DATA[:-1], len(DATA))],
    "none": [],
    "more than announced": [chunk(DATA, len(DATA) - 1)],
    "more than announced in a later chunk": [chunk(DATA, len(DATA)), chunk(b"more", len(DATA))],
    "a total of zero": [chunk(DATA, 0)],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_blob_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(BlobDamagedError, match=f"blob {KEY} "):
        receive(DAMAGED[name], tmp_path / KEY)
    assert list(tmp_path.iterdir()) == []


def test_no_more_is_written_than_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "BLOB_BYTES_MAX", 50)
    reached: list[int] = []

    def endless() -> Iterator[BlobChunk]:
        for number in range(100):
            reached.append(number)
            yield chunk(b"x" * 20, 2**60)

    with pytest.raises(BlobDamagedError, match=r"larger than announced or allowed \(60 bytes\)"):
        receive(endless(), tmp_path / KEY)
    assert reached == [0, 1, 2] and list(tmp_path.iterdir()) == []


def test_after_a_broken_transfer_the_next_one_succeeds(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="lost"):
        receive([chunk(DATA[:9], len(DATA)), RuntimeError("lost")], tmp_path / KEY)
    assert list(tmp_path.iterdir()) == []
    receive(chunks_of(DATA, KEY), tmp_path / KEY)
    assert (tmp_path / KEY).read_bytes() == DATA


def test_two_transfers_of_one_blob_at_the_same_time_do_not_meet(tmp_path: Path) -> None:
    """Two clients submit the same program: each transfer is whole, and what is visible always is."""
    path = tmp_path / KEY

    async def run() -> None:
        first_may_end, second_may_end = asyncio.Event(), asyncio.Event()

        async def stream(may_end: asyncio.Event) -> AsyncIterator[BlobChunk]:
            yield chunk(DATA[:50], len(DATA))
            await may_end.wait()
            yield chunk(DATA[50:], len(DATA))

        first = asyncio.ensure_future(receive_blob(stream(first_may_end), KEY, path))
        second = asyncio.ensure_future(receive_blob(stream(second_may_end), KEY, path))
        await asyncio.wait([first, second], timeout=0)
        first_may_end.set()
        await first
        assert path.read_bytes() == DATA
        second_may_end.set()
        await second
        assert path.read_bytes() == DATA

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_transfer_does_not_replace_what_is_there(tmp_path: Path) -> None:
    receive(chunks_of(DATA, KEY), tmp_path / KEY)
    with pytest.raises(BlobDamagedError):
        receive([chunk(b"x", 1)], tmp_path / KEY)
    assert (tmp_path / KEY).read_bytes() == DATA


def test_a_disk_that_refuses_is_an_external_error(tmp_path: Path) -> None:
    with pytest.raises(ExternalError, match=r"cannot write the blob .*No such file or directory"):
        receive(chunks_of(DATA, KEY), tmp_path / "missing" / KEY)


@given(st.text(max_size=70))
def test_only_a_hash_is_a_name(text: str) -> None:
    assert not is_blob_key(text) or (len(text) == 64 and not set(text) - set("0123456789abcdef"))


@pytest.mark.parametrize(
    "text", ["", KEY.upper().replace("0", "A"), KEY[:-1], KEY + "0", "../" + KEY[3:], KEY[:-1] + "\n"]
)
def test_what_is_no_name_never_becomes_a_path(tmp_path: Path, text: str) -> None:
    assert is_blob_key(KEY) and not is_blob_key(text)
    with pytest.raises(UserError, match="is not a blob key"):
        BlobStore(tmp_path / "blobs").path(text)


def test_a_store_forgets_only_what_is_old_and_unused(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    used, unused, asked_for, new, under_way = KEY, "1" * 64, "2" * 64, "3" * 64, f".{'4' * 64}.17.0.part"
    for name in (used, unused, asked_for, new, under_way):
        (tmp_path / "blobs" / name).write_bytes(b"")
        if name != new:
            os.utime(tmp_path / "blobs" / name, (1000.0, 1000.0))
    assert store.wanted(asked_for) and not store.wanted("5" * 64)
    store.retain_only({used}, 1_000_000)
    assert store.has(unused), "it came at that moment, not before"
    store.retain_only({used}, 1_000_001)
    assert {file.name for file in (tmp_path / "blobs").iterdir()} == {used, asked_for, new, under_way}


def test_through_a_server(tmp_path: Path) -> None:
    """Upload, refusal of a damaged upload and of an unknown key, download of a damaged file."""

    async def run() -> None:
        server = create_server(None, SystemClock())
        store = BlobStore(tmp_path / "blobs")
        add_BlobStoreServicer_to_server(BlobService(store), server)
        port = bind(server, None, "127.0.0.1", 0, "jobmanager.rpc.port")
        await server.start()
        peer = Peer(f"127.0.0.1:{port}", None, SystemClock())
        put = peer.stub(BlobStoreStub).PutBlob
        try:
            data = bytes(2 * CHUNK_BYTES + 1)
            response = await peer.call(put, chunks_of(data, blob_key(data)))
            assert response.key == blob_key(data) and store.has(response.key)
            await get_blob(peer, response.key, tmp_path / "copy")
            assert (tmp_path / "copy").read_bytes() == data
            with pytest.raises(ExternalError, match="arrived with the hash"):
                await peer.call(put, iter([chunk(b"x", 1)]))
            assert not store.has(KEY)
            for wrong in ([], [chunk(DATA, len(DATA), key="../escaped")]):
                with pytest.raises(UserError, match=r"without a chunk|is not a blob key"):
                    await peer.call(put, iter(wrong))
            with pytest.raises(UserError, match=f"there is no blob {KEY}"):
                await get_blob(peer, KEY, tmp_path / "other")
            store.path(response.key).write_bytes(b"bits have rotted")
            with pytest.raises(BlobDamagedError, match="arrived with the hash"):
                await get_blob(peer, response.key, tmp_path / "other")
            assert sorted(path.name for path in tmp_path.iterdir()) == ["blobs", "copy"]
        finally:
            await peer.close()
            await server.stop(None)

    asyncio.run(run())
