"""How a job comes to its end on somebody's word, in such a way that no change of the leader undoes it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from millstream.core.api.job import JobStatus
from millstream.core.checkpoint.storage import is_remote
from millstream.core.errors import ExternalError, MillstreamError, UserError
from millstream.core.ids import JobId
from millstream.jobmanager.checkpointing.driver import CheckpointDriver
from millstream.jobmanager.checkpointing.store import CheckpointStore
from millstream.jobmanager.ha.job_store import JobStore, record_beside
from millstream.jobmanager.job_machine import CancelRequested, Event, StopRequested
from millstream.proto.v1 import job_graph_pb2, job_store_pb2, jobmanager_pb2

log = logging.getLogger("millstream.jobmanager")

RECORD_WAIT_S: Final = 1.0
"""Before another attempt to record what must be recorded before the job can go on."""


class EndingJob(Protocol):
    """What the end of a job needs of it."""

    graph: job_graph_pb2.JobGraph
    job_id: JobId
    checkpoints: CheckpointDriver
    ended: asyncio.Event

    @property
    def status(self) -> JobStatus: ...

    def handle(self, event: Event) -> None: ...

    def fail(self, error: MillstreamError) -> None: ...


class JobEnding:
    """Of one job. Each step is recorded before it is taken."""

    def __init__(self, job: EndingJob, store: JobStore, executor: ThreadPoolExecutor, savepoint_root: str) -> None:
        self._job = job
        self._store = store
        self._executor = executor
        self._savepoint_root = savepoint_root

    async def cancel(self) -> None:
        """Returns when the job will be cancelled, whatever happens to this JobManager. Raises ``ExternalError``."""
        if not self._job.status.is_terminal_state():
            await self._will_end(job_store_pb2.JobEnding())
            self._job.handle(CancelRequested())
        if self._job.status.is_terminal_state():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECORD_WAIT_S):
                    await self._job.ended.wait()  # that of which nothing runs has ended at once

    async def take_savepoint(self, directory: str, *, stop: bool = False, drain: bool = False) -> str:
        """Its path. ``stop``: the job ends after it, as FINISHED; ``drain``: as if its input had ended.

        Raises ``UserError`` for a job that does not run, ``CheckpointError`` when it cannot be taken.
        """
        if self._job.status is not JobStatus.RUNNING:
            name = self._job.graph.name
            raise UserError(f"job {name!r} is {self._job.status}; a savepoint can be taken of a running job.")
        root = directory or self._savepoint_root
        if not is_remote(root) and not Path(root).is_absolute():
            raise UserError(f"the directory of a savepoint must be absolute, since it is the cluster's: {root}")
        savepoint = await self._job.checkpoints.take_savepoint(root, stop=stop, drain=drain)
        if stop:
            ending = job_store_pb2.JobEnding(
                savepoint=savepoint.location, checkpoint_id=savepoint.checkpoint_id, drain=drain
            )
            try:
                await self._will_end(ending)
            except ExternalError as error:
                if self._job.status is JobStatus.RUNNING:  # else it has failed with the savepoint as its end
                    self._job.checkpoints.revoke(savepoint)
                self._job.fail(error)  # nothing was committed: it goes on from its last checkpoint
                raise
            await self.commit_savepoint(ending)
        return savepoint.location

    async def commit_savepoint(self, ending: job_store_pb2.JobEnding) -> None:
        """It is the job's end: sinks make visible what it holds."""
        self._job.checkpoints.will_end_with(ending.savepoint)
        await self._job.checkpoints.commit_savepoint(ending.checkpoint_id, drained=ending.drain)
        if not ending.drain or self._job.status is not JobStatus.RUNNING:
            self._job.handle(StopRequested())  # one that drains ends by itself, unless it has failed meanwhile

    async def record(self, result: jobmanager_pb2.JobDetails) -> bool:
        """That the job has ended. False when the storage refuses: to be tried again. Raises ``FencedError``."""
        try:
            await record_beside(self._store, self._executor, partial(self._store.end, result))
        except ExternalError as error:
            log.warning("the end of job %s cannot be recorded yet: %s", self._job.job_id, error)
            return False
        return True

    async def _will_end(self, ending: job_store_pb2.JobEnding) -> None:
        await record_beside(self._store, self._executor, partial(self._store.will_end, self._job.job_id, ending))


def remove_leavings(job_id: JobId, checkpoints: CheckpointStore, keep: bool, store: JobStore) -> None:
    """Of a job whose end is recorded. Blocks. What cannot be removed now is left to the next leader."""
    try:
        if not keep:
            checkpoints.discard_all()
        store.forget(job_id)
    except (OSError, MillstreamError) as error:
        log.warning("job %s has ended, and not all that it left can be removed: %s", job_id, error)
