"""Running the command as users do, and finding what it left behind."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

MILLSTREAM = [sys.executable, "-m", "millstream.client.cli.main"]
DEADLINE_S = 60.0


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Without settings of the surroundings; temporary files below ``home``, where leftovers are seen."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MILLSTREAM_")}
    temporary = home / "tmp"
    temporary.mkdir(exist_ok=True)
    return inherited | {"HOME": str(home), "TMPDIR": str(temporary)} | variables


def millstream(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(
        [*MILLSTREAM, *arguments],
        cwd=home,
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        stdin=subprocess.DEVNULL,
    )


def start(home: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    """Start and return; the caller ends it."""
    return subprocess.Popen(
        [*MILLSTREAM, *arguments],
        cwd=home,
        env=environment(home, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def wait_until(holds: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Poll; fail with ``what`` at the deadline."""
    end_s = time.monotonic() + deadline_s
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < end_s, f"not within {deadline_s} s: {what}"
        pause.wait(0.02)


def processes_of(home: Path) -> list[psutil.Process]:
    """Live processes with ``home`` in their environment: everything that a test started, whoever its parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.pid != os.getpid() and process.environ().get("HOME") == str(home)
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def kill_leftovers(home: Path) -> list[str]:
    """End what still runs; returns its command lines."""
    leftovers = []
    for process in processes_of(home):
        try:
            leftovers.append(" ".join(process.cmdline()))
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return leftovers


def assert_nothing_left(home: Path) -> None:
    """No process, no temporary file."""
    wait_until(lambda: not processes_of(home), f"processes end: {[p.cmdline() for p in processes_of(home)]}", 15)
    left = [str(path) for path in (home / "tmp").glob("millstream-*")]
    assert not left, f"temporary files: {left}"
