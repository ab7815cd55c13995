"""Signals to a server and everything it started. Linux only: families are read from ``/proc``."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

ENDED_STATES: Final = "ZX"
_STATE, _PARENT, _STARTED = 0, 1, 19
"""Fields of ``/proc/PID/stat`` behind the name."""
_RESUME_AT_END: Final = 'read -r _; kill -CONT "$@" 2>/dev/null; exit 0'


def children_of(pid: int) -> list[int]:
    """The process ids of its children, in order of their start; none if it has ended."""
    found = []
    for entry in Path("/proc").iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else None
        if fields is not None and int(fields[_PARENT]) == pid and fields[_STATE] not in ENDED_STATES:
            found.append((int(fields[_STARTED]), int(entry.name)))
    return [child for _, child in sorted(found)]


def family_of(pid: int) -> list[int]:
    """The process, its children, and theirs."""
    return [pid, *(member for child in children_of(pid) for member in family_of(child))]


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal each; those that have ended are left out."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class Freeze:
    """Holds processes with SIGSTOP until ``thaw``, or until this process ends, however it does.

    A shell waits for the end of a pipe that we hold; then it lets the processes go on.
    """

    def __init__(self, pids: list[int]) -> None:
        self._thawing = subprocess.Popen(
            ["/bin/sh", "-c", _RESUME_AT_END, "thaw", *map(str, pids)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        send(pids, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on. Idempotent."""
        assert self._thawing.stdin is not None
        self._thawing.stdin.close()
        self._thawing.wait()


def _stat(pid: int) -> list[str] | None:
    """The fields behind the name; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
