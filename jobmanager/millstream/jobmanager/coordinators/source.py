"""Runs the enumerators of a job's sources.

An enumerator is user code or lists files, so it runs on a worker thread, one thread a job: calls follow each other.
What it hands out is collected during a call and sent by the event loop after it. It is recorded in between
(``hand_outs``), where another JobManager may go on with the job.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import cloudpickle

from millstream.core.api.source import EnumeratorContext, Source, SplitEnumerator
from millstream.core.errors import (
    CheckpointError,
    ErrorPlace,
    ExternalError,
    FencedError,
    MillstreamError,
    UserCodeError,
)
from millstream.core.failpoints import failpoint
from millstream.core.pauses import pause
from millstream.core.source_events import ADD_SPLITS, ASK_AGAIN, ASK_LATER, NO_MORE_SPLITS
from millstream.jobmanager.coordinators.hand_outs import HandOut, HandOuts
from millstream.proto.v1 import job_graph_pb2, job_store_pb2

_RECORD_WAIT_S: Final = 1.0

log = logging.getLogger("millstream.jobmanager")

R = TypeVar("R")
Send = Callable[[str, int, str, str, bytes], Awaitable[None]]
"""``(vertex id, subtask index, operator id, kind, payload)``."""
Keep = Callable[[job_store_pb2.SourceJournal], None]
"""Blocks until the record is durable; ``ExternalError`` when it is not."""


class _Context(EnumeratorContext):
    def __init__(self, parallelism: int) -> None:
        self.parallelism = parallelism
        self.outgoing: list[HandOut] = []

    def assign(self, splits: list[Any], subtask: int) -> None:
        self.outgoing.append(HandOut(subtask, ADD_SPLITS, cloudpickle.dumps(splits)))

    def no_more_splits(self, subtask: int) -> None:
        self.outgoing.append(HandOut(subtask, NO_MORE_SPLITS, b""))

    def ask_later(self, subtask: int, delay_ms: int) -> None:
        self.outgoing.append(HandOut(subtask, ASK_LATER, cloudpickle.dumps(delay_ms)))


class SourceCoordinator:
    """The enumerator of one source vertex, for one attempt."""

    def __init__(
        self,
        vertex: job_graph_pb2.Vertex,
        blob: Path,
        executor: ThreadPoolExecutor,
        send: Send,
        restored: bytes | None = None,
        keep: Keep | None = None,
        attempt: int = 0,
        journal: job_store_pb2.SourceJournal | None = None,
    ) -> None:
        """``restored``: what ``snapshot`` returned when the checkpoint was taken from which the job starts.

        ``keep`` writes a record for the next leader; None when there will be none. ``journal``: instead of
        ``restored``, that of the former leader, whose readers run on.
        """
        self._vertex = vertex
        self._operator_id = vertex.operators[0].operator_id
        self._blob = blob
        self._executor = executor
        self._send = send
        self._keep = keep
        self._attempt = attempt
        self._context = _Context(vertex.parallelism)
        self._enumerator: SplitEnumerator[Any] | None = None
        self._restored = restored if journal is None else journal.enumerator
        self._hand_outs = HandOuts(vertex.parallelism) if journal is None else HandOuts.of_journal(journal)
        self._handed_out = [] if journal is None else list(journal.handed_out)
        """Since the state was taken from which the enumerator starts."""
        self._asked: list[int] = []
        self._turn = asyncio.Lock()  # a call and the sending of what it hands out are one
        self._held = True
        """Nothing is sent, for it would be too early: readers are not there yet, or part of a checkpoint."""
        self._closed = False
        self._up = asyncio.Event()
        """It has started, or was closed."""

    async def start(self) -> None:
        """Load and start the enumerator; nothing is sent before ``release``. Raises ``MillstreamError`` in the user's
        words."""
        async with self._turn:
            await self._run(self._start)
        self._up.set()

    async def resume(self) -> None:
        """Instead of ``start``, with readers that run: send what they may lack, and let them ask again."""
        await self.start()
        failpoint("splits.resumed")
        await self.release()
        for subtask in range(self._vertex.parallelism):
            await self._send(self._vertex.vertex_id, subtask, self._operator_id, ASK_AGAIN, b"")

    def is_ready(self) -> bool:
        return self._enumerator is not None

    async def request_split(self, subtask: int) -> None:
        """A reader has no split left. Those that ask at the same time are answered together."""
        self._asked.append(subtask)
        async with self._turn:
            if self._asked:
                asked, self._asked = self._asked, []
                await self._run(self._answer, asked)

    async def snapshot(self) -> bytes:
        """The enumerator's state. What it hands out from now on waits for ``release``.

        Everything handed out before has been sent, and so reaches the readers before any barrier that follows.
        """
        await self._up.wait()
        async with self._turn:
            await self._send_all()
            self._held = True
            return await self._call(self._snapshot)

    async def release(self) -> None:
        """The readers are there; or have taken their snapshots, or the checkpoint was given up."""
        async with self._turn:
            self._held = False
            await self._send_all()

    def close(self) -> None:
        """Close the enumerator when its current call is over. What it hands out still is for no later attempt."""
        self._closed = True
        self._up.set()
        if self._enumerator is not None:
            self._executor.submit(self._enumerator.close)

    def _start(self) -> None:
        source: Source[Any] = cloudpickle.loads(self._blob.read_bytes())
        if self._restored is None:
            enumerator = source.create_enumerator(self._context)
        else:
            enumerator = source.restore_enumerator(self._context, cloudpickle.loads(self._restored))
        enumerator.start()
        if self._handed_out:
            enumerator.take_out([split for pickled in self._handed_out for split in cloudpickle.loads(pickled)])
        self._enumerator = enumerator

    def _snapshot(self) -> bytes:
        if self._enumerator is None:
            raise CheckpointError(f"the enumerator of source {self._vertex.name!r} was closed before it had started")
        state: bytes = cloudpickle.dumps(self._enumerator.snapshot_state())
        return state

    def _answer(self, subtasks: list[int]) -> None:
        assert self._enumerator is not None
        for subtask in subtasks:
            self._enumerator.handle_split_request(subtask)

    async def _run(self, call: Callable[..., None], *arguments: Any) -> None:
        """In the caller's turn."""
        await self._call(call, *arguments)
        outgoing, self._context.outgoing = self._context.outgoing, []
        self._hand_outs.add(outgoing)
        if self._keep is not None:
            await self._record(self._keep)
        if not self._held:
            await self._send_all()

    async def _record(self, keep: Keep) -> None:
        """Until the storage takes it: nothing may be sent that nobody would know of."""
        if self._enumerator is not None and self._enumerator.takes_out and self._hand_outs.may_append():
            journal = self._hand_outs.to_append(self._attempt)
        else:
            journal = self._hand_outs.to_keep(self._attempt, await self._call(self._snapshot))
        while journal is not None and not self._closed:
            try:
                await self._call(keep, journal)
                failpoint("splits.recorded")
                return
            except FencedError:
                raise
            except ExternalError as error:
                log.warning("source %r hands out no splits: %s", self._vertex.name, error)
            await pause(_RECORD_WAIT_S)

    async def _send_all(self) -> None:
        unsent = self._hand_outs.unsent
        while unsent and not self._closed:
            subtask, kind, payload = unsent[0]
            await self._send(self._vertex.vertex_id, subtask, self._operator_id, kind, payload)
            unsent.popleft()

    async def _call(self, call: Callable[..., R], *arguments: Any) -> R:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, _called, call, *arguments)
        except MillstreamError:
            raise
        except Exception as error:
            raise UserCodeError(
                f"the enumerator of source {self._vertex.name!r} failed: {type(error).__name__}: {error}",
                place=ErrorPlace(operator=self._vertex.name),
            ) from error


def _called(call: Callable[..., R], *arguments: Any) -> R:
    try:
        return call(*arguments)
    except StopIteration as error:  # no future takes it, and whoever waits would wait for ever
        raise RuntimeError("StopIteration") from error
