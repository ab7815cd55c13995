"""Checkpoints and savepoints in an S3-speaking store, with a real server process."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs  # type: ignore[import-untyped]

from tests.integration.e2e.conftest import free_port, wait_for
from tests.integration.e2e.test_recovery import COUNT, check_counts

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

DIE_ONCE = """
import os, pathlib
def die_once(n):
    if n == 20_000 and not pathlib.Path(MARKER).exists():
        pathlib.Path(MARKER).touch()
        os._exit(9)
    return n % 10, 1, n
"""


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def store() -> Iterator[list[str]]:
    """The settings of a cluster whose checkpoints are in a fresh bucket."""
    port = free_port()
    command = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: answers(port), "the store to answer")
            bucket(port).mkdir("bucket")
            yield [
                part
                for setting in (
                    f"s3.endpoint=http://127.0.0.1:{port}",
                    "s3.access-key=user",
                    "s3.secret-key=word",
                    "execution.checkpointing.dir=s3://bucket/checkpoints",
                )
                for part in ("-D", setting)
            ]
        finally:
            server.kill()


def bucket(port: int) -> Any:
    return s3fs.S3FileSystem(key="user", secret="word", client_kwargs={"endpoint_url": f"http://127.0.0.1:{port}"})


def names(settings: list[str]) -> list[str]:
    port = int(settings[1].rpartition(":")[2])
    found: list[str] = bucket(port).find("bucket")
    return found


@pytest.mark.parametrize("backend", ["memory", "rocksdb"])
def test_a_slot_dies_and_nothing_is_left_in_the_store(
    shell: Any, start_cluster: Any, store: list[str], backend: str
) -> None:
    start_cluster(1, 2, *store)
    out = shell.directory / "out"
    text = DIE_ONCE.replace("MARKER", repr(str(shell.directory / "died")))
    text += COUNT.format(records=40_000, rate=10_000, out=out).replace("lambda n: (n % 10, 1, n)", "die_once")
    shell.run("run", "-q", "-p", "2", "-D", f"state.backend.type={backend}", shell.script(text)).expect(0)
    assert (shell.directory / "died").exists()
    check_counts(out, 40_000)
    wait_for(lambda: names(store) == [], "the store to be empty again")


def test_a_savepoint_in_the_store(shell: Any, start_cluster: Any, until: Any, store: list[str]) -> None:
    start_cluster(1, 3, *store)
    out = shell.directory / "out"
    script = shell.script(COUNT.format(records=60_000, rate=10_000, out=out))
    shell.run("run", "-q", "-d", "-p", "1", script).expect(0)
    until(lambda: list(out.glob("part-*")), "committed results")
    path = shell.run("stop", "count", "--savepoint", "s3://bucket/kept").expect(0).out.strip()
    assert path.startswith("s3://bucket/kept/savepoint-")
    assert "reduced" in shell.run("savepoint", "show", path, *store).expect(0).out
    shell.run("run", "-q", "-p", "3", "-D", "state.backend.type=rocksdb", "--from-savepoint", path, script).expect(0)
    check_counts(out, 60_000)
    shell.run("savepoint", "delete", path, *store).expect(0)
    wait_for(lambda: names(store) == [], "the store to be empty again")
    gone = shell.run("run", "-q", "--from-savepoint", path, script).expect(1)
    assert "there is no checkpoint in s3://bucket/kept" in gone.err


def test_a_store_that_lets_nobody_in_is_named(shell: Any, start_cluster: Any) -> None:
    start_cluster(1, 1, "-D", f"s3.endpoint=http://127.0.0.1:{free_port()}", "-D", "s3.access-key=a", "-D",
                  "s3.secret-key=b", "-D", "execution.checkpointing.dir=s3://bucket/checkpoints")  # fmt: skip
    text = COUNT.format(records=100, rate=1000, out=shell.directory / "out")
    refused = shell.run("run", "-q", shell.script(text)).expect(1)
    assert "checkpoints cannot be written to s3://bucket/checkpoints" in refused.err
    assert "not started again" in refused.err
