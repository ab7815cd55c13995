"""Runs catchers with a bug and without."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from millstream.core.clock import SystemClock
from tests.bugbank.bug import ROOT, VARIABLE, Bug, Catcher

PLANTED: Final = Path(__file__).with_name("planted")
GRACE_S: Final = 15.0
TOLD_MAX: Final = 200


@dataclass(frozen=True)
class Run:
    """``told``: the line of the output that says why it failed; empty when it is for another reason."""

    failed: bool
    told: str
    seconds: float
    output: str


@dataclass(frozen=True)
class Verdict:
    """Whether a bug was caught, by whom, and if not, why not."""

    bug: Bug
    catcher: Catcher | None
    seconds: float
    told: str


class Suspects:
    """Catchers must pass where there is no bug: each is run so once, however many bugs it catches."""

    def __init__(self) -> None:
        self._clean: dict[Catcher, Run] = {}

    def clean(self, catcher: Catcher) -> Run:
        """Without any bug."""
        command = Catcher("", catcher.arguments, "", catcher.timeout_s)
        if command not in self._clean:
            self._clean[command] = run(catcher, None)
        return self._clean[command]

    def judge(self, bug: Bug) -> Verdict:
        """Its catchers in turn, until one has caught it."""
        seconds = 0.0
        told = "it has no catcher"
        try:
            bug.planted()
        except ValueError as error:
            return Verdict(bug, None, seconds, f"it cannot be planted: {error}")
        for catcher in bug.catchers:
            clean = self.clean(catcher)
            if clean.failed:
                told = f"{catcher.name} fails without the bug: {_end(clean.output)}"
                continue
            with_bug = run(catcher, bug)
            seconds += with_bug.seconds
            if with_bug.failed and with_bug.told:
                return Verdict(bug, catcher, seconds, with_bug.told)
            told = f"{catcher.name} fails for another reason: {_end(with_bug.output)}"
            if not with_bug.failed:
                told = f"{catcher.name} passes with the bug"
        return Verdict(bug, None, seconds, told)


def run(catcher: Catcher, bug: Bug | None) -> Run:
    """In a process group of its own, which ends with it. A run that takes too long has failed."""
    clock = SystemClock()
    started_s = clock.monotonic_s()
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if bug is not None:
        paths = os.pathsep.join(filter(None, (str(PLANTED), os.environ.get("PYTHONPATH"))))
        environment |= {VARIABLE: bug.name, "PYTHONPATH": paths}
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            [sys.executable, *catcher.arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        timed_out = False
        try:
            process.wait(catcher.timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            _end_group(process)
        except BaseException:
            _end_group(process)
            raise
        output.seek(0)
        text = output.read() + ("\nTimeout: it was still running" if timed_out else "")
    return Run(timed_out or process.returncode != 0, _reason(catcher, text), clock.monotonic_s() - started_s, text)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Clusters that it has started, in groups of their own, end when they see that it has gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _reason(catcher: Catcher, text: str) -> str:
    found = re.search(catcher.reason, text)
    if found is None:
        return ""
    start = text.rfind("\n", 0, found.start()) + 1
    line = text[start:].partition("\n")[0].strip()
    return line[:TOLD_MAX]


def _end(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-3:])[-TOLD_MAX:]


def table(verdicts: Iterable[Verdict]) -> str:
    """One line a bug."""
    rows = [
        (verdict.bug.name, verdict.catcher.name if verdict.catcher else "NOT CAUGHT", f"{verdict.seconds:.0f} s")
        for verdict in verdicts
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
