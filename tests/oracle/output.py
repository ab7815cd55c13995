"""What the sinks of the chaos job have written, held against what a checkpoint says of it.

Each file is part of one checkpoint and all later ones. Of the files that are visible at the end, those that a
checkpoint includes hold rows of its prefix, the others none; together the first are the output of that prefix.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from millstream.connectors.files.sink import PendingFile
from millstream.testing.outputs import committed_files
from tests.chaos.job import WINDOW_RECORDS, Load
from tests.oracle.expected import Emitted

Row = tuple[int, ...]


class SinkOutput:
    """Of one sink: ``name`` is ``counts`` or ``windows``.

    ``problems`` are those found last; at first, rows that can never be right.
    """

    def __init__(self, load: Load, name: str) -> None:
        self.problems: list[str] = []
        self._load = load
        self._name = name
        self._rows_of_window = WINDOW_RECORDS if name == "windows" else 1
        """How far apart the numbers of rows are."""
        self._files: dict[str, list[Row]] = {}
        for file in committed_files(load.directory / name):
            self._files[file.name] = self._read(file)
        wrong = [row for rows in self._files.values() for row in rows if row != self._right(row)]
        if wrong:
            self.problems.append(f"{name}: no input makes the rows {wrong[:3]}")

    def compare(self, emitted: Emitted, prepared: Iterable[PendingFile], before: set[str] | None) -> set[str]:
        """Add the problems of one checkpoint; the names of the files that it includes.

        ``emitted``: the rows of its prefix; ``prepared``: the files it would commit; ``before``: those that the
        checkpoint right before it includes, if it is known. Whatever has come since must be prepared.
        """
        problems = self.problems = []
        files = dict(self._files)
        names = {Path(pending.final).name for pending in prepared}
        included: set[str] = set()
        for pending in prepared:
            final, hidden = Path(pending.final), Path(pending.hidden)
            if final.name not in files:
                if not hidden.exists():
                    problems.append(f"{self._name}: {final.name} is neither committed nor there to be committed")
                    continue
                files[final.name] = self._read(hidden)
        found = np.zeros(emitted.shape, np.int64)
        for name, rows in files.items():
            keys, places = np.array([row[:2] for row in rows], np.int64).reshape(-1, 2).T
            places = places // self._rows_of_window
            inside = emitted[keys, places]
            if inside.any() and not inside.all():
                problems.append(f"{self._name}: {name} has rows of before the checkpoint and of after it")
            elif not inside.any() and name in names:
                problems.append(f"{self._name}: {name} is prepared, but has rows of after the checkpoint")
            elif inside.any():
                included.add(name)
            np.add.at(found, (keys[inside], places[inside]), 1)
        for what, wrong in (("lacks", emitted & (found == 0)), ("has more than once", found > 1)):
            if wrong.any():
                example = [(key, place * self._rows_of_window) for key, place in np.argwhere(wrong)[:3].tolist()]
                problems.append(f"{self._name}: the output of the prefix {what} {int(wrong.sum())} rows: {example}")
        if before is not None and (forgotten := included - before - names):
            problems.append(f"{self._name}: {sorted(forgotten)} came with this checkpoint, which would not commit it")
        return included

    def _read(self, file: Path) -> list[Row]:
        return [tuple(map(int, line.split(","))) for line in file.read_text().splitlines()]

    def _right(self, row: Row) -> Row:
        key, number = row[:2]
        if not (0 <= key < self._load.keys and 0 <= number < self._load.records_per_key):
            return ()
        if self._rows_of_window == 1:
            return key, number, number + 1, number * (number + 1) // 2
        first = number - number % WINDOW_RECORDS
        return key, first, WINDOW_RECORDS, sum(range(first, first + WINDOW_RECORDS))
