"""What a job has committed: when its first file after a fault appeared, and whether all rows are right."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from race.job import PARALLELISM, ROWS_PER_SECOND

SETTLING_S: Final = 10
"""At the end of the output, where one sink may have committed more than the other when the job is stopped."""
_NUMBER: Final = re.compile(r"-?\d+")


LOOK_INTERVAL_S: Final = 0.02


class Output:
    """The directory of a sink that shows a file when it is committed, complete and under its final name.

    ``with Output(directory) as output``: a thread looks for files, since questions to a cluster may take their time.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: set[str] = set()
        self._seen: list[tuple[float, float]] = []
        """When a file was seen first, and when it was written; wall seconds."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="output", daemon=True)

    def __enter__(self) -> Output:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_INTERVAL_S):
            self._look()

    def _look(self) -> None:
        now_s = time.time()
        for path in self._files():
            if path not in self._known:
                self._known.add(path)
                self._seen.append((now_s, Path(path).stat().st_mtime))

    def first_after(self, noticed_s: float) -> float | None:
        """When the first file appeared that was written after a fault was noticed: until then, what was left might
        still write, and commit a checkpoint that was complete but for that."""
        return next((seen for seen, written in self._seen if written > noticed_s), None)

    def verdict(self) -> dict[str, int]:
        """Rows committed, and how many are missing, twice, or do not have the figures of an undisturbed run."""
        rows: list[tuple[int, ...]] = []
        for path in self._files():
            rows += [tuple(map(int, _NUMBER.findall(line))) for line in Path(path).read_text().splitlines()]
        numbers = {row[0] for row in rows}
        missing = 0
        for remainder in range(PARALLELISM):  # the numbers of one source subtask
            newest = max((n for n in numbers if n % PARALLELISM == remainder), default=0)
            sure = range(remainder, newest - SETTLING_S * ROWS_PER_SECOND, PARALLELISM)
            missing += sum(n not in numbers for n in sure)
        wrong = 0
        by_key: dict[int, list[tuple[int, ...]]] = defaultdict(list)
        for row in rows:
            by_key[row[1]].append(row)
        for of_key in by_key.values():
            total = 0
            for position, (n, _, seen, running) in enumerate(sorted(of_key, key=lambda row: row[2]), 1):
                total += n
                wrong += seen != position or running != total
        return {"rows": len(rows), "missing": missing, "doubled": len(rows) - len(numbers), "wrong": wrong}

    def _files(self) -> Iterator[str]:
        pending = [str(self.directory)]
        while pending:
            try:
                entries = list(os.scandir(pending.pop()))
            except FileNotFoundError:
                continue
            for entry in entries:
                if entry.name.startswith((".", "_")):
                    continue
                if entry.is_dir():
                    pending.append(entry.path)
                else:
                    yield entry.path
