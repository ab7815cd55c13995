"""Millstream as real processes: a ``MiniCluster`` with TaskManagers of one slot each."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from race.job import CHECKPOINT_INTERVAL_S, NUMBERS, PARALLELISM, RUNNING
from race.schedule import FREEZE_TASKMANAGER, KILL_JOBMANAGER, KILL_SLOT, KILL_TASKMANAGER

from millstream.core.api.job import JobStatus
from millstream.core.errors import MillstreamError
from millstream.table import EnvironmentSettings, TableEnvironment
from millstream.testing import MiniCluster

JOBMANAGERS: Final = 2
ASK_INTERVAL_S: Final = 0.05
_KERNELS: Final = "/numba/"
_COLUMNS: Final = "n BIGINT, k BIGINT, seen BIGINT, total BIGINT"


class MillstreamCluster:
    """``settings``: over the defaults."""

    name = "Millstream"

    def __init__(self, taskmanagers: int, settings: dict[str, str]) -> None:
        self._taskmanagers = taskmanagers
        self._settings = settings
        self._alive: set[int] = set(range(taskmanagers))
        self._frozen: set[int] = set()
        self._attempts: list[int] = []
        self._jobmanagers_killed = 0
        self.struck_s = 0.0

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self, home: Path) -> None:
        settings = {"io.tmp.dirs": str(home), "client.timeout": "1 s", **self._settings}
        self._cluster = MiniCluster(self._taskmanagers, 1, settings, jobmanagers=JOBMANAGERS)
        self._cluster.__enter__()

    def submit(self, output: Path) -> None:
        tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        settings = {
            "parallelism.default": str(PARALLELISM),
            "execution.checkpointing.interval": f"{CHECKPOINT_INTERVAL_S:g} s",
            **self._settings,
        }
        for key, value in settings.items():
            tables.get_config().set(key, value)
        tables.execute_sql(NUMBERS)
        options = f"'connector' = 'filesystem', 'format' = 'csv', 'path' = '{output}'"
        tables.execute_sql(f"CREATE TABLE running ({_COLUMNS}) WITH ({options})")
        job = tables.execute_sql(f"INSERT INTO running {RUNNING}").get_job_client()
        assert job is not None
        self._job = job

    def close(self) -> None:
        self._cluster.close()

    # -- questions --------------------------------------------------------------------------------------------------

    def is_steady(self) -> bool:
        job = self._details()
        if job is None or JobStatus(job.summary.status) is not JobStatus.RUNNING:
            return False
        if len(self._cluster.describe().taskmanagers) != self._taskmanagers:
            return False
        slots = [slot for number in self._alive for slot in self._cluster.slots_of(number)]
        return len(slots) == self._taskmanagers and all(map(_is_warm, slots))

    def checkpoints(self) -> int:
        job = self._details()
        return 0 if job is None else int(job.checkpoints.completed)

    def noticed(self, kind: str, since_s: float) -> float | None:
        job = self._details()
        if kind == KILL_JOBMANAGER:
            return None if job is None else time.time()
        changes = () if job is None else job.history
        return min((change.at_ms / 1000 for change in changes if change.at_ms / 1000 > since_s), default=None)

    def restarted(self, since_s: float) -> bool:
        while (job := self._details()) is None:
            time.sleep(ASK_INTERVAL_S)
        return _attempts(job) != self._attempts

    def _details(self) -> Any:
        try:
            return self._job.describe()
        except MillstreamError:
            return None

    # -- faults -----------------------------------------------------------------------------------------------------

    def strike(self, kind: str, choice: int) -> None:
        job = self._job.describe()
        self._attempts = _attempts(job)
        if kind == KILL_JOBMANAGER:
            leader = self._cluster.leader()
            self.struck_s = time.time()
            self._cluster.kill_jobmanager(leader)
            self._jobmanagers_killed += 1
            return
        running = sorted({task.taskmanager_id for vertex in job.vertices for task in vertex.subtasks})
        victim = self._cluster.number_of(running[choice % len(running)])
        self.struck_s = time.time()
        if kind == KILL_TASKMANAGER:
            self._cluster.kill_taskmanager(victim)
            self._alive.discard(victim)
        elif kind == FREEZE_TASKMANAGER:
            self._cluster.freeze_taskmanager(victim)
            self._frozen.add(victim)
        elif kind == KILL_SLOT:
            self._cluster.kill_slot(victim)

    def heal(self) -> None:
        for victim in self._frozen:
            self._cluster.thaw(victim)
        self._frozen.clear()
        while len(self._alive) < self._taskmanagers:
            self._alive.add(self._cluster.add_taskmanager())
        for _ in range(self._jobmanagers_killed):
            self._cluster.add_jobmanager()
        self._jobmanagers_killed = 0


def _is_warm(pid: int) -> bool:
    """Whether a slot's process has loaded what jobs of tables use."""
    try:
        return _KERNELS in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


def _attempts(job: Any) -> list[int]:
    """Of each subtask, in order."""
    return [subtask.attempt for vertex in job.vertices for subtask in vertex.subtasks]
