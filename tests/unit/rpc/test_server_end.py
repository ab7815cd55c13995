"""A process whose RPC server has ended ends, too: nobody could reach it, and as a leader it would keep others out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from millstream.core.clock import SystemClock
from millstream.core.config import load
from millstream.core.errors import ExternalError, MillstreamError
from millstream.core.rpc.server import create_server, watch
from millstream.jobmanager import main as jobmanager_main
from millstream.jobmanager.main import JobManager

WAIT_S = 30.0


def test_the_end_of_a_server_is_told() -> None:
    async def run() -> list[MillstreamError]:
        server = create_server(None, SystemClock())
        await server.start()
        told: list[MillstreamError] = []
        watching = watch(server, told.append)
        await server.stop(None)
        await asyncio.wait_for(watching, WAIT_S)
        return told

    (error,) = asyncio.run(run())
    assert isinstance(error, ExternalError) and "has ended by itself" in error.message


@pytest.mark.parametrize("told_to_stop", [True, False])
def test_a_jobmanager_ends_with_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told_to_stop: bool) -> None:
    made: list[grpc.aio.Server] = []

    def create(*arguments: Any) -> grpc.aio.Server:
        made.append(create_server(*arguments))
        return made[0]

    monkeypatch.setattr(jobmanager_main, "create_server", create)

    async def run() -> None:
        settings = {
            "jobmanager.rpc.port": 0,
            "metrics.jobmanager.port": -1,
            "security.secret": "a secret of sixteen",
            "blob.storage.directory": str(tmp_path),
        }
        jobmanager = JobManager(load(overrides=settings), tmp_path / "address")
        serving = asyncio.ensure_future(jobmanager.serve())
        while not (tmp_path / "address").exists() and not serving.done():
            await asyncio.wait([serving], timeout=0.02)
        if told_to_stop:
            jobmanager.stop()
        else:
            await made[0].stop(None)
        await asyncio.wait_for(serving, WAIT_S)

    if told_to_stop:
        asyncio.run(run())
    else:
        with pytest.raises(ExternalError, match="RPC server of this process has ended by itself"):
            asyncio.run(run())
