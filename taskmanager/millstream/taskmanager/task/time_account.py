"""Where a task's time goes: busy, back-pressured, or idle.

A slot runs its tasks one step at a time, so *busy* is the time inside the task's own steps: the busy times of the tasks
of one slot add up to at most one second a second. Between steps a task is *back-pressured* when it could go on but has
no room downstream, otherwise *idle*.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Waiting(enum.Enum):
    """Why a task is between steps."""

    INPUT = "input"
    OUTPUT = "output"


@dataclass
class TimeAccount:
    """All times in seconds since the task started."""

    since_s: float
    busy_s: float = 0.0
    backpressured_s: float = 0.0
    idle_s: float = 0.0
    waiting: Waiting = Waiting.INPUT

    def step(self, started_s: float, ended_s: float) -> None:
        """A step ran from ``started_s`` to ``ended_s``; what lies before it belongs to the waiting state."""
        self.settle(started_s)
        self.busy_s += ended_s - started_s
        self.since_s = ended_s

    def wait(self, now_s: float, waiting: Waiting) -> None:
        """The task is (still) waiting, from now on for ``waiting``."""
        if waiting is not self.waiting:
            self.settle(now_s)
            self.waiting = waiting

    def settle(self, now_s: float) -> None:
        """Book the time up to ``now_s`` under the current waiting state."""
        elapsed_s = max(0.0, now_s - self.since_s)
        if self.waiting is Waiting.OUTPUT:
            self.backpressured_s += elapsed_s
        else:
            self.idle_s += elapsed_s
        self.since_s = now_s
