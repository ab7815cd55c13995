"""What slots need is downloaded once, for all who wait for it."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from millstream.core.errors import UserError
from millstream.core.rpc.blobs import blob_key
from millstream.taskmanager.blob_cache import BlobCache


def test_a_download_that_fails_when_nobody_waits_any_more_is_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> list[dict[str, Any]]:
        begun, may_fail = asyncio.Event(), asyncio.Event()
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

        async def get_blob(*_: object) -> None:
            begun.set()
            await may_fail.wait()
            raise UserError("there is no such blob")

        monkeypatch.setattr("millstream.taskmanager.blob_cache.get_blob", get_blob)
        peer: Any = None
        fetching = asyncio.ensure_future(BlobCache(tmp_path).fetch(peer, [blob_key(b"code")]))
        await begun.wait()
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
        may_fail.set()
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()
        return told

    assert asyncio.run(run()) == []
