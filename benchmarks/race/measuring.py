"""Runs a schedule of faults against one system and measures each."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from race.output import Output
from race.schedule import Fault
from race.system import System

T = TypeVar("T")

ASK_INTERVAL_S: Final = 0.05
RECOVERY_TIMEOUT_S: Final = 180.0
CHECKPOINTS_BETWEEN: Final = 2
"""The system has to complete so many before the next fault."""
REST_S: Final = 5.0
"""A process that was started for one that was killed has this time to load what it needs."""


@dataclass(frozen=True)
class Recovery:
    """What one fault cost; seconds since the fault."""

    system: str
    timeouts: str
    kind: str
    noticed_s: float
    output_s: float
    restarted: bool


@dataclass(frozen=True)
class Course:
    """All faults of one system with one choice of timeouts, and what its output is worth."""

    recoveries: list[Recovery]
    verdict: dict[str, int]
    load: float
    """Processes that wanted to run, the average of the last 15 minutes at the end."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def run(system: System, timeouts: str, faults: list[Fault], home: Path) -> Course:
    """Start the system below ``home``, disturb it, and end it."""
    recoveries = []
    with Output(home / "output") as output:
        try:
            system.start(home)
            system.submit(output.directory)
            for fault in faults:
                _settle(system)
                time.sleep(fault.pause_s)
                recovery = _disturb(system, timeouts, fault, output)
                print(f"  {recovery}", file=sys.stderr, flush=True)
                recoveries.append(recovery)
                system.heal()
            _settle(system)
        finally:
            system.close()
    return Course(recoveries, output.verdict(), round(os.getloadavg()[2], 1))


def _disturb(system: System, timeouts: str, fault: Fault, output: Output) -> Recovery:
    system.strike(fault.kind, fault.choice)
    struck_s = system.struck_s
    noticed_s = _until(lambda: system.noticed(fault.kind, struck_s), f"sign that {fault.kind} was noticed")
    first_s = _until(lambda: output.first_after(noticed_s), f"output after {fault.kind}")
    return Recovery(
        system.name,
        timeouts,
        fault.kind,
        round(noticed_s - struck_s, 3),
        round(first_s - struck_s, 3),
        system.restarted(struck_s),
    )


def _settle(system: System) -> None:
    """Until everything runs and is warm, and has been so for some checkpoints and some seconds."""
    _until(system.is_steady, "a steady state")
    before = system.checkpoints()
    _until(lambda: system.checkpoints() >= before + CHECKPOINTS_BETWEEN, "checkpoints")
    time.sleep(REST_S)
    _until(system.is_steady, "a steady state")


def _until(found: Callable[[], T | None], what: str) -> T:
    deadline_s = time.monotonic() + RECOVERY_TIMEOUT_S
    while not (answer := found()):
        if time.monotonic() > deadline_s:
            raise SystemExit(f"no {what} within {RECOVERY_TIMEOUT_S:g} s")
        time.sleep(ASK_INTERVAL_S)
    return answer
