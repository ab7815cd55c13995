"""Holds every checkpoint of a chaos job against the fold of its input up to the checkpoint's offsets.

State plus the batches in flight must be that fold, and what is committed plus what the checkpoint would commit must be
the output of that prefix: no failure is needed to see a barrier in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from millstream.core.checkpoint.manifest import MANIFEST_NAME
from millstream.core.errors import MillstreamError
from tests.chaos.job import Load
from tests.oracle.expected import Expected
from tests.oracle.held import Held, read_held
from tests.oracle.output import SinkOutput

PARALLELISMS: Final = (1, 2, 3, 4)
"""Each checkpoint is read as it was taken, and dealt out for one of these, in turn."""


@dataclass
class Checked:
    """What was looked at."""

    checkpoints: int = 0
    in_flight: int = 0
    """Records that barriers had overtaken, over all checkpoints."""
    prepared: int = 0
    """Files that would be committed, over all checkpoints."""
    problems: list[str] = field(default_factory=list)


def check_checkpoints(directories: Iterable[Path], load: Load, at_most: int | None = None) -> Checked:
    """Check the checkpoints and savepoints anywhere below ``directories``; of more than ``at_most`` about so many.

    The job must have ended: its output is compared, too.
    """
    found = sorted((path.parent for top in directories for path in top.rglob(MANIFEST_NAME)), key=_place)
    if at_most is not None and len(found) > at_most:  # neighbours tell more than others
        found = [directory for place, directory in enumerate(found) if place // 2 % -(-len(found) // at_most) == 0]
    check = _Check(load)
    for place, directory in enumerate(found):
        check.look_at(directory, None)
        check.look_at(directory, PARALLELISMS[place % len(PARALLELISMS)])
    return check.checked


class _Check:
    def __init__(self, load: Load) -> None:
        self.checked = Checked()
        self._load = load
        self._outputs = {name: SinkOutput(load, name) for name in ("counts", "windows")}
        self._included: dict[tuple[str, Path, int], set[str]] = {}
        """By sink, job and checkpoint."""
        for output in self._outputs.values():
            self.checked.problems += output.problems

    def look_at(self, directory: Path, parallelism: int | None) -> None:
        """At one checkpoint: as it was taken, or dealt out for another parallelism."""
        try:
            held = read_held(directory, self._load.keys, parallelism)
            expected = Expected(self._load, held)
            problems = expected.problems
        except MillstreamError as error:
            problems = [f"it cannot be read: {error}"]
        else:
            if parallelism is None:
                problems = problems + self._output(directory, held, expected)
        how = "" if parallelism is None else f", dealt out for parallelism {parallelism}"
        self.checked.problems += [f"{directory.name}{how}: {problem}" for problem in problems]

    def _output(self, directory: Path, held: Held, expected: Expected) -> list[str]:
        checked, problems = self.checked, []
        checked.checkpoints += 1
        checked.in_flight += held.in_flight
        checked.prepared += sum(map(len, held.prepared.values()))
        for name, emitted in (("counts", expected.counts), ("windows", expected.windows)):
            before = self._included.get((name, directory.parent, held.checkpoint_id - 1))
            if held.parent_id != held.checkpoint_id - 1:  # something between them may have been committed
                before = None
            included = self._outputs[name].compare(emitted, held.prepared.get(f"{name} sink", set()), before)
            self._included[name, directory.parent, held.checkpoint_id] = included
            problems += self._outputs[name].problems
        return problems


def _place(directory: Path) -> tuple[Path, list[int]]:
    """By job, and there by number."""
    return directory.parent, [int(number) for number in re.findall(r"\d+", directory.name)]
