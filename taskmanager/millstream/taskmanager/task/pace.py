"""How many rows a task takes in one step, so that a step stays short whatever the user's functions cost.

A step ends only with its batch, and until then the slot does not look at the network, at its other tasks, or at a
cancellation. Batches of cheap functions are taken whole; a function of ten milliseconds a record gets a few records at
a time. The number starts small, doubles while steps are short, and shrinks in proportion when one was long.
"""

from __future__ import annotations

from typing import Final

STEP_TARGET_S: Final = 0.02
ROWS_FIRST: Final = 128
ROWS_MAX: Final = 1 << 20


class StepPace:
    """``rows`` is what the next step should take."""

    def __init__(self) -> None:
        self.rows = ROWS_FIRST

    def observe(self, rows: int, elapsed_s: float) -> None:
        """A step took ``rows`` rows and ``elapsed_s`` seconds; steps without rows say nothing."""
        if rows <= 0:
            return
        if elapsed_s > STEP_TARGET_S:
            self.rows = max(1, min(self.rows, int(rows * STEP_TARGET_S / elapsed_s)))
        elif elapsed_s < STEP_TARGET_S / 2 and rows * 2 > self.rows:
            self.rows = min(ROWS_MAX, self.rows * 2)
