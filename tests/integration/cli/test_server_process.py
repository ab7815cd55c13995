"""Servers of an embedded cluster end with their parent, also stubborn ones; what ended badly tells its story."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from processes import wait_until

from millstream.local.server_process import ServerProcess

pytestmark = pytest.mark.integration

PARENT = """
import os, sys, pathlib
from millstream.local.server_process import ServerProcess
folder, module = sys.argv[1:]
directory = pathlib.Path(folder, "private")
directory.mkdir()
server = ServerProcess(module, [folder], dict(os.environ, PYTHONPATH=folder), directory / "log", remove=directory)
print(server.pid, flush=True)
sys.stdin.read()
"""
READY = "import pathlib, sys, signal, threading, os\npathlib.Path(sys.argv[1], 'ready').write_text(str(os.getpid()))\n"
SERVERS = {
    "patient": "signal.pause()\n",
    "stubborn": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()\n",
}


def module(folder: Path, name: str, code: str) -> str:
    (folder / f"{name}.py").write_text(READY + code)
    return name


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_ends_with_its_killed_parent_and_removes_the_directory(tmp_path: Path, name: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), module(tmp_path, name, SERVERS[name])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None and parent.stdout is not None
    with parent.stdin, parent.stdout:
        pid = int(parent.stdout.readline())
        wait_until((tmp_path / "ready").exists, "the server runs")
        parent.kill()
        parent.wait()
        wait_until(lambda: not psutil.pid_exists(pid), "the server ends", 20)
        wait_until(lambda: not (tmp_path / "private").exists(), "the directory is removed", 5)


@pytest.mark.parametrize("name", SERVERS)
def test_stopping_ends_a_server_and_what_it_started(tmp_path: Path, name: str) -> None:
    code = (
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "pathlib.Path(sys.argv[1], 'child').write_text(str(child.pid))\n" + SERVERS[name]
    )
    environment = dict(os.environ, PYTHONPATH=str(tmp_path))
    server = ServerProcess(module(tmp_path, name, code), [str(tmp_path)], environment, tmp_path / "log")
    wait_until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text() != "", "the child runs")
    child = int((tmp_path / "child").read_text())
    server.ask_to_stop()
    server.stop(0.5)
    assert server.exit_code() is not None
    wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", "the child ends")


def test_the_story_of_a_server_that_ended(tmp_path: Path) -> None:
    environment = dict(os.environ, PYTHONPATH=str(tmp_path))
    name = module(tmp_path, "failing", "sys.exit('no port')\n")
    server = ServerProcess(name, [str(tmp_path)], environment, tmp_path / "log")
    wait_until(lambda: server.exit_code() is not None, "it ends")
    assert "failing (process" in server.story() and "exit code 1" in server.story() and "no port" in server.story()
    server.ask_to_stop()
    server.stop()
    server = ServerProcess(module(tmp_path, "p", "signal.pause()\n"), [str(tmp_path)], environment, tmp_path / "log")
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: server.exit_code() is not None, "it is killed")
    assert "killed by SIGKILL" in server.story()
    server.ask_to_stop()
    server.stop()
