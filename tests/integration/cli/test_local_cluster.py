"""The embedded cluster: it starts, it is private, and it ends with whoever started it."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from processes import assert_nothing_left, environment, processes_of, wait_until

from millstream.client.connection import ClusterConnection
from millstream.core.config import load
from millstream.core.errors import AuthenticationError
from millstream.local import LocalCluster

pytestmark = pytest.mark.integration

OWNER = """
import sys
from millstream.local import LocalCluster
cluster = LocalCluster(1, 1)
cluster.wait_until_started()
print(*cluster.process_ids, flush=True)
sys.stdin.read()
"""


def slots(cluster: LocalCluster) -> int:
    connection = ClusterConnection(cluster.configuration)
    try:
        return connection.describe_cluster().slots_total
    finally:
        connection.close()


def test_it_serves_its_slots_grows_and_leaves_nothing(tmp_path: Path) -> None:
    configuration = load(overrides={"io.tmp.dirs": str(tmp_path)})
    with LocalCluster(1, 2, configuration) as cluster:
        cluster.wait_until_started()
        wait_until(lambda: slots(cluster) == 2, "two slots register")
        assert stat.S_IMODE((cluster.directory / "secret").stat().st_mode) == 0o600
        assert stat.S_IMODE(cluster.directory.stat().st_mode) == 0o700
        cluster.ensure_slots(2)
        cluster.ensure_slots(3)
        wait_until(lambda: slots(cluster) == 3, "a third slot registers")
        cluster.check()
        stranger = cluster.configuration.with_values({"security.secret": "0" * 64}, "a test")
        with pytest.raises(AuthenticationError):
            ClusterConnection(stranger).describe_cluster()
        family = [process for pid in cluster.process_ids for process in psutil.Process(pid).children(recursive=True)]
    cluster.close()
    assert not [pid for pid in cluster.process_ids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_owner(home: Path, number: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert owner.stdin is not None and owner.stdout is not None
    with owner.stdin, owner.stdout:
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert len(pids) == 2 and all(psutil.pid_exists(pid) for pid in pids)
        os.kill(owner.pid, number)
        owner.wait(30)
        assert_nothing_left(home)


def test_a_process_that_dies_is_named_with_its_signal(tmp_path: Path) -> None:
    configuration = load(overrides={"io.tmp.dirs": str(tmp_path)})
    with LocalCluster(1, 1, configuration) as cluster:
        cluster.wait_until_started()
        os.kill(cluster.process_ids[0], signal.SIGKILL)

        def reported() -> bool:
            try:
                cluster.check()
            except Exception as error:
                return "millstream.jobmanager" in str(error) and "SIGKILL" in str(error)
            return False

        wait_until(reported, "the death is reported")


def test_only_its_own_processes_carry_its_home(home: Path) -> None:
    assert processes_of(home) == []
