"""The ways to run one test: how rows are cut into batches, and whether the operator is replaced after every step.

An operator that gives different results in two of these modes would give different results in a cluster from one run
to the next.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from millstream.testing.harness import OperatorHarness

HarnessT = TypeVar("HarnessT", bound="OperatorHarness")


@dataclass(frozen=True)
class RunMode:
    """``batch_rows``: rows of a batch, None for whatever is pushed at once; ``seed`` cuts at random instead."""

    batch_rows: int | None = None
    seed: int | None = None
    restore_each_step: bool = False
    """Snapshot after every step, and continue in a new instance restored from it."""
    back_pressure: bool = False
    """The output is full at about every other step: input waits until there is room, or until somebody looks."""
    parallelisms: tuple[int, ...] = ()
    """Of a ``ParallelHarness``: after each step it goes on with the next of these numbers of subtasks, in a circle."""

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
    RunMode(seed=4, restore_each_step=True, back_pressure=True),
)
"""All rows at once, one by one, cut at random; also with a new instance after every step, and with back-pressure."""

RESCALING_MODES: Final = (
    RunMode(),
    RunMode(restore_each_step=True),
    RunMode(batch_rows=1, parallelisms=(4, 2)),
    RunMode(parallelisms=(4, 2, 1, 2)),
    RunMode(seed=5, parallelisms=(1, 2, 4, 2)),
    RunMode(seed=6, parallelisms=(3, 5), back_pressure=True),
)
"""For a ``ParallelHarness`` of two subtasks: twice and half as many after every step."""


def run_in_all_modes(
    new_harness: Callable[[RunMode], HarnessT],
    script: Callable[[HarnessT], Any],
    modes: tuple[RunMode, ...] = ALL_MODES,
) -> HarnessT:
    """Run ``script`` on a new harness in each mode and demand equal results. Returns the (closed) first harness.

    ``new_harness(mode)`` makes a harness with functions of its own. Raises ``AssertionError`` naming the mode.
    """
    first: HarnessT | None = None
    for mode in modes:
        with new_harness(mode) as harness:
            script(harness)
        if first is None:
            first = harness
            continue
        results = harness.results()
        for what, expected in first.results().items():
            if expected != results[what]:
                raise AssertionError(
                    f"{what} in {mode} differ from those in {modes[0]}:\n  {results[what]}\n  {expected}"
                )
    assert first is not None, "no modes given"
    return first
