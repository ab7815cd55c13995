"""The JobManager as a process: it ends cleanly when told, and refuses settings it cannot serve with exit code 2."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from jobmanagers import SECRET, FakeTaskManager, JobManagerProcess, job, wait_until

from millstream.core.errors import UnavailableError
from millstream.proto.v1 import common_pb2, jobmanager_pb2

pytestmark = pytest.mark.integration

NewTaskManager = Callable[..., FakeTaskManager]


def assert_nothing_left(jobmanager: JobManagerProcess) -> None:
    assert list(jobmanager.temporary.iterdir()) == []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", jobmanager.port))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_jobmanager_ends_with_code_0(jobmanager: JobManagerProcess, number: int) -> None:
    assert len(list(jobmanager.temporary.iterdir())) == 1, "the blobs"
    assert jobmanager.stop(number) == 0, jobmanager.log()
    assert_nothing_left(jobmanager)


def test_a_busy_jobmanager_ends_with_code_0(jobmanager: JobManagerProcess, taskmanager: NewTaskManager) -> None:
    """Jobs run and wait, a client waits for a change, connections say nothing."""
    made = taskmanager(jobmanager, slots=1)
    made.register()
    jobmanager.submit(job(1, name="running"))
    (ref,) = made.wait_for_deployment(1)
    jobmanager.report(ref, common_pb2.SUBTASK_STATUS_RUNNING)
    jobmanager.submit(job(2, name="waiting"))
    version = jobmanager.describe("running").version
    request = jobmanager_pb2.DescribeJobRequest(job="running", known_version=version, wait_ms=30_000)
    metadata = jobmanager.peer.metadata(jobmanager.dispatcher.DescribeJob)
    waiting = jobmanager.dispatcher.DescribeJob.future(request, timeout=60, metadata=metadata)
    with socket.create_connection(("127.0.0.1", jobmanager.port)):
        jobmanager.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(grpc.RpcError):
            assert waiting.result(20).summary.status == common_pb2.JOB_STATUS_CANCELLING
        assert jobmanager.process.wait(20) == 0, jobmanager.log()
    wait_until(lambda: [cancelled.job_id for cancelled in made.cancelled] == [ref.job_id], "its job was cancelled")
    with pytest.raises(UnavailableError, match="nobody answers at 127"):
        jobmanager.describe("running")
    jobmanager.peer.close()
    assert_nothing_left(jobmanager)


def test_a_second_signal_does_not_hurt(jobmanager: JobManagerProcess) -> None:
    jobmanager.process.send_signal(signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError):
        jobmanager.process.send_signal(signal.SIGTERM)
    assert jobmanager.process.wait(20) == 0, jobmanager.log()
    jobmanager.peer.close()


def refused(home: Path, **settings: str) -> str:
    """What a JobManager that does not start says; it ends with code 2, without a traceback, and leaves nothing."""
    temporary = home / "tmp"
    temporary.mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MILLSTREAM_")}
    variables = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "MILLSTREAM_JOBMANAGER_RPC_PORT": "0",
        "MILLSTREAM_METRICS_JOBMANAGER_PORT": "0",
    } | {f"MILLSTREAM_{name}": value for name, value in settings.items()}
    ended = subprocess.run(
        [sys.executable, "-m", "millstream.jobmanager"],
        cwd=home,
        env=inherited | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr and "millstream jobmanager: " in ended.stderr
    assert list(temporary.iterdir()) == [], "temporary files"
    return ended.stderr


def test_beyond_loopback_without_a_secret_it_refuses_and_names_the_command(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    said = refused(tmp_path, JOBMANAGER_BIND_HOST="0.0.0.0", SECURITY_SECRET_FILE=str(file))
    assert "refusing to listen on 0.0.0.0" in said and f"`millstream secret create {file}`" in said
    assert not file.exists()


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o644)
    assert f"Run: chmod 600 {file}" in refused(tmp_path, SECURITY_SECRET_FILE=str(file))


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(tmp_path, JOBMANAGER_RPC_PORT=str(port), SECURITY_SECRET=SECRET)
    assert f"cannot listen on 127.0.0.1:{port}" in said and "jobmanager.rpc.port" in said


def test_a_metrics_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(tmp_path, METRICS_JOBMANAGER_PORT=str(port), SECURITY_SECRET=SECRET)
    assert str(port) in said and "metrics.jobmanager.port" in said


def test_on_loopback_a_secret_is_made_for_the_owner(start: Callable[..., JobManagerProcess], tmp_path: Path) -> None:
    file = tmp_path / "private" / "secret"
    jobmanager = start(SECURITY_SECRET="", SECURITY_SECRET_FILE=str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() not in jobmanager.log()
    assert "(this machine only)" in jobmanager.log()
