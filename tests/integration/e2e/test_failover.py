"""JobManagers die and others take over: what runs goes on, results are exact, ends are ends."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from millstream.core.api.job import JobStatus
from millstream.core.errors import CheckpointError
from millstream.datastream import StreamExecutionEnvironment
from millstream.testing import MiniCluster, SequenceSource, committed_records
from tests.integration.ha.zookeeper_server import HOW_TO_INSTALL, INSTALLED, ZooKeeperServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

KEYS: Final = 8
SETTINGS: Final = {
    "heartbeat.interval": "500 ms",
    "heartbeat.timeout": "5 s",
    "high-availability.lease-timeout": "3 s",
    "high-availability.reconciliation-timeout": "5 s",
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 1000,
    "restart-strategy.fixed-delay.delay": "50 ms",
}


@pytest.fixture
def cluster() -> Iterator[MiniCluster]:
    with MiniCluster(taskmanagers=2, slots=1, configuration=SETTINGS, jobmanagers=2) as made:
        yield made


def counting(out: Path, records_per_key: int, rate: float, interval: str = "200 ms") -> StreamExecutionEnvironment:
    """Numbered records of each key -> running count and sum -> files."""
    env = StreamExecutionEnvironment.get_execution_environment().set_parallelism(2)
    env.enable_checkpointing(interval)
    records: Any = env.from_source(SequenceSource(KEYS, records_per_key, rows_per_second=rate), None, "numbers")
    ones = records.map(lambda record: (record[0], 1, record[1]))
    counts = ones.key_by(lambda row: row[0]).reduce(lambda a, b: (a[0], a[1] + b[1], a[2] + b[2])).uid("count")
    counts.write_csv(str(out), header=False)
    return env


def check(out: Path, records_per_key: int) -> None:
    rows: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for key, count, total in (map(int, row) for row in committed_records(out, "csv")):
        rows[key].append((count, total))
    expected = [(number + 1, number * (number + 1) // 2) for number in range(records_per_key)]
    for key in range(KEYS):
        assert sorted(rows[key]) == expected, f"key {key}: {len(rows[key])} rows"


def attempts(job: Any) -> dict[tuple[str, int], int]:
    return {
        (vertex.vertex.vertex_id, subtask.index): subtask.attempt
        for vertex in job.describe().vertices
        for subtask in vertex.subtasks
    }


def slot_processes(cluster: MiniCluster) -> list[list[int]]:
    return [cluster.slots_of(number) for number in range(2)]


def wait_for_output(cluster: MiniCluster, out: Path, seen: int | None = None) -> None:
    seen = len(list(out.glob("part-*"))) if seen is None else seen
    cluster.wait_until(lambda: len(list(out.glob("part-*"))) > seen, "another committed file")


def storage_of(cluster: MiniCluster) -> Path:
    return Path(cluster.configuration.flatten()["high-availability.storageDir"])


def wait_for_ending(cluster: MiniCluster) -> None:
    """Until it is recorded; a draft of the record may be there before, with a dot in front."""
    recorded = "[!.]*.ending.*"
    cluster.wait_until(lambda: list(storage_of(cluster).rglob(recorded)), "the record of the savepoint")


def test_running_tasks_go_on_while_one_leader_after_the_other_dies(cluster: MiniCluster, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = cluster.submit(counting(out, 4000, 3000))
    wait_for_output(cluster, out)
    before = slot_processes(cluster)
    for _ in range(2):
        cluster.kill_jobmanager(cluster.leader())
        cluster.add_jobmanager()
        cluster.wait_until(lambda: job.describe().summary.status == JobStatus.RUNNING, "the job runs")
        cluster.wait_for_checkpoint(job)
        wait_for_output(cluster, out)
        assert set(attempts(job).values()) == {0} and slot_processes(cluster) == before
    job.wait()
    check(out, 4000)


def test_a_taskmanager_that_dies_with_the_leader(cluster: MiniCluster, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = cluster.submit(counting(out, 3000, 3000))
    wait_for_output(cluster, out)
    cluster.kill_taskmanager(0)
    cluster.kill_jobmanager(cluster.leader())
    cluster.add_taskmanager()
    job.wait()
    check(out, 3000)
    assert set(attempts(job).values()) == {1}


def test_a_frozen_leader_does_nothing_when_it_comes_back(cluster: MiniCluster, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = cluster.submit(counting(out, 4000, 3000))
    wait_for_output(cluster, out)
    former = cluster.leader()
    cluster.freeze_jobmanager(former)
    cluster.wait_until(lambda: cluster.leader() != former, "another leader")
    cluster.wait_until(lambda: job.describe().summary.status == JobStatus.RUNNING, "the job runs")
    wait_for_output(cluster, out)
    cluster.thaw_jobmanager(former)
    wait_for_output(cluster, out)
    job.wait()
    check(out, 4000)
    assert set(attempts(job).values()) == {0} and cluster.leader() != former


def test_a_finished_job_leaves_its_result_and_nothing_else(cluster: MiniCluster, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = cluster.submit(counting(out, 50, 100_000))
    job.wait()
    check(out, 50)
    checkpoints = Path(cluster.configuration.flatten()["execution.checkpointing.dir"])
    cluster.wait_until(lambda: not list(checkpoints.glob("*/*")), "no checkpoint is left")
    left = [file for file in storage_of(cluster).rglob("*") if file.is_file() and job.job_id in str(file)]
    assert len(left) == 1, left
    cluster.kill_jobmanager(cluster.leader())
    details = cluster.wait_until(job.describe, "the new leader knows the result")
    assert details.summary.status == JobStatus.FINISHED and details.summary.ended_ms > 0


def test_a_cancelled_job_stays_cancelled(cluster: MiniCluster, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = cluster.submit(counting(out, 100_000, 1000))
    wait_for_output(cluster, out)
    job.cancel()
    cluster.kill_jobmanager(cluster.leader())
    ended = cluster.wait_until(lambda: job.describe() if job.describe().summary.ended_ms else None, "its end")
    assert ended is not None and ended.summary.status == JobStatus.CANCELED
    cluster.wait_until(lambda: cluster.describe().slots_free == 2, "both slots are free again")


def test_a_job_that_is_being_stopped_ends_with_its_savepoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader dies when it has recorded the savepoint, and sinks have not committed what that holds."""
    monkeypatch.setenv("MILLSTREAM_FAILPOINTS", "commit.publish=delay:6000ms")
    out = tmp_path / "out"
    with MiniCluster(2, 1, SETTINGS, jobmanagers=2) as cluster, ThreadPoolExecutor(1) as beside:
        job = cluster.submit(counting(out, 2000, 1000, "1 h"))
        cluster.wait_until(lambda: job.describe().summary.status == JobStatus.RUNNING, "the job runs")
        cluster.wait_until(lambda: out.exists() and list(out.glob(".*")), "results on their way")
        stopping = beside.submit(job.stop_with_savepoint, False, str(tmp_path / "kept"))
        wait_for_ending(cluster)
        cluster.kill_jobmanager(cluster.leader())
        ended = cluster.wait_until(lambda: d if (d := job.describe()).summary.ended_ms else None, "its end")
        assert ended is not None and ended.summary.status == JobStatus.FINISHED
        (savepoint,) = (tmp_path / "kept").iterdir()
        assert stopping.result(60).result() == ended.savepoint == str(savepoint), "the next leader knows of it"
        assert not list(out.glob(".*")), "everything is committed that the savepoint holds"
        again = counting(out, 2000, 100_000)
        again.configure({"execution.state-recovery.path": str(savepoint)})
        cluster.submit(again).wait()
    check(out, 2000)


@pytest.mark.skipif(not INSTALLED, reason=HOW_TO_INSTALL)
def test_a_running_job_outlives_an_outage_of_zookeeper(tmp_path: Path) -> None:
    """Nobody leads while it lasts; subtasks run on, and nothing of what they do is lost or comes twice."""
    (tmp_path / "zookeeper").mkdir()
    out = tmp_path / "out"
    with contextlib.closing(ZooKeeperServer(tmp_path / "zookeeper")) as server:
        settings = {
            **SETTINGS,
            "high-availability.type": "zookeeper",
            "high-availability.zookeeper.quorum": server.quorum,
            "high-availability.zookeeper.client.session-timeout": "6 s",
        }
        with MiniCluster(taskmanagers=2, slots=1, configuration=settings, jobmanagers=2) as cluster:
            job = cluster.submit(counting(out, 5000, 2000))
            wait_for_output(cluster, out)
            before = attempts(job)
            server.kill()
            logs = list(cluster._cluster.directory.glob("jobmanager-*.log"))
            cluster.wait_until(lambda: any("starts over" in log.read_text() for log in logs), "nobody leads")
            server.start()
            wait_for_output(cluster, out)
            assert attempts(job) == before, "nothing was started again"
            job.wait()
    check(out, 5000)


def test_a_savepoint_can_be_started_from_though_the_job_has_failed_since(cluster: MiniCluster, tmp_path: Path) -> None:
    """The job goes back to what lies behind the savepoint, so what sinks have prepared for that stays."""
    out = tmp_path / "out"
    job = cluster.submit(counting(out, 2000, 1000, "1 h"))
    cluster.wait_until(lambda: job.status() is JobStatus.RUNNING, "the job runs")
    cluster.wait_until(lambda: out.exists() and list(out.glob(".*")), "results on their way")
    savepoint = job.trigger_savepoint(str(tmp_path / "kept")).result()
    wait_for_output(cluster, out, seen=0)
    cluster.kill_taskmanager(0)
    cluster.add_taskmanager()
    cluster.wait_until(lambda: job.describe().restarts and job.status() is JobStatus.RUNNING, "another attempt")
    job.cancel()
    cluster.wait_until(lambda: job.describe().summary.ended_ms, "its end")
    again = counting(out, 2000, 100_000)
    again.configure({"execution.state-recovery.path": savepoint})
    cluster.submit(again).wait()
    rows = {tuple(map(int, row)) for row in committed_records(out, "csv")}
    assert len(rows) == KEYS * 2000, "what the first job had committed since then comes again, and nothing is missing"


def test_a_job_that_was_being_stopped_does_not_start_again_from_before_its_savepoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its leader and all its subtasks die when the savepoint is recorded: what that holds is committed from there."""
    monkeypatch.setenv("MILLSTREAM_FAILPOINTS", "commit.publish=delay:6000ms")
    out = tmp_path / "out"
    with MiniCluster(2, 1, SETTINGS, jobmanagers=2) as cluster, ThreadPoolExecutor(1) as beside:
        job = cluster.submit(counting(out, 2000, 1000, "1 h"))
        cluster.wait_until(lambda: job.status() is JobStatus.RUNNING, "the job runs")
        cluster.wait_until(lambda: out.exists() and list(out.glob(".*")), "results on their way")
        stopping = beside.submit(job.stop_with_savepoint, False, str(tmp_path / "kept"))
        wait_for_ending(cluster)
        monkeypatch.delenv("MILLSTREAM_FAILPOINTS")
        for number in range(2):
            cluster.kill_taskmanager(number)
        cluster.kill_jobmanager(cluster.leader())
        for _ in range(2):
            cluster.add_taskmanager()
        ended = cluster.wait_until(lambda: d if (d := job.describe()).summary.ended_ms else None, "its end")
        (savepoint,) = (tmp_path / "kept").iterdir()
        with pytest.raises(CheckpointError, match=f"{savepoint}: .* may not be committed"):
            stopping.result(60)
        assert ended is not None and ended.summary.status == JobStatus.FAILED
        assert f"its savepoint {savepoint} is complete" in ended.error.message
        again = counting(out, 2000, 100_000)
        again.configure({"execution.state-recovery.path": str(savepoint)})
        cluster.submit(again).wait()
    check(out, 2000)


def test_all_processes_die_and_the_job_goes_on_from_its_last_checkpoint(cluster: MiniCluster, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = cluster.submit(counting(out, 2000, 2000))
    wait_for_output(cluster, out)
    leader = cluster.leader()
    for number in (1 - leader, leader):
        cluster.kill_jobmanager(number)
    for number in range(2):
        cluster.kill_taskmanager(number)
    cluster.add_jobmanager()
    for _ in range(2):
        cluster.add_taskmanager()
    cluster.wait_until(lambda: job.describe().summary.ended_ms, "its end", timeout_s=120)
    check(out, 2000)
