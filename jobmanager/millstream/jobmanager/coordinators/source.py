"""Runs the enumerators of a job's sources.

An enumerator is user code or lists files, so it runs on a worker thread, one thread a job: calls follow each other.
What it hands out is collected during a call and sent by the event loop after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle

from millstream.core.api.source import EnumeratorContext, Source, SplitEnumerator
from millstream.core.errors import ErrorPlace, MillstreamError, UserCodeError
from millstream.proto.v1 import job_graph_pb2

R = TypeVar("R")
Send = Callable[[str, int, str, str, bytes], Awaitable[None]]
"""``(vertex id, subtask index, operator id, kind, payload)``."""


class _Context(EnumeratorContext):
    def __init__(self, parallelism: int) -> None:
        self.parallelism = parallelism
        self.outgoing: list[tuple[int, str, bytes]] = []

    def assign(self, splits: list[Any], subtask: int) -> None:
        self.outgoing.append((subtask, "add_splits", cloudpickle.dumps(splits)))

    def no_more_splits(self, subtask: int) -> None:
        self.outgoing.append((subtask, "no_more_splits", b""))

    def ask_later(self, subtask: int, delay_ms: int) -> None:
        self.outgoing.append((subtask, "ask_later", cloudpickle.dumps(delay_ms)))


class SourceCoordinator:
    """The enumerator of one source vertex."""

    def __init__(
        self,
        vertex: job_graph_pb2.Vertex,
        blob: Path,
        executor: ThreadPoolExecutor,
        send: Send,
        restored: bytes | None = None,
    ) -> None:
        """``restored``: what ``snapshot`` returned when the checkpoint was taken from which the job starts."""
        self._vertex = vertex
        self._operator_id = vertex.operators[0].operator_id
        self._blob = blob
        self._executor = executor
        self._send = send
        self._context = _Context(vertex.parallelism)
        self._enumerator: SplitEnumerator[Any] | None = None
        self._restored = restored
        self._turn = asyncio.Lock()  # a call and the sending of what it hands out are one
        self._held: list[tuple[int, str, bytes]] | None = None
        self._closed = False

    async def start(self) -> None:
        """Load and start the enumerator. Raises ``MillstreamError`` in the user's words."""
        await self._run(self._start)

    def is_ready(self) -> bool:
        return self._enumerator is not None

    async def request_split(self, subtask: int) -> None:
        """A reader has no split left."""
        assert self._enumerator is not None
        await self._run(self._enumerator.handle_split_request, subtask)

    async def snapshot(self) -> bytes:
        """The enumerator's state. What it hands out from now on waits for ``release``.

        Everything handed out before has been sent, and so reaches the readers before any barrier that follows.
        """
        async with self._turn:
            self._held = []
            return await self._call(self._snapshot)

    async def release(self) -> None:
        """The readers have taken their snapshots, or the checkpoint was given up."""
        async with self._turn:
            held, self._held = self._held or [], None
            await self._send_all(held)

    def close(self) -> None:
        """Close the enumerator when its current call is over. What it hands out still is for no later attempt."""
        self._closed = True
        if self._enumerator is not None:
            self._executor.submit(self._enumerator.close)

    def _start(self) -> None:
        source: Source[Any] = cloudpickle.loads(self._blob.read_bytes())
        if self._restored is None:
            enumerator = source.create_enumerator(self._context)
        else:
            enumerator = source.restore_enumerator(self._context, cloudpickle.loads(self._restored))
        enumerator.start()
        self._enumerator = enumerator

    def _snapshot(self) -> bytes:
        assert self._enumerator is not None
        state: bytes = cloudpickle.dumps(self._enumerator.snapshot_state())
        return state

    async def _run(self, call: Callable[..., None], *arguments: Any) -> None:
        async with self._turn:
            await self._call(call, *arguments)
            outgoing, self._context.outgoing = self._context.outgoing, []
            if self._held is not None:
                self._held.extend(outgoing)
            else:
                await self._send_all(outgoing)

    async def _send_all(self, outgoing: list[tuple[int, str, bytes]]) -> None:
        for subtask, kind, payload in outgoing:
            if self._closed:
                return
            await self._send(self._vertex.vertex_id, subtask, self._operator_id, kind, payload)

    async def _call(self, call: Callable[..., R], *arguments: Any) -> R:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, call, *arguments)
        except MillstreamError:
            raise
        except Exception as error:
            raise UserCodeError(
                f"the enumerator of source {self._vertex.name!r} failed: {type(error).__name__}: {error}",
                place=ErrorPlace(operator=self._vertex.name),
            ) from error
