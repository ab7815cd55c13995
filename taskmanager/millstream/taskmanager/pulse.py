"""Decides which slot process hangs, from its signs of life. Pure: rounds in, a verdict out.

The TaskManager looks once an interval. It counts rounds instead of reading a clock, so that time in which it stood
still itself, with its whole machine perhaps, does not count against its slots.

A process that was stopped by a signal shows that in ``/proc``: it has ``heartbeat.timeout`` to come back. One that runs
and is silent may be in a long call of native code that keeps Python's lock, such as the sorting of a huge list: it gets
``SILENCE_S_MIN``, whatever the setting. One that is held by a debugger is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

SILENCE_S_MIN: Final = 50.0
STOPPED, TRACED = "T", "t"


@dataclass(frozen=True)
class Verdict:
    """Kill the process. ``end`` is how the JobManager counts that, ``reason`` goes on from "slot 1 of ... "."""

    end: str
    reason: str


class Pulse:
    """Of one slot process."""

    def __init__(self, interval_s: float, timeout_s: float) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._heard = True
        self._silent_rounds = 0

    def beat(self) -> None:
        """It gave a sign of life."""
        self._heard = True

    def silence_s(self) -> float:
        """For how long it has given none."""
        return self._silent_rounds * self._interval_s

    def look(self, pid: int) -> Verdict | None:
        """Once an interval."""
        self._silent_rounds = 0 if self._heard else self._silent_rounds + 1
        self._heard = False
        return self.verdict(state_of(pid)) if self.silence_s() >= self._timeout_s else None

    def verdict(self, state: str) -> Verdict | None:
        """``state`` is the letter that ``/proc`` has for the process."""
        silence_s = self.silence_s()
        if state == STOPPED and silence_s >= self._timeout_s:
            return Verdict(
                "SIGSTOP",
                f"was frozen for {silence_s:g} s (heartbeat.timeout is {self._timeout_s:g} s), and killed: somebody "
                f"stopped its process by a signal",
            )
        bound_s = max(self._timeout_s, SILENCE_S_MIN)
        if state != TRACED and silence_s >= bound_s:
            return Verdict(
                "a hang",
                f"gave no sign of life for {silence_s:g} s (the bound is {bound_s:g} s), and was killed: a call of "
                f"native code may hold up Python, such as a regular expression that backtracks",
            )
        return None


def state_of(pid: int) -> str:
    """The letter of its state: R, S, D, T, t, Z; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
