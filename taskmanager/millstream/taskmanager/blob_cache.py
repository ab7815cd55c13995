"""Blobs on the TaskManager's disk: fetched once, by content hash."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from millstream.core.errors import ExternalError
from millstream.core.ids import BlobKey
from millstream.core.rpc.blobs import get_blob, is_blob_key
from millstream.core.rpc.channel import Peer
from millstream.core.rpc.server import seen_through

CACHE_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024


class BlobCache:
    """Files below ``directory``, removed oldest use first when they exceed ``CACHE_BYTES_MAX``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fetching: dict[str, asyncio.Task[None]] = {}

    async def fetch(self, peer: Peer, keys: Iterable[str]) -> dict[str, str]:
        """Paths of the blobs, downloaded where they are missing. Raises ``ExternalError``."""
        wanted = sorted(set(keys) - {""})
        for key in wanted:
            if not is_blob_key(key):
                raise ExternalError(f"{key[:80]!r} is not a blob key")
        await asyncio.gather(*(self._ensure(peer, key) for key in wanted))
        self._evict(set(wanted))
        return {key: str(self._directory / key) for key in wanted}

    async def _ensure(self, peer: Peer, key: str) -> None:
        path = self._directory / key
        if path.exists():
            path.touch()
            return
        fetching = self._fetching.get(key)
        if fetching is None:
            fetching = asyncio.get_running_loop().create_task(get_blob(peer, BlobKey(key), path))
            self._fetching[key] = fetching
            fetching.add_done_callback(lambda task: self._fetching.pop(key, None))
        await seen_through(fetching)

    def _evict(self, keep: set[str]) -> None:
        files = sorted(self._directory.iterdir(), key=lambda file: file.stat().st_mtime)
        total = sum(file.stat().st_size for file in files)
        for file in files:
            if total <= CACHE_BYTES_MAX:
                return
            if file.name not in keep:
                total -= file.stat().st_size
                file.unlink(missing_ok=True)
