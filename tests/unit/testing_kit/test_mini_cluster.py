"""The cluster of the test kit: results stay exact while its parts are killed, frozen and added; nothing outlives it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from millstream.client.session import current_session
from millstream.common import WatermarkStrategy
from millstream.core.api.job import JobStatus
from millstream.core.errors import UnavailableError
from millstream.datastream import StreamExecutionEnvironment
from millstream.testing import MiniCluster, SequenceSource, committed_records, compare_outputs

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

QUICK: dict[str, Any] = {
    "heartbeat.interval": "300 ms",
    "heartbeat.timeout": "1500 ms",
    "execution.checkpointing.interval": "100 ms",
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 1000,
    "restart-strategy.fixed-delay.delay": "50 ms",
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[MiniCluster]:
    with MiniCluster(2, 2, QUICK | {"io.tmp.dirs": str(tmp_path / "cluster")}) as started:
        yield started


def copy_job(source: SequenceSource, out: Path) -> StreamExecutionEnvironment:
    env = StreamExecutionEnvironment.get_execution_environment().set_parallelism(2)
    numbers = env.from_source(source, WatermarkStrategy.no_watermarks(), "numbers")
    numbers.key_by(lambda record: record.key).reduce(lambda left, right: right).write_csv(str(out), header=False)
    return env


def check(source: SequenceSource, out: Path) -> None:
    got = [(int(key), int(sequence)) for key, sequence in committed_records(out)]
    assert not (difference := compare_outputs(source.expected(), got)), difference


def test_failures_kills_and_a_freeze_cost_no_record(cluster: MiniCluster, tmp_path: Path) -> None:
    source = SequenceSource(10, 6000, rows_per_second=12_000).fail_at(2000, tmp_path / "failures", times=2)
    job = cluster.submit(copy_job(source, tmp_path / "out"), "copy")
    cluster.wait_for_checkpoint(job)
    assert (tmp_path / "cluster").exists() and cluster.describe().slots_total == 4

    killed = cluster.kill_slot(0)
    cluster.wait_until(lambda: killed not in cluster.slots_of(0) and len(cluster.slots_of(0)) == 2, "a new process")
    cluster.wait_for_checkpoint(job)

    assert cluster.add_taskmanager() == 2
    cluster.wait_for_slots(6)
    cluster.freeze_taskmanager(1)
    cluster.freeze_taskmanager(1)
    cluster.wait_for_slots(4)
    cluster.thaw(1)
    cluster.thaw(1)
    cluster.wait_for_slots(6)

    cluster.kill_taskmanager(0)
    with pytest.raises(UnavailableError, match=r"TaskManager 0 has ended.*SIGKILL"):
        cluster.slots_of(0)
    cluster.wait_for_slots(4)
    job.wait()
    assert job.describe().restarts >= 2
    assert len(list((tmp_path / "failures").iterdir())) == 2
    check(source, tmp_path / "out")


def test_it_is_where_environments_send_their_jobs_until_its_end(tmp_path: Path) -> None:
    before = current_session()
    with MiniCluster(1, 1, {"io.tmp.dirs": str(tmp_path / "cluster")}) as cluster:
        assert current_session() is not before
        env = StreamExecutionEnvironment.get_execution_environment()
        assert env.get_parallelism() == 1
        with env.from_collection([1, 2, 3]).map(lambda n: n * 2).execute_and_collect() as rows:
            assert list(rows) == [2, 4, 6]
        pids = [server.pid for server in cluster._cluster.taskmanagers]
        with pytest.raises(ValueError, match="no TaskManager 1; 1 were started"):
            cluster.kill_taskmanager(1)
        with pytest.raises(ValueError, match="TaskManager 0 has 1 slots; there is no 4"):
            cluster.kill_slot(0, 4)
        cluster.freeze_taskmanager(0)
    cluster.close()
    assert current_session() is before
    assert not any(map(psutil.pid_exists, pids))
    assert list((tmp_path / "cluster").iterdir()) == []


def test_a_trigger_file_fails_a_running_job_once(cluster: MiniCluster, tmp_path: Path) -> None:
    trigger = tmp_path / "now"
    source = SequenceSource(4, 3000, rows_per_second=8000).fail_on(trigger, kill=True)
    job = cluster.submit(copy_job(source, tmp_path / "out"))
    cluster.wait_for_checkpoint(job)
    assert job.status() is JobStatus.RUNNING
    trigger.touch()
    job.wait()
    assert not trigger.exists() and job.describe().restarts == 1
    check(source, tmp_path / "out")


def test_what_it_started_ends_with_its_process_even_when_frozen(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom millstream.testing import MiniCluster\n"
        f"cluster = MiniCluster(1, 1, {{'io.tmp.dirs': {str(tmp_path / 'cluster')!r}}}).__enter__()\n"
        "cluster.freeze_taskmanager(0)\n"
        "print(*cluster._cluster.process_ids, *cluster.slots_of(0), flush=True)\nsys.stdin.read()\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdin is not None and owner.stdout is not None
    with owner.stdin, owner.stdout:
        processes = [psutil.Process(int(word)) for word in owner.stdout.readline().split()]
        assert len(processes) == 3 and processes[1].status() == psutil.STATUS_STOPPED
        owner.send_signal(signal.SIGKILL)
        owner.wait(30)
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive and list((tmp_path / "cluster").iterdir()) == []
