"""Holds the results of a collect sink until the client fetches them.

Bounded: a full buffer refuses, the sink waits, the job slows down. A token counts the batches a client has: asking
with token ``n`` acknowledges the first ``n`` and gives what follows, so a repeated request gets the same again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from millstream.core.errors import UserError

BUFFER_BYTES_MAX: Final = 16 * 1024 * 1024
RESPONSE_BYTES_MAX: Final = 4 * 1024 * 1024


class CollectCoordinator:
    """The buffer of one collect operator with ``parallelism`` subtasks."""

    def __init__(self, parallelism: int) -> None:
        self._parallelism = parallelism
        self._batches: deque[bytes] = deque()
        self._bytes = 0
        self._first_token = 0
        self._ended: set[int] = set()
        self._changed = asyncio.Event()

    def offer(self, batch: bytes) -> bool:
        """Take a batch, or False when there is no room now."""
        if self._bytes and self._bytes + len(batch) > BUFFER_BYTES_MAX:
            return False
        self._batches.append(batch)
        self._bytes += len(batch)
        self._changed.set()
        return True

    def end(self, subtask: int) -> None:
        """A subtask has sent everything."""
        self._ended.add(subtask)
        self._changed.set()

    def wake(self) -> None:
        """The job's status changed."""
        self._changed.set()

    def take(self, token: int) -> tuple[list[bytes], int, bool]:
        """``(batches after the first token ones, next token, whether that is all)``."""
        last = self._first_token + len(self._batches)
        if not self._first_token <= token <= last:
            raise UserError(f"results are held from {self._first_token} to {last}; {token} was asked for")
        while self._first_token < token:
            self._bytes -= len(self._batches.popleft())
            self._first_token += 1
        chosen: list[bytes] = []
        size = 0
        for batch in self._batches:
            if chosen and size + len(batch) > RESPONSE_BYTES_MAX:
                break
            chosen.append(batch)
            size += len(batch)
        complete = len(self._ended) == self._parallelism and len(chosen) == len(self._batches)
        return chosen, token + len(chosen), complete

    async def wait(self, timeout_s: float) -> None:
        """Until something changes, at most ``timeout_s``."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
