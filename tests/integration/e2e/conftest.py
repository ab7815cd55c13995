"""Runs `millstream` as a user would: a process of its own, in an empty directory, with an empty home."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "home").mkdir()
    return Shell(tmp_path)


@pytest.fixture
def run_job(shell: Shell) -> Callable[..., Outcome]:
    return shell.run_job
