"""The faults of a race as data: the same seed gives the same schedule to every system."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

KILL_TASKMANAGER: Final = "kill TaskManager"
FREEZE_TASKMANAGER: Final = "freeze TaskManager"
KILL_SLOT: Final = "kill slot"
KILL_JOBMANAGER: Final = "kill JobManager"
KINDS: Final = (KILL_TASKMANAGER, FREEZE_TASKMANAGER, KILL_SLOT, KILL_JOBMANAGER)


@dataclass(frozen=True)
class Fault:
    """One fault: when, after the system has settled, and which of the processes that it may hit."""

    kind: str
    pause_s: float
    """So long after the last checkpoint that was waited for: faults fall anywhere between two checkpoints."""
    choice: int
    """Modulo the number of candidates."""


def schedule(seed: int, rounds: dict[str, int], interval_s: float) -> list[Fault]:
    """``rounds`` faults of each kind, in an order of their own."""
    generator = random.Random(seed)
    kinds = [kind for kind, count in rounds.items() for _ in range(count)]
    generator.shuffle(kinds)
    return [Fault(kind, generator.uniform(0, interval_s), generator.randrange(1 << 16)) for kind in kinds]
