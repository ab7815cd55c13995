"""All jobs of a JobManager: accepts, finds, and in time forgets them."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
from collections.abc import Mapping
from typing import Any, Final

from millstream.core.api.job import JobStatus
from millstream.core.checkpoint.storage import location_of, open_storage
from millstream.core.clock import Clock
from millstream.core.config import options
from millstream.core.config.configuration import OF_CLUSTER_UNLESS_OF_JOB
from millstream.core.config.values import LocationKind
from millstream.core.errors import InsufficientSlotsError, JobGraphError, MillstreamError, UserError
from millstream.core.graph import PAYLOAD_FORMAT
from millstream.core.ids import JobId, SlotId, TaskManagerId
from millstream.core.rpc.secret import ClusterSecret
from millstream.core.rpc.server import seen_through
from millstream.core.table.table_jobs import is_of_tables
from millstream.jobmanager.blob_store import BlobStore, blob_keys
from millstream.jobmanager.checkpointing.comparison import compare_state, refuse_changed
from millstream.jobmanager.checkpointing.redistribution import redistribute
from millstream.jobmanager.checkpointing.settings import CheckpointSettings, keeps_checkpoints
from millstream.jobmanager.checkpointing.store import CheckpointStore, read_checkpoint
from millstream.jobmanager.ending import remove_leavings
from millstream.jobmanager.former_jobs import FormerJobs, failed_result
from millstream.jobmanager.ha.job_store import JobStore, Recovered
from millstream.jobmanager.ha.leadership import Leadership
from millstream.jobmanager.job_master import JobMaster
from millstream.jobmanager.job_names import meant_by
from millstream.jobmanager.taskmanagers import TaskManagers
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2, jobmanager_pb2

log = logging.getLogger("millstream.jobmanager")

UPLOAD_GRACE_MS: Final = 10 * 60 * 1000
"""Between the upload of a job's blobs and its submission."""


class Jobs:
    """Running jobs and the last ended ones."""

    def __init__(
        self,
        taskmanagers: TaskManagers,
        blobs: BlobStore,
        clock: Clock,
        secret: ClusterSecret,
        slot_timeout_s: float,
        slots_max: int | None,
        history_max: int,
        checkpoint_root: str,
        cluster: Mapping[str, Any],
        generator: random.Random,
        store: JobStore,
        leadership: Leadership,
    ) -> None:
        self.masters: dict[JobId, JobMaster] = {}
        self.former = FormerJobs()
        self._taskmanagers = taskmanagers
        self._blobs = blobs
        self._clock = clock
        self._secret = secret
        self._slot_timeout_s = slot_timeout_s
        self._slots_max = slots_max
        self._history_max = history_max
        self._checkpoint_root = checkpoint_root
        self._cluster = cluster
        self._random = generator
        self._store = store
        self._leadership = leadership
        self._accepting: dict[str, asyncio.Task[str]] = {}
        taskmanagers.on_lost = self._lost
        taskmanagers.on_slots = self.start_waiting

    async def submit(self, graph: job_graph_pb2.JobGraph) -> str:
        """Accept a job; returns a warning, empty if there is none. Submitting the same job again changes nothing.

        Raises ``JobGraphError``, ``InsufficientSlotsError`` when the job can never run here, ``CheckpointError``
        when it cannot start from the savepoint it names, ``ExternalError`` when it cannot be kept.
        """
        if graph.job_id in self.masters or graph.job_id in self.former.results:
            return ""
        accepting = self._accepting.get(graph.job_id)
        if accepting is None:
            accepting = self._accepting[graph.job_id] = asyncio.get_running_loop().create_task(self._accept(graph))
            accepting.add_done_callback(lambda _: self._accepting.pop(graph.job_id))
        return await seen_through(accepting)

    async def _accept(self, graph: job_graph_pb2.JobGraph) -> str:
        self._check(graph)
        self._complete(graph)
        master = self._master(graph)
        needed = master.placement.slots_needed
        if self._slots_max is not None and needed > self._slots_max:
            raise InsufficientSlotsError(
                f"job {graph.name!r} needs {needed} slots, but this cluster can never have more than {self._slots_max} "
                f"(slotmanager.number-of-slots.max). Lower the parallelism, or raise the limit."
            )
        if graph.restore_path:
            manifest = self._savepoint_of(graph)
            redistribute(graph, manifest, graph.restore_path, graph.allow_non_restored_state)
            refuse_changed(compare_state(graph, manifest, graph.restore_path))
        if self._store.keeps_jobs:
            await asyncio.to_thread(self._store.accept, graph, master.machine.story.started_ms)
        namesakes = [other.job_id for other in self.running() if other.graph.name == graph.name]
        self.masters[master.job_id] = master
        self._forget_old()
        master.try_start()
        if namesakes:
            return f"another job named {graph.name!r} is running: {', '.join(namesakes)}. Tell them apart by id."
        return ""

    def _master(self, graph: job_graph_pb2.JobGraph, submitted_ms: int = 0) -> JobMaster:
        return JobMaster(
            graph,
            self._taskmanagers,
            self._blobs,
            self._clock,
            self._secret.job_token(graph.job_id),
            self._slot_timeout_s,
            self._root_for(graph),
            self._cluster,
            self._random,
            self._store,
            self._leadership,
            submitted_ms,
        )

    async def recover(self, found: Recovered, timeout_s: float) -> None:
        """Go on with what a former leader left; ``timeout_s``: how long to wait for subtasks that still run.

        Before anybody is served. Raises ``FencedError``, ``ExternalError`` of the job store.
        """
        for result in found.results:
            self.former.add(result)
        for stored in found.jobs:
            try:
                master = self._master(stored.graph, stored.submitted_ms)
            except MillstreamError as error:
                result = failed_result(stored, error, self._clock.wall_ms())
                await asyncio.to_thread(self._store.end, result)
                await asyncio.to_thread(self._store.forget, JobId(stored.graph.job_id))
                self.former.add(result)
                continue
            self.masters[master.job_id] = master
            master.take_over(stored, timeout_s)
        for graph in found.to_clean:
            await asyncio.to_thread(self._clean, graph)

    def _clean(self, graph: job_graph_pb2.JobGraph) -> None:
        """The job has ended, and its leader died before it had removed everything."""
        result = self.former.results.get(JobId(graph.job_id))
        status = JobStatus.FINISHED if result is None else JobStatus(result.summary.status)
        keep = keeps_checkpoints(status, CheckpointSettings.of_job(graph.configuration))
        try:
            storage = open_storage(location_of(self._root_for(graph), graph.job_id), self._cluster)
        except MillstreamError as error:
            log.warning("job %s has ended, and its checkpoints cannot be removed: %s", graph.job_id, error)
            return
        remove_leavings(JobId(graph.job_id), CheckpointStore(storage), keep, self._store)

    def compare_state(self, graph: job_graph_pb2.JobGraph) -> jobmanager_pb2.StateComparison:
        """What the job would start with. Blocks. Raises ``CheckpointError`` for a savepoint that cannot be read."""
        if not graph.restore_path:
            raise UserError(f"job {graph.name!r} starts without state: {options.STATE_RECOVERY_PATH.key} is not set")
        return compare_state(graph, self._savepoint_of(graph), graph.restore_path)

    def find(self, text: str) -> JobMaster:
        """By id, by a unique prefix of it, or by a unique name. Raises ``UserError`` that lists the candidates."""
        candidates = self._named(text)
        if len(candidates) == 1:
            return candidates[0]
        if not candidates:
            self.former.refuse(text)
            raise UserError(f"there is no job {text!r}. `millstream list --all` shows those there are.")
        ids = ", ".join(f"{master.job_id} ({master.status})" for master in candidates)
        raise UserError(f"{text!r} names {len(candidates)} jobs: {ids}. Use the id.")

    def result_of(self, text: str) -> jobmanager_pb2.JobDetails | None:
        """What is left of a job that ended under a former leader. None: ``text`` names one of this leader, or none."""
        return None if self._named(text) else self.former.find(text)

    def _named(self, text: str) -> list[JobMaster]:
        """Of several with the name ``text`` those that have not ended, if there are any."""
        names = {job_id: master.graph.name for job_id, master in self.masters.items()}
        meant = [self.masters[job_id] for job_id in meant_by(text, names)]
        return [m for m in meant if m.graph.name == text and not m.status.is_terminal_state()] or meant

    def running(self) -> list[JobMaster]:
        return [master for master in self.masters.values() if not master.status.is_terminal_state()]

    def run_tables(self) -> bool:
        """Whether a job of SQL or tables runs, or waits to."""
        return any(is_of_tables(master.graph.configuration) for master in self.running())

    def start_waiting(self) -> None:
        """Slots may have become free: the longest waiting job goes first."""
        for master in list(self.masters.values()):
            master.try_start()

    def check_slots(self) -> None:
        """Called now and then."""
        for master in self.running():
            master.check_slots()
        self._free_strays()

    def registered(self, request: jobmanager_pb2.RegisterTaskManagerRequest) -> None:
        """A TaskManager is new here: what it has of jobs of a former leader goes on, or is given back."""
        taskmanager = TaskManagerId(request.taskmanager_id)
        subtasks: dict[int, list[jobmanager_pb2.KnownSubtask]] = {}
        for known in request.subtasks:
            subtasks.setdefault(known.slot, []).append(known)
        for report in request.slots:
            slot = self._taskmanagers.pool.find(SlotId(taskmanager, report.index))
            if slot is None or not report.job_id:
                continue
            master = self.masters.get(JobId(report.job_id))
            if master is not None and master.takeover is not None:
                own = [
                    known for known in subtasks.get(report.index, []) if known.report.subtask.job_id == report.job_id
                ]
                master.takeover.found(slot, own)
        self._free_strays()

    def _free_strays(self) -> None:
        """A TaskManager was given up and is back with what it ran, or an order to free a slot was lost."""
        for slot in self._taskmanagers.pool.strays():
            master = self.masters.get(JobId(slot.reported_job))
            if master is None:
                self._taskmanagers.give_back(slot)
            elif master.takeover is None:
                master.give_back(slot.slot_id)

    def _savepoint_of(self, graph: job_graph_pb2.JobGraph) -> checkpoint_pb2.CheckpointManifest:
        return read_checkpoint(open_storage(graph.restore_path, self._cluster))

    def _root_for(self, graph: job_graph_pb2.JobGraph) -> str:
        """Where the job asks its checkpoints to be, else where this cluster keeps them."""
        asked = json.loads(graph.configuration.get(options.CHECKPOINTING_DIRECTORY.key, "null"))
        return LocationKind().parse(asked) if asked else self._checkpoint_root

    def _complete(self, graph: job_graph_pb2.JobGraph) -> None:
        """What the job leaves open is as this cluster has it."""
        for key, value in self._cluster.items():
            if key.startswith(OF_CLUSTER_UNLESS_OF_JOB) and key not in graph.configuration:
                graph.configuration[key] = json.dumps(value)

    def _lost(self, taskmanager: TaskManagerId, error: MillstreamError) -> None:
        for master in self.running():
            master.taskmanager_lost(taskmanager, error)

    def _check(self, graph: job_graph_pb2.JobGraph) -> None:
        if graph.format_version != PAYLOAD_FORMAT:
            raise JobGraphError(
                f"job {graph.name!r} was made for payload format {graph.format_version or 'none'}, this cluster reads "
                f"format {PAYLOAD_FORMAT}. Use the same release of Millstream on both sides."
            )
        ours = f"{sys.version_info.major}.{sys.version_info.minor}"
        if graph.python_version != ours:
            raise JobGraphError(
                f"job {graph.name!r} was made by Python {graph.python_version or 'unknown'}, this cluster runs "
                f"Python {ours}. Functions travel as bytecode, so both sides need the same minor version."
            )
        if not graph.job_id or not graph.vertices:
            raise JobGraphError("a job needs an id and at least one vertex")
        for vertex in graph.vertices:
            if not 0 < vertex.parallelism <= vertex.max_parallelism:
                raise JobGraphError(
                    f"vertex {vertex.name!r} has parallelism {vertex.parallelism} and max parallelism "
                    f"{vertex.max_parallelism}; the first must be between 1 and the second"
                )
        missing = [key for key in blob_keys(graph) if not self._blobs.has(key)]
        if missing:
            raise JobGraphError(f"job {graph.name!r} refers to blobs that were not uploaded: {', '.join(missing)}")

    def _forget_old(self) -> None:
        ended = [job_id for job_id, master in self.masters.items() if master.status.is_terminal_state()]
        for job_id in ended[: max(0, len(ended) - self._history_max)]:
            del self.masters[job_id]
        needed = {key for master in self.running() for key in blob_keys(master.graph)}
        self._blobs.retain_only(needed, self._clock.wall_ms() - UPLOAD_GRACE_MS)
