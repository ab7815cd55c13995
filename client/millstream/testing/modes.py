"""The ways to run one test: how rows are cut into batches, and whether the operator is replaced after every step.

An operator that gives different results in two of these modes would give different results in a cluster from one run
to the next.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from millstream.testing.harness import OperatorHarness


@dataclass(frozen=True)
class RunMode:
    """``batch_rows``: rows of a batch, None for whatever is pushed at once; ``seed`` cuts at random instead."""

    batch_rows: int | None = None
    seed: int | None = None
    restore_each_step: bool = False
    """Snapshot after every step, and continue in a new instance restored from it."""

    def __post_init__(self) -> None:
        if self.batch_rows is not None and self.batch_rows < 1:
            raise ValueError(f"batch_rows is {self.batch_rows}; it must be at least 1, or None for all rows at once.")

    def cuts(self, rows: int, randomness: random.Random) -> Iterator[tuple[int, int]]:
        """The (start, stop) of each batch that ``rows`` rows are cut into."""
        start = 0
        while start < rows:
            if self.seed is not None:
                size = randomness.randint(1, rows - start)
            else:
                size = rows - start if self.batch_rows is None else self.batch_rows
            yield start, min(rows, start + size)
            start += size


ALL_MODES: Final = (
    RunMode(),
    RunMode(batch_rows=1),
    RunMode(seed=1),
    RunMode(seed=2),
    RunMode(restore_each_step=True),
    RunMode(batch_rows=1, restore_each_step=True),
    RunMode(seed=3, restore_each_step=True),
)
"""All rows at once, one by one, cut at random; each also with a new instance after every step."""


def run_in_all_modes(
    new_harness: Callable[[RunMode], OperatorHarness],
    script: Callable[[OperatorHarness], Any],
    modes: tuple[RunMode, ...] = ALL_MODES,
) -> OperatorHarness:
    """Run ``script`` on a new harness in each mode and demand equal results. Returns the (closed) first harness.

    ``new_harness(mode)`` makes a harness with functions of its own. Raises ``AssertionError`` naming the mode.
    """
    first: OperatorHarness | None = None
    for mode in modes:
        with new_harness(mode) as harness:
            script(harness)
        if first is None:
            first = harness
            continue
        for what, expected, got in (
            ("records", first.records, harness.records),
            ("side outputs", first.side_outputs, harness.side_outputs),
            ("watermarks", first.watermarks_ms, harness.watermarks_ms),
            ("late records", first.metrics.late_records_dropped, harness.metrics.late_records_dropped),
        ):
            if expected != got:
                raise AssertionError(f"{what} in {mode} differ from those in {modes[0]}:\n  {got}\n  {expected}")
    assert first is not None, "no modes given"
    return first
