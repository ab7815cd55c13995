"""Runs many cases as one job, in the four ways that must agree."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from millstream.client.connection import ClusterConnection
from millstream.client.job_client import JobClient
from millstream.client.queries.runner import ClusterRunner, planner_settings, submit_planned
from millstream.core.config import load
from millstream.core.table.connectors import TableDescription
from millstream.core.table.row_type import RowType
from millstream.sql.planner.planner import InsertPlan, Planner
from millstream.sql.planner.services import CatalogServices
from millstream.sql.planner.tables import SinkTable
from millstream.sql.session.sql_session import SqlSession
from millstream.testing import MiniCluster
from tests.differential.case import Case
from tests.differential.inputs import TABLES
from tests.differential.paced import ChangesConnector
from tests.differential.rows import Rows, applied

CHECKPOINTS: Final = 3
PARALLELISM_BEFORE: Final = 2
PARALLELISM_AFTER: Final = 3
CHECKPOINT_INTERVAL: Final = "100 ms"
ROCKSDB_MEMORY: Final = "64 kb"
"""The least that can be had."""


class Run(enum.Enum):
    """``CLEAN`` is what the others are compared with."""

    CLEAN = "clean"
    """At parallelism 1, state in memory, no checkpoint."""
    ROCKSDB = "rocksdb"
    """The same with the other backend, and with so little memory that rows of every operator go to disk."""
    RESTORED = "restored"
    """At parallelism 2, stopped with a savepoint after three checkpoints, restored at parallelism 3."""
    RESTORED_ROCKSDB = "restored-rocksdb"


@dataclass(frozen=True)
class Restoration:
    """What a restored run went through, for the suite to check that it was one."""

    checkpoints: int
    savepoint: Path
    rows_before: int
    restored_from: int


class Runner:
    """Runs packs of cases on a cluster. ``data``: where the files of the tables are."""

    def __init__(self, cluster: MiniCluster, data: Path, directory: Path) -> None:
        self._cluster = cluster
        self._data = data
        self._directory = directory
        self._number = 0
        self.restorations: list[Restoration] = []

    def run(self, cases: Sequence[Case], run: Run) -> dict[str, Rows]:
        """The rows of each case, by name. All have the same settings. Raises what the job fails with."""
        self._number += 1
        directory = self._directory / f"{self._number}-{run.value}"
        directory.mkdir()
        gate = directory / "gate"
        settings = {
            **dict(cases[0].settings),
            "state.backend.type": "rocksdb" if "rocksdb" in run.value else "memory",
            "state.backend.rocksdb.memory.fixed-per-slot": ROCKSDB_MEMORY,
        }
        if run in (Run.CLEAN, Run.ROCKSDB):
            gate.touch()
            settings["parallelism.default"] = "1"
            self._submit(cases, directory, gate, settings).wait()
        else:
            self._restored(cases, directory, gate, settings)
        return {case.name: _read(directory / case.identifier) for case in cases}

    def check(self, case: Case) -> None:
        """Plan it alone: raises what its text gets wrong."""
        with self._session([case], self._directory / "gate", dict(case.settings)) as session:
            _planner(session).plan_inserts([_insert(session, case, self._directory)])

    def _restored(self, cases: Sequence[Case], directory: Path, gate: Path, settings: dict[str, str]) -> None:
        settings["parallelism.default"] = str(PARALLELISM_BEFORE)
        settings["execution.checkpointing.interval"] = CHECKPOINT_INTERVAL
        job = self._submit(cases, directory, gate, settings)

        def checkpointed() -> int:
            details = job.describe()
            if details.summary.ended_ms:
                job.wait()
                raise AssertionError("the job ended before it was stopped: its sources did not wait")
            return max(0, details.checkpoints.completed - CHECKPOINTS + 1)

        self._cluster.wait_until(checkpointed, f"{CHECKPOINTS} checkpoints", 90)
        completed = job.describe().checkpoints.completed
        connection = ClusterConnection(self._cluster.configuration)
        try:
            taken = connection.take_savepoint(job.job_id, str(directory / "savepoints"), stop=True)
        finally:
            connection.close()
        job.wait_until_ended([])
        rows_before = sum(sum(_read(directory / case.identifier).values()) for case in cases)
        gate.touch()
        settings["parallelism.default"] = str(PARALLELISM_AFTER)
        settings["execution.state-recovery.path"] = taken.path
        restored = self._submit(cases, directory, gate, settings)
        restored.wait()
        source = restored.describe().checkpoints.restored_from
        self.restorations.append(Restoration(completed, Path(taken.path), rows_before, source))

    def _submit(self, cases: Sequence[Case], directory: Path, gate: Path, settings: dict[str, str]) -> JobClient:
        with self._session(cases, gate, settings) as session:
            inserts = [_insert(session, case, directory) for case in cases]
            job, _ = submit_planned(session, _planner(session).plan_inserts(inserts), directory.name)
            return job

    @contextmanager
    def _session(self, cases: Sequence[Case], gate: Path, settings: dict[str, str]) -> Iterator[SqlSession]:
        session = SqlSession(load(), runner=ClusterRunner())
        lines = [f"SET '{key}' = '{value}';" for key, value in settings.items()]
        wanted = sorted({table for case in cases for table in case.tables})
        lines += [TABLES[table].ddl(self._data, gate) for table in wanted]
        for _ in session.execute_script("\n".join(lines)):
            pass
        yield session


def _insert(session: SqlSession, case: Case, directory: Path) -> InsertPlan:
    """The case's query into a table of its own. What it creates is dropped again by names of its own database."""
    services = _services(session)
    if case.before:
        database = case.identifier
        tables = "default_catalog.default_database"
        lines = [f"CREATE DATABASE IF NOT EXISTS `{database}`;", f"USE `{database}`;"]
        lines += [f"CREATE VIEW IF NOT EXISTS {name} AS SELECT * FROM {tables}.{name};" for name in case.tables]
        lines += [f"{statement};" for statement in case.before]
        for _ in session.execute_script("\n".join(lines)):
            pass
        services = _services(session)
    node = Planner(services, planner_settings(session)).bind(case.query.ast)
    if case.before:
        for _ in session.execute_script("USE default_database;"):
            pass
    row = RowType(tuple(column.materialized() for column in node.row.columns))
    description = TableDescription(
        case.identifier, row.arrow_schema(), {"connector": "changes", "path": str(directory / case.identifier)}
    )
    return InsertPlan(node, SinkTable(case.identifier, row, description, ChangesConnector()))


def _services(session: SqlSession) -> CatalogServices:
    return CatalogServices(session.catalogs, batch=planner_settings(session).batch)


def _planner(session: SqlSession) -> Planner:
    return Planner(_services(session), planner_settings(session))


def _read(directory: Path) -> Rows:
    """What the files of all subtasks and attempts come to."""
    tables = [pa.ipc.open_stream(pa.OSFile(str(path))).read_all() for path in sorted(directory.glob("*.arrows"))]
    return applied(pa.concat_tables(tables)) if tables else Rows()
