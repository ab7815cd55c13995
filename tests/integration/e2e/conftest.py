"""Runs `millstream` as a user would: a process of its own, in an empty directory, with an empty home."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

HEADER = """
from millstream.datastream import *
env = StreamExecutionEnvironment.get_execution_environment()
"""


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    def expect(self, code: int) -> Outcome:
        assert self.code == code, f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"
        return self


class Shell:
    """``millstream ARGUMENTS`` in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {name: v for name, v in os.environ.items() if not name.startswith("MILLSTREAM_")}
        self.environment["HOME"] = str(directory / "home")
        self.command = str(Path(sys.executable).with_name("millstream"))

    def script(self, text: str, name: str = "job.py") -> str:
        (self.directory / name).write_text(HEADER + text)
        return name

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.command, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, timeout_s: float = 90.0) -> Outcome:
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Outcome(process.returncode, out, err)

    def run_job(self, text: str, *options: str) -> Outcome:
        """The program on an embedded cluster with two slots."""
        return self.run("run", "--local", "--quiet", *options, self.script(text))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        signal.sigtimedwait([], 0.05)
    raise AssertionError(f"waited {timeout_s} s for {what}")


class Cluster:
    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.settings = [
            "-D", f"jobmanager.rpc.port={free_port()}",
            "-D", "metrics.jobmanager.port=-1",
            "-D", "metrics.taskmanager.port=-1",
        ]  # fmt: skip

    def command(self, *arguments: str) -> Any:
        return self.shell.run(*arguments)

    def jobs(self) -> list[dict[str, Any]]:
        listed = self.command("list", "--all", "--output", "json").expect(0)
        found: list[dict[str, Any]] = json.loads(listed.out)
        return found

    def checkpoints(self) -> list[Path]:
        """The manifests of completed checkpoints."""
        return list(Path(self.shell.environment["HOME"]).glob(".millstream/checkpoints/*/chk-*/MANIFEST"))

    def taskmanagers(self) -> list[psutil.Process]:
        return [process for process in self.processes() if process.cmdline()[-1:] == ["millstream.taskmanager"]]

    def busy_taskmanager(self) -> psutil.Process:
        """The one whose processes have used most of the processor."""

        def used_s(process: psutil.Process) -> float:
            family = [process, *process.children(recursive=True)]
            return sum(sum(member.cpu_times()[:2]) for member in family)

        return max(self.taskmanagers(), key=used_s)

    def processes(self) -> list[psutil.Process]:
        home = str(self.shell.environment["HOME"])
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("HOME") == home:
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "home").mkdir()
    return Shell(tmp_path)


@pytest.fixture
def run_job(shell: Shell) -> Callable[..., Outcome]:
    return shell.run_job


@pytest.fixture
def start_cluster(shell: Shell) -> Iterator[Callable[..., Cluster]]:
    """``start_cluster(taskmanagers, slots, *settings)``; it ends with the test, whatever was done to its processes."""
    started: list[Cluster] = []

    def start(taskmanagers: int, slots: int, *settings: str) -> Cluster:
        cluster = Cluster(shell)
        started.append(cluster)
        numbers = ("--taskmanagers", str(taskmanagers), "--slots", str(slots))
        shell.run("cluster", "start", *numbers, *cluster.settings, *settings).expect(0)
        return cluster

    yield start
    for cluster in started:
        for process in cluster.processes():
            with contextlib.suppress(psutil.Error):
                process.resume()
        shell.run("cluster", "stop").expect(0)
        wait_for(lambda c=cluster: not c.processes(), "all processes of the cluster to end")


@pytest.fixture
def cluster(start_cluster: Callable[..., Cluster]) -> Cluster:
    return start_cluster(2, 2)


@pytest.fixture
def until() -> Callable[..., Any]:
    """``until(condition, what)`` waits for a condition with a deadline."""
    return wait_for
