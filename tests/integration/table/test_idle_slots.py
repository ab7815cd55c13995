"""A TaskManager that runs nothing is ready for the jobs of its cluster, and takes over if another dies."""

from __future__ import annotations

import pytest

from millstream.table import EnvironmentSettings, TableEnvironment
from millstream.testing import MiniCluster

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

NUMBERS = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10')"
NOWHERE = "CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole')"


def test_idle_slots_load_what_tables_use_while_another_taskmanager_runs_a_job_of_tables() -> None:
    with MiniCluster(2, 1, {"heartbeat.interval": "200 ms", "heartbeat.timeout": "1 min"}) as cluster:
        before = [cluster.slots_of(number) for number in (0, 1)]
        tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        tables.get_config().set("parallelism.default", "1")
        tables.get_config().set("execution.checkpointing.interval", "200 ms")
        tables.execute_sql(NUMBERS)
        tables.execute_sql(NOWHERE)
        job = tables.execute_sql("INSERT INTO nowhere SELECT n FROM numbers").get_job_client()
        assert job is not None

        def runs_at() -> list[int]:
            subtasks = [subtask for vertex in job.describe().vertices for subtask in vertex.subtasks]
            return [cluster.number_of(subtask.taskmanager_id) for subtask in subtasks if subtask.taskmanager_id]

        busy = cluster.wait_until(runs_at, "the job is placed")[0]
        idle = 1 - busy
        cluster.wait_until(lambda: cluster.slots_of(idle) not in ([], before[idle]), "a fresh process in the idle slot")
        cluster.wait_until(lambda: cluster.describe().slots_free == 1, "the idle slot is free again")
        assert cluster.slots_of(busy) == before[busy], "the job's own process is left alone"
        cluster.kill_taskmanager(busy)
        cluster.wait_until(lambda: runs_at() == [idle], "the job goes on there")
        job.cancel()
