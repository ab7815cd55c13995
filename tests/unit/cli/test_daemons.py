"""Identity of background processes, the state file, ports, and one start or stop at a time."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from millstream.client.daemons import (
    Daemon,
    locked,
    port_is_free,
    read_state,
    require_free_port,
    running_cluster,
    start_ticks,
    stop_cluster,
)
from millstream.core.clock import SystemClock
from millstream.core.config import Configuration, load
from millstream.core.errors import ConfigError


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    return load(overrides={"cluster.directory": str(tmp_path / "cluster")})


def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)


def write_state(directory: Path, *daemons: tuple[str, int, int]) -> None:
    directory.mkdir(exist_ok=True)
    state = {
        "address": "127.0.0.1:6123",
        "daemons": [{"role": role, "pid": pid, "started_ticks": ticks} for role, pid, ticks in daemons],
    }
    (directory / "cluster.json").write_text(json.dumps(state))


def test_a_process_is_known_by_its_start_time_too() -> None:
    own = start_ticks(os.getpid())
    assert own > 0
    assert Daemon("jobmanager", os.getpid(), own).is_running()
    assert not Daemon("jobmanager", os.getpid(), own - 1).is_running()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert start_ticks(ended.pid) == -1


def test_stopping_never_touches_a_process_that_took_over_the_id(configuration: Configuration, tmp_path: Path) -> None:
    foreign, own = sleeper(), sleeper()
    try:
        directory = tmp_path / "cluster"
        write_state(
            directory,
            ("jobmanager", own.pid, start_ticks(own.pid)),
            ("taskmanager-0", foreign.pid, start_ticks(foreign.pid) + 1),
        )
        assert running_cluster(configuration) is not None
        stopped = stop_cluster(configuration, SystemClock())
        assert stopped is not None and stopped.address == "127.0.0.1:6123"
        assert own.wait(10) == -signal.SIGTERM
        assert foreign.poll() is None
        assert read_state(directory) is None
    finally:
        foreign.kill()
        own.kill()
        foreign.wait()
        own.wait()


def test_taskmanagers_without_a_jobmanager_are_stopped_as_well(configuration: Configuration, tmp_path: Path) -> None:
    orphan = sleeper()
    try:
        write_state(
            tmp_path / "cluster", ("jobmanager", orphan.pid, 1), ("taskmanager-0", orphan.pid, start_ticks(orphan.pid))
        )
        assert running_cluster(configuration) is None
        stop_cluster(configuration, SystemClock())
        assert orphan.wait(10) == -signal.SIGTERM
    finally:
        orphan.kill()
        orphan.wait()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"address": "a:1", "daemons": [{"pid": 1}]}', "\x00"])
def test_a_damaged_state_file_means_no_cluster(configuration: Configuration, tmp_path: Path, content: str) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "cluster.json").write_text(content)
    assert running_cluster(configuration) is None


def test_a_taken_port_is_named_with_its_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not port_is_free("127.0.0.1", port)
        with pytest.raises(ConfigError, match=f"port {port} .* -D jobmanager.rpc.port=0"):
            require_free_port("127.0.0.1", port, "jobmanager.rpc.port")
    assert port_is_free("127.0.0.1", port)
    require_free_port("127.0.0.1", 0, "jobmanager.rpc.port")


def test_one_start_or_stop_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path / "x"), pytest.raises(ConfigError, match="at work"), locked(tmp_path / "x"):
        pass
    with locked(tmp_path / "x"):
        pass
