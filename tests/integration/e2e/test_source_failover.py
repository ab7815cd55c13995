"""Splits are handed out by a JobManager that dies again and again: each is read once, by readers that never stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from millstream.core.api.job import JobStatus
from millstream.datastream import StreamExecutionEnvironment
from millstream.testing import MiniCluster, committed_records

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

FILES: Final = 120
LINES: Final = 25
SETTINGS: Final = {
    "heartbeat.interval": "500 ms",
    "heartbeat.timeout": "5 s",
    "high-availability.lease-timeout": "3 s",
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.delay": "50 ms",
}


@pytest.fixture
def cluster() -> Iterator[MiniCluster]:
    with MiniCluster(taskmanagers=2, slots=1, configuration=SETTINGS, jobmanagers=2) as made:
        yield made


def slowly(line: str) -> str:
    """A user's function that asks somebody else, who takes his time."""
    threading.Event().wait(0.004)
    return line


@pytest.mark.parametrize("interval", ["200 ms", "1 h"])
def test_readers_get_each_file_once_whoever_leads(cluster: MiniCluster, tmp_path: Path, interval: str) -> None:
    files, out = tmp_path / "in", tmp_path / "out"
    files.mkdir()
    for number in range(FILES):
        (files / f"{number:03}.txt").write_text("".join(f"{number} {line}\n" for line in range(LINES)))
    env = StreamExecutionEnvironment.get_execution_environment().set_parallelism(2)
    env.enable_checkpointing(interval)
    env.read_text(str(files)).map(slowly).write_text(str(out))
    job = cluster.submit(env)

    def read() -> float:
        subtasks = [subtask for vertex in job.describe().vertices for subtask in vertex.subtasks]
        return sum(subtask.metrics.values["records_in_total"] for subtask in subtasks)

    cluster.wait_until(lambda: job.describe().summary.status == JobStatus.RUNNING, "the job runs")
    for _ in range(3):
        before = read()
        cluster.wait_until(lambda: read() > before + 5 * LINES, "some files are read")  # noqa: B023
        cluster.kill_jobmanager(cluster.leader())
        cluster.add_jobmanager()
        cluster.wait_until(lambda: job.describe().summary.status == JobStatus.RUNNING, "the job runs")
    job.wait()
    details = job.describe()
    assert details.summary.status == JobStatus.FINISHED
    assert {s.attempt for v in details.vertices for s in v.subtasks} == {0}, "no reader was started again"
    expected = [f"{number} {line}" for number in range(FILES) for line in range(LINES)]
    assert sorted(committed_records(out)) == sorted(expected)
