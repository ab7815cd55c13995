"""How many rows a task takes in one step, so that a step stays short whatever the user's functions cost.

A step ends only with its batch, and until then the slot does not look at the network, at its other tasks, or at a
cancellation. Batches of cheap functions are taken whole; a function of ten milliseconds a record gets a few records at
a time. The number starts small, doubles while steps are short, and shrinks in proportion when one was long. Time in
which other processes had the processor does not count: on a busy machine smaller batches would only cost more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

STEP_TARGET_S: Final = 0.02
ROWS_FIRST: Final = 128
ROWS_MAX: Final = 1 << 20


class StepPace:
    """``rows`` is what the next step should take."""

    def __init__(self, processor: ProcessorWait | None = None) -> None:
        self.rows = ROWS_FIRST
        self._processor = processor or ProcessorWait()

    def observe(self, rows: int, elapsed_s: float) -> None:
        """A step took ``rows`` rows and ``elapsed_s`` seconds; steps without rows say nothing."""
        if rows <= 0:
            return
        if elapsed_s > STEP_TARGET_S:
            elapsed_s -= self._processor.waited_s()
            if elapsed_s <= STEP_TARGET_S:
                return  # the wait may be of earlier steps: this one says neither that there were too many nor too few
        if elapsed_s > STEP_TARGET_S:
            self.rows = max(1, min(self.rows, int(rows * STEP_TARGET_S / elapsed_s)))
        elif elapsed_s < STEP_TARGET_S / 2 and rows * 2 > self.rows:
            self.rows = min(ROWS_MAX, self.rows * 2)


class ProcessorWait:
    """How long this thread was ready to run and did not, as Linux counts it in ``schedstat``; elsewhere never."""

    def __init__(self, schedstat: Path = Path("/proc/thread-self/schedstat")) -> None:
        self._schedstat = schedstat
        self._before_ns = 0

    def waited_s(self) -> float:
        """Since the last question; the first answer is 0."""
        try:
            now_ns = int(self._schedstat.read_bytes().split()[1])
        except (OSError, ValueError, IndexError):
            return 0.0
        before_ns, self._before_ns = self._before_ns, now_ns
        return (now_ns - before_ns) / 1e9 if before_ns else 0.0
