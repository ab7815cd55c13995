"""How a job gets another number of subtasks: asked for, or because slots have come or gone.

It stops at a checkpoint taken for that, and its next attempt begins with the new numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from millstream.core.api.job import JobStatus
from millstream.core.checkpoint.storage import location_of
from millstream.core.clock import Clock
from millstream.core.errors import MillstreamError, UserError
from millstream.jobmanager.checkpointing.driver import CheckpointDriver
from millstream.jobmanager.job_machine import JobMachine, Replanned, RescaleRequested
from millstream.jobmanager.scheduling.adaptive import AdaptiveScheduler, AdaptiveSettings
from millstream.jobmanager.scheduling.placement import place
from millstream.jobmanager.scheduling.rescaling import Parallelism, parallelism_of, rescaled
from millstream.proto.v1 import job_graph_pb2

log = logging.getLogger("millstream.jobmanager")


class ScalableJob(Protocol):
    """The job master."""

    graph: job_graph_pb2.JobGraph
    machine: JobMachine
    checkpoints: CheckpointDriver

    def slots_at_hand(self) -> int:
        """Free ones, and those the job has."""
        ...

    def has_results_out(self) -> bool:
        """Results were handed to a client, and cannot be taken back."""
        ...

    def become(self, parallelism: Parallelism) -> None:
        """The next attempt has these numbers of subtasks."""
        ...

    async def record_graph(self) -> None:
        """A new leader goes on with it as it is now."""
        ...

    def handle(self, event: Replanned | RescaleRequested) -> None: ...

    def spawn(self, action: Callable[[], Awaitable[None]], fails_job: bool = True) -> None: ...


class JobScaling:
    """Of one job."""

    def __init__(self, job: ScalableJob, clock: Clock, cluster: Mapping[str, Any]) -> None:
        """``cluster``: its settings."""
        self._job = job
        self._clock = clock
        self._adaptive = AdaptiveScheduler(job.graph, AdaptiveSettings.of_cluster(cluster))
        self._next: Parallelism | None = None

    @property
    def is_pending(self) -> bool:
        """The job is being stopped for it."""
        return self._next is not None

    def take_next(self) -> Parallelism | None:
        """What the attempt that begins now was asked to have."""
        chosen, self._next = self._next, None
        return chosen

    def adapt(self) -> None:
        """Ask now and then: go on with what there is, where the scheduler may."""
        job, now_s = self._job, self._clock.monotonic_s()
        if job.has_results_out():
            return
        if job.machine.wants_slots:
            planned = self._adaptive.plan(job.slots_at_hand(), running=False, now_s=now_s)
            if planned is not None:
                log.info("job %s starts with the %d slots there are", job.graph.job_id, job.slots_at_hand())
                job.become(planned)
                job.handle(Replanned(place(job.graph).slots))
        elif job.machine.status is JobStatus.RUNNING and self._next is None:
            planned = self._adaptive.plan(job.slots_at_hand(), running=True, now_s=now_s)
            if planned is not None:
                self._adaptive.changed(now_s)
                job.spawn(lambda: self._go(planned), fails_job=False)

    async def rescale(self, parallelism: int, by_vertex: Mapping[str, int]) -> bool:
        """Stop at a checkpoint and go on with other numbers of subtasks; False when they are the same already.

        ``parallelism`` 0: only what ``by_vertex`` says. Raises ``UserError`` when that cannot be.
        """
        job, name = self._job, self._job.graph.name
        if job.machine.status is not JobStatus.RUNNING:
            raise UserError(f"job {name!r} is {job.machine.status}; a running job can be rescaled.")
        if job.has_results_out():
            raise UserError(
                f"job {name!r} hands its results to the program that started it: it cannot be rescaled, for results "
                f"that were fetched cannot be taken back."
            )
        chosen = rescaled(job.graph, parallelism, by_vertex)
        needed, available = place(job.graph, chosen).slots_needed, job.slots_at_hand()
        if needed > available:
            raise UserError(
                f"job {name!r} would need {needed} slots, but only {available} are free or its own. "
                f"Start TaskManagers, or choose a lower parallelism."
            )
        self._adaptive.wanted = chosen
        if chosen == parallelism_of(job.graph):
            return False
        await self._go(chosen)
        return True

    async def _go(self, chosen: Parallelism) -> None:
        job = self._job
        if self._next is not None:
            raise UserError(f"job {job.graph.name!r} is being rescaled already.")
        self._next = chosen
        try:
            if job.checkpoints.coordinator.is_on:
                await job.checkpoints.checkpoint_now()
            else:
                root = location_of(job.checkpoints.directory, "rescaling")
                savepoint = await job.checkpoints.take_savepoint(root, stop=True, again=True)
                job.graph.restore_path = savepoint.location
                await job.record_graph()
                await job.checkpoints.commit_savepoint(savepoint.checkpoint_id)
        except MillstreamError:
            self._next = None
            raise
        if job.machine.status is not JobStatus.RUNNING:
            self._next = None
            raise UserError(f"job {job.graph.name!r} is {job.machine.status}; it was not rescaled.")
        job.handle(RescaleRequested(place(job.graph, chosen).slots))
