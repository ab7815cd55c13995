"""Waiting for a while and for nothing else, as an asyncio program does between two attempts."""

from __future__ import annotations

import asyncio


async def pause(seconds: float) -> None:
    """Return after ``seconds`` of the event loop's time."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    loop.call_later(seconds, _finish, over)
    await over


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
