"""The protocol log is written only where it is asked for, by each process into its own file, and fully described."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream.core import protocol_log
from millstream.core.config.loading import environment_without_settings, load
from millstream.core.protocol_log import EVENTS, VARIABLE, divert, is_on, record

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def nobody_listens() -> Iterator[None]:
    yield
    divert(None)


def run(directory: Path | str, code: str) -> int:
    program = f"import os\nfrom millstream.core.protocol_log import name_process, record\n{code}"
    environment = {**os.environ, VARIABLE: str(directory)}
    return subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode


def lines(directory: Path) -> dict[str, list[dict[str, Any]]]:
    return {file.name: [json.loads(line) for line in file.read_text().splitlines()] for file in directory.iterdir()}


def test_every_event_is_registered_and_the_reverse() -> None:
    named: set[str] = set()
    for component in ("core", "connectors", "jobmanager", "taskmanager", "client"):
        for file in sorted((ROOT / component / "millstream").rglob("*.py")):
            if "protocol_log" not in (text := file.read_text()) or file == Path(protocol_log.__file__):
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                    "record",
                    "protocol_log.record",
                    "self._record",
                ):
                    argument = node.args[0]
                    if isinstance(argument, ast.Constant):
                        named.add(str(argument.value))
    assert named == EVENTS.keys()


def test_nothing_is_written_unasked(tmp_path: Path) -> None:
    assert not is_on()
    record("job.status", job="a", status="RUNNING")
    assert run("", "record('job.status', job='a', status='RUNNING')") == 0
    assert not list(tmp_path.iterdir())


def test_a_line_has_the_time_the_process_and_what_happened(tmp_path: Path) -> None:
    code = "name_process('jobmanager')\nfor n in (1, 2):\n  record('checkpoint.claimed', job='a', checkpoint=n)"
    assert run(tmp_path / "log", code) == 0
    ((first, second),) = lines(tmp_path / "log").values()
    assert (first["event"], first["role"], first["job"]) == ("checkpoint.claimed", "jobmanager", "a")
    assert (first["checkpoint"], second["checkpoint"]) == (1, 2)
    assert first["t"] <= second["t"] and first["pid"] == second["pid"]


def test_a_process_that_is_forked_off_has_a_file_of_its_own(tmp_path: Path) -> None:
    code = "record('job.status', n=1)\nif not os.fork():\n  record('job.status', n=2)\n  os._exit(0)\nos.wait()"
    assert run(tmp_path, code + "\nrecord('job.status', n=3)") == 0
    found = sorted([event["n"] for event in events] for events in lines(tmp_path).values())
    assert found == [[1, 3], [2]]


def test_what_was_recorded_outlives_a_kill(tmp_path: Path) -> None:
    code = "for n in range(100):\n  record('job.status', n=n)\nos.kill(os.getpid(), 9)"
    assert run(tmp_path, code) == -signal.SIGKILL
    (events,) = lines(tmp_path).values()
    assert [event["n"] for event in events] == list(range(100))


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run(tmp_path / "file", "record('job.status', n=1)") == 0


def test_events_can_be_diverted() -> None:
    taken: list[tuple[str, dict[str, Any]]] = []
    divert(lambda event, fields: taken.append((event, fields)))
    assert is_on()
    record("job.status", job="a")
    assert taken == [("job.status", {"job": "a"})]


def test_every_process_of_a_cluster_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert environment_without_settings()[VARIABLE] == str(tmp_path)
    load(environ=os.environ)
