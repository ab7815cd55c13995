"""Jobs as a JobManager keeps them, so that the next leader finds them.

All methods block and belong on a worker thread; those about one job follow each other. They raise ``FencedError`` when
another leader has taken over: then nothing of what was asked for counts, and this process must do nothing more.
``ExternalError``: the storage refuses; the same may be asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

from millstream.core.ids import JobId
from millstream.proto.v1 import job_graph_pb2, job_store_pb2, jobmanager_pb2


@dataclass(frozen=True)
class StoredJob:
    """A job that was accepted."""

    graph: job_graph_pb2.JobGraph
    attempt: int
    """The highest that may ever have been deployed; the next one is above it."""
    submitted_ms: int
    sources: Mapping[str, job_store_pb2.SourceJournal] = field(default_factory=dict)
    """The newest journal record of its sources, by vertex id; none for a source that has not been started."""
    ending: job_store_pb2.JobEnding | None = None
    """How it was about to end."""


@dataclass(frozen=True)
class Recovered:
    """What a new leader finds."""

    jobs: tuple[StoredJob, ...] = ()
    """Not ended: go on with them. Their blobs are in the blob store again."""
    results: tuple[jobmanager_pb2.JobDetails, ...] = ()
    """Of ended jobs, oldest first; among them, as FAILED, the jobs whose records are damaged."""
    to_clean: tuple[job_graph_pb2.JobGraph, ...] = ()
    """Ended, but their leader died before all was removed: remove their checkpoints, then call ``forget``."""


class JobStore(Protocol):
    """See the module."""

    @property
    def keeps_jobs(self) -> bool:
        """Whether anything is kept at all; if not, nobody needs to write a journal."""
        ...

    def recover(self) -> Recovered:
        """Called once, before all else: from then on nothing counts that earlier leaders still write."""
        ...

    def accept(self, graph: job_graph_pb2.JobGraph, submitted_ms: int) -> None:
        """With its blobs; on return the job survives this process. Accepting it again changes nothing."""
        ...

    def put(self, graph: job_graph_pb2.JobGraph, attempt: int) -> None:
        """Before a deployment: the graph as it is deployed, and the highest attempt of any subtask."""
        ...

    def put_source(self, job_id: JobId, vertex_id: str, journal: job_store_pb2.SourceJournal) -> None:
        """Before what it tells is handed out; it replaces the former one of the vertex, or is ``appended`` to it."""
        ...

    def will_end(self, job_id: JobId, ending: job_store_pb2.JobEnding) -> None:
        """Before its subtasks are told: a new leader must not let the job go on."""
        ...

    def end(self, result: jobmanager_pb2.JobDetails) -> None:
        """The job has ended, and never comes back. Before its checkpoints are removed."""
        ...

    def forget(self, job_id: JobId) -> None:
        """After its checkpoints were removed: nothing of it stays but its result, and that only for a while."""
        ...


async def record_beside(store: JobStore, executor: Executor, write: Callable[[], None]) -> None:
    """``write`` to ``store`` on the job's thread; where no jobs are kept, do not even wait for the thread."""
    if store.keeps_jobs:
        await asyncio.get_running_loop().run_in_executor(executor, write)


class NoStore:
    """Jobs die with their JobManager."""

    keeps_jobs = False

    def recover(self) -> Recovered:
        return Recovered()

    def accept(self, graph: job_graph_pb2.JobGraph, submitted_ms: int) -> None:
        return

    def put(self, graph: job_graph_pb2.JobGraph, attempt: int) -> None:
        return

    def put_source(self, job_id: JobId, vertex_id: str, journal: job_store_pb2.SourceJournal) -> None:
        return

    def will_end(self, job_id: JobId, ending: job_store_pb2.JobEnding) -> None:
        return

    def end(self, result: jobmanager_pb2.JobDetails) -> None:
        return

    def forget(self, job_id: JobId) -> None:
        return
