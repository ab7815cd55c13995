"""A cluster of background processes: start, use, stop; ports that are taken."""

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import assert_nothing_left, millstream, wait_until

pytestmark = pytest.mark.integration

FREE_PORTS = ["-D", "jobmanager.rpc.port=0", "-D", "metrics.jobmanager.port=0", "-D", "metrics.taskmanager.port=0"]

ENDLESS = """
from millstream.datastream import StreamExecutionEnvironment
from millstream.datastream.connectors.number_seq import NumberSequenceSource
from millstream.common import WatermarkStrategy
import time
env = StreamExecutionEnvironment.get_execution_environment()
numbers = env.from_source(NumberSequenceSource(0, 10**12), WatermarkStrategy.no_watermarks(), "numbers")
numbers.map(lambda n: time.sleep(0.01)).filter(lambda n: False).print()
env.execute("endless")
"""
COLLECT = """
from millstream.datastream import StreamExecutionEnvironment
env = StreamExecutionEnvironment.get_execution_environment()
print(env.get_parallelism(), sorted(env.from_collection([3, 1, 2]).map(lambda n: -n).execute_and_collect()))
"""


@pytest.fixture
def cluster(home: Path) -> Iterator[Path]:
    """Two TaskManagers with two slots each, in the background."""
    started = millstream(home, "cluster", "start", "--taskmanagers", "2", "--slots", "2", *FREE_PORTS)
    assert started.returncode == 0, started.stderr
    yield home
    stopped = millstream(home, "cluster", "stop")
    assert stopped.returncode == 0 and "stopped" in stopped.stdout
    assert_nothing_left(home)


def listed(home: Path, *arguments: str) -> list[dict[str, object]]:
    done = millstream(home, "list", "--output", "json", *arguments)
    assert done.returncode == 0, done.stderr
    jobs: list[dict[str, object]] = json.loads(done.stdout)
    return jobs


def test_a_started_cluster_runs_lists_and_cancels_jobs(cluster: Path) -> None:
    status = json.loads(millstream(cluster, "cluster", "status", "--output", "json").stdout)
    assert (status["slots_total"], status["slots_free"], len(status["taskmanagers"])) == (4, 4, 2)
    assert [process["running"] for process in status["processes"]] == [True, True, True]
    assert stat.S_IMODE((cluster / ".millstream" / "secret").stat().st_mode) == 0o600
    assert "TASKMANAGER" in millstream(cluster, "cluster", "status").stdout

    again = millstream(cluster, "cluster", "start", *FREE_PORTS)
    assert again.returncode == 2 and "still running at" in again.stderr

    (cluster / "collect.py").write_text(COLLECT)
    done = millstream(cluster, "run", "collect.py")
    assert (done.returncode, done.stdout) == (0, "4 [-3, -2, -1]\n"), done.stderr
    assert "Using the cluster at" in done.stderr

    (cluster / "endless.py").write_text(ENDLESS)
    submitted = millstream(cluster, "run", "--detached", "-p", "2", "endless.py")
    assert submitted.returncode == 0, submitted.stderr
    job_id = submitted.stdout.split()[-1]
    wait_until(lambda: [job["status"] for job in listed(cluster)] == ["RUNNING"], "the job runs")
    assert "endless" in millstream(cluster, "list").stdout
    unknown = millstream(cluster, "cancel", "nothing")
    assert unknown.returncode != 0 and "nothing" in unknown.stderr and "Traceback" not in unknown.stderr
    cancelled = millstream(cluster, "cancel", "endless")
    assert cancelled.stdout == f"Job {job_id} is CANCELED.\n", cancelled.stderr
    assert listed(cluster) == []
    assert {job["status"] for job in listed(cluster, "--all")} == {"FINISHED", "CANCELED"}


def test_a_taken_port_is_named_with_the_remedy_and_nothing_is_left(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = millstream(home, "cluster", "start", "-D", f"jobmanager.rpc.port={port}")
        assert done.returncode == 2
        assert f"port {port} on 127.0.0.1 is in use" in done.stderr and "-D jobmanager.rpc.port=0" in done.stderr
        alone = millstream(home, "jobmanager", "-D", f"jobmanager.rpc.port={port}", "-D", "metrics.jobmanager.port=-1")
        assert alone.returncode != 0
        assert str(port) in alone.stderr and "Traceback" not in alone.stderr
    assert_nothing_left(home)
    assert "No cluster was running" in millstream(home, "cluster", "stop").stdout


def test_an_unreachable_jobmanager_is_named_with_how_to_start_one(home: Path) -> None:
    done = millstream(home, "list", "--jobmanager", "127.0.0.1:1", "-D", "client.timeout=1 s")
    assert done.returncode == 3
    assert "127.0.0.1:1" in done.stderr and "millstream cluster start" in done.stderr
    assert "Traceback" not in done.stderr


def test_of_several_jobmanagers_another_one_goes_on_when_the_leader_dies(home: Path) -> None:
    numbers = ("--jobmanagers", "2", "--taskmanagers", "1", "--slots", "1")
    blobs = ("-D", f"blob.storage.directory={home / 'blobs'}")  # a temporary one would stay when its owner is killed
    started = millstream(home, "cluster", "start", *numbers, *blobs, *FREE_PORTS)
    assert started.returncode == 0, started.stderr
    try:
        status = json.loads(millstream(home, "cluster", "status", "--output", "json").stdout)
        processes = {process["role"]: process for process in status["processes"]}
        assert list(processes) == ["jobmanager-0", "jobmanager-1", "taskmanager-0"]
        assert len(status["address"].split(",")) == 2
        (home / "endless.py").write_text(ENDLESS)
        submitted = millstream(home, "run", "--detached", "-p", "1", "endless.py")
        assert submitted.returncode == 0, submitted.stderr
        job_id = submitted.stdout.split()[-1]
        wait_until(lambda: [job["status"] for job in listed(home)] == ["RUNNING"], "the job runs")

        leader = next(role for role, process in processes.items() if "leads now" in Path(process["log"]).read_text())
        os.kill(processes[leader]["pid"], signal.SIGKILL)
        wait_until(lambda: [job["status"] for job in listed(home)] == ["RUNNING"], "the job runs on")
        other = next(role for role in processes if role.startswith("jobmanager") and role != leader)
        assert "leads now, with epoch 2" in Path(processes[other]["log"]).read_text()
        elsewhere = millstream(home, "list", "--jobmanager", status["address"])
        assert job_id in elsewhere.stdout, elsewhere.stderr
        cancelled = millstream(home, "cancel", "endless")
        assert cancelled.stdout == f"Job {job_id} is CANCELED.\n", cancelled.stderr
    finally:
        stopped = millstream(home, "cluster", "stop")
    assert stopped.returncode == 0 and "stopped" in stopped.stdout
    assert_nothing_left(home)
