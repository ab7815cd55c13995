"""Failpoints do what they were armed for, in the process and at the hit that was meant; the registry is complete."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream.core import failpoints
from millstream.core.errors import CheckpointError, ConfigError
from millstream.core.failpoints import FAILPOINTS, VARIABLE, arm, failpoint

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm("")


def run(value: str, code: str = "failpoint('files.write')\n" * 3) -> int:
    program = f"from millstream.core.failpoints import failpoint\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, VARIABLE: value}, stderr=subprocess.DEVNULL, check=False
    ).returncode


def test_every_call_is_registered_and_the_reverse() -> None:
    named: list[str] = []
    for component in ("core", "connectors", "jobmanager", "taskmanager", "client"):
        for file in sorted((ROOT / component / "millstream").rglob("*.py")):
            if "failpoint(" not in (text := file.read_text()) or file == Path(failpoints.__file__):
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint":
                    (argument,) = node.args
                    assert isinstance(argument, ast.Constant), f"{file}:{node.lineno}: the name has to be a literal"
                    named.append(str(argument.value))
    assert sorted(named) == sorted(FAILPOINTS), "each name is called at one place, and registered"
    assert all(FAILPOINTS.values())


def test_none_is_armed_by_default() -> None:
    for name in FAILPOINTS:
        failpoint(name)
    assert not failpoints._armed


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("files.write=kill", -signal.SIGKILL),
        ("files.write=kill@3", -signal.SIGKILL),
        ("files.write=kill@4", 0),
        ("files.written=kill", 0),
        ("files.written=error; files.write=error@2", 1),
        ("files.write=delay:1ms", 0),
        ("", 0),
    ],
)
def test_the_environment_arms_them(value: str, code: int) -> None:
    assert run(value) == code


def test_a_marker_makes_it_once_over_all_processes(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    value = f"files.write=kill:{marker}"
    assert run(value) == -signal.SIGKILL and marker.exists()
    assert run(value) == 0
    marker.unlink()
    assert run(value) == -signal.SIGKILL
    assert run(f"files.write=error@2:{tmp_path / 'other'}") == 1


def test_errors_are_those_of_checkpoints_or_of_disks() -> None:
    arm("files.write=error;files.written=io-error@2")
    with pytest.raises(CheckpointError, match=r"files\.write is armed"):
        failpoint("files.write")
    failpoint("files.written")
    with pytest.raises(OSError, match=r"files\.written is armed"):
        failpoint("files.written")
    failpoint("files.written")
    arm("")
    failpoint("files.write")


def test_a_share_of_the_hits() -> None:
    arm("files.write=io-error%20")
    failed = 0
    for _ in range(1000):
        try:
            failpoint("files.write")
        except OSError:
            failed += 1
    assert 100 < failed < 300


def test_a_switch_turns_it_on_and_off(tmp_path: Path) -> None:
    switch = tmp_path / "switch"
    arm(f"files.write=error?{switch};files.write=io-error@4")
    failpoint("files.write")
    switch.touch()
    with pytest.raises(CheckpointError):
        failpoint("files.write")
    switch.unlink()
    failpoint("files.write")
    with pytest.raises(OSError, match=r"files\.write"):
        failpoint("files.write")


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "files.write=kill%0",
        "files.write=kill?on",
        "files.write=die",
        "no.such=kill",
        "files.write=kill@0",
        "files.write=delay:2s",
    ],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=VARIABLE):
        arm(text)
