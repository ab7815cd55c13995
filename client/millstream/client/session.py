"""Where the jobs of this process go.

``StreamExecutionEnvironment.get_execution_environment()`` takes no arguments, so what it needs to know of the world
(settings, which cluster, whether to wait) is ambient: one ``Session`` a process. ``millstream run`` sets it before it
runs a script; a script run by plain ``python`` gets one from ``millstream.toml`` and the environment.

Without a JobManager in its settings a session starts an embedded cluster at the first job and keeps it for the next.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from millstream.client.error_report import install_hook
from millstream.client.job_client import JobClient, ShowProgress
from millstream.core.config import Configuration, find_file, load, options
from millstream.core.config.options import number_of_task_slots
from millstream.core.ha.settings import names_jobmanager

if TYPE_CHECKING:
    from millstream.client.connection import ClusterConnection
    from millstream.client.translate import TranslatedJob
    from millstream.local import LocalCluster
    from millstream.proto.v1.job_graph_pb2 import JobGraph

Warn = Callable[[str], None]
FIXED_SIZE_ORIGIN = "size of the embedded cluster"


class Session:
    """Settings, the cluster they lead to, and the jobs submitted so far. Thread-safe."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        detached: bool = False,
        show_progress: ShowProgress | None = None,
        warn: Warn | None = None,
        task_stdout: int | None = None,
    ) -> None:
        self.configuration = configuration
        self._detached = detached
        self._show_progress = show_progress
        self._warn = warn
        self._task_stdout = task_stdout
        self._lock = threading.RLock()
        self._connection: ClusterConnection | None = None
        self._cluster: LocalCluster | None = None
        self._slots_of: dict[JobClient, int] = {}

    @property
    def is_embedded(self) -> bool:
        """No JobManager is configured."""
        return not names_jobmanager(self.configuration)

    @property
    def jobs(self) -> list[JobClient]:
        """Everything submitted, oldest first."""
        return list(self._slots_of)

    def default_parallelism(self) -> int:
        """Of operators that set none: the setting, else the slots of the cluster (asked, if it is another process)."""
        configured = self.configuration[options.PARALLELISM_DEFAULT]
        if configured is not None:
            return configured
        if self.is_embedded:
            return number_of_task_slots(self.configuration)
        slots = self.connection().describe_cluster().slots_total
        return max(1, int(slots))

    def submit(self, translated: TranslatedJob) -> JobClient:
        """Send a job to the cluster."""
        with self._lock:
            slots = slots_needed(translated.graph)
            connection = self.connection(slots)
            if translated.graph.restore_path:
                self.warn(self.state_comparison(translated.graph))
            submitted = connection.submit(translated.graph, translated.blobs)
            if submitted.warning:
                self.warn(submitted.warning)
            job = JobClient(
                connection,
                submitted.job_id,
                translated.graph.name,
                detached=self._detached,
                show_progress=self._show_progress,
                check_cluster=self._cluster.check if self._cluster else None,
            )
            self._slots_of[job] = slots
            return job

    def state_comparison(self, graph: JobGraph) -> str:
        """What a job would start with of the savepoint it names, as a table; nothing is deployed."""
        from millstream.client.state_comparison import comparison_text

        compared = self.connection().compare_state(graph)
        return comparison_text(compared, allow_non_restored=graph.allow_non_restored_state)

    def warn(self, text: str) -> None:
        """Show something that is not wrong yet, where somebody looks."""
        if self._warn is not None:
            self._warn(text)

    def connection(self, slots: int = 0) -> ClusterConnection:
        """The JobManager; an embedded cluster is started, or grown by ``slots`` more, as needed."""
        with self._lock:
            if self.is_embedded:
                self._provide_cluster(slots)
            if self._connection is None:
                from millstream.client.connection import ClusterConnection  # loads gRPC while the servers start

                if self._cluster is not None:
                    self._cluster.wait_until_started()
                self._connection = ClusterConnection(
                    self._cluster.configuration if self._cluster else self.configuration
                )
            return self._connection

    def start_cluster(self) -> None:
        """Start the embedded cluster ahead of the first job, if there will be one. Does not block."""
        with self._lock:
            if self.is_embedded:
                self._provide_cluster(0)

    def close(self) -> None:
        """Close the connection and stop the embedded cluster. Jobs on another cluster go on."""
        with self._lock:
            connection, self._connection = self._connection, None
            cluster, self._cluster = self._cluster, None
        try:
            if connection is not None:
                connection.close()
        finally:
            if cluster is not None:
                cluster.close()

    def _provide_cluster(self, slots: int) -> None:
        """Its size is fixed if ``taskmanager.numberOfTaskSlots`` was set, else it grows with the jobs."""
        is_fixed = not self.configuration.is_default(options.TASKMANAGER_NUMBER_OF_TASK_SLOTS)
        size = number_of_task_slots(self.configuration)
        in_use = sum(held for job, held in self._slots_of.items() if not job.has_ended)
        needed = size if is_fixed else max(size, in_use + slots)
        if self._cluster is None:
            from millstream.local import LocalCluster

            configuration = self.configuration
            if is_fixed and configuration.is_default(options.NUMBER_OF_SLOTS_MAX):
                configuration = configuration.with_values({options.NUMBER_OF_SLOTS_MAX.key: size}, FIXED_SIZE_ORIGIN)
            self._cluster = LocalCluster(1, needed, configuration, stdout=self._task_stdout)
        self._cluster.ensure_slots(needed)


def slots_needed(graph: JobGraph) -> int:
    """One slot holds a subtask of every vertex of a sharing group: the largest parallelism of each group, summed."""
    largest: dict[str, int] = {}
    for vertex in graph.vertices:
        group = vertex.slot_sharing_group
        largest[group] = max(largest.get(group, 0), vertex.parallelism)
    return sum(largest.values())


_current: Session | None = None
_current_lock = threading.Lock()


def current_session() -> Session:
    """The session of this process, made from file and environment if nobody set one."""
    global _current
    with _current_lock:
        if _current is None:
            install_hook()
            file = find_file(os.environ, Path.cwd())
            _current = Session(load(file, os.environ))
        return _current


def set_current_session(session: Session | None) -> Session | None:
    """Make ``session`` the one that environments use from now on; None: start afresh at the next use.

    Returns the one before.
    """
    global _current
    with _current_lock:
        before, _current = _current, session
        return before
