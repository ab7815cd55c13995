"""Failures on demand, as often as wanted over all processes and all attempts of a job: files keep count."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from millstream.core.errors import ExternalError

KILLED_EXIT_CODE: Final = 9


class DeliberateFailure(ExternalError):
    """A source failed because a test wanted it to."""


@dataclass(frozen=True)
class Failure:
    """At ``at`` records: ``times`` times, each noted by a file in the directory ``path``. Without ``at``: whenever
    somebody makes the file ``path``, which is removed."""

    path: str
    kill: bool = False
    at: int | None = None
    times: int = 1

    def stop(self, position: int, stop: int) -> int:
        """Where a batch from ``position`` to ``stop`` must end at the latest: the failure comes at its record."""
        return stop if self.at is None or self.at <= position else min(stop, self.at)

    def strike(self, split_id: str, position: int) -> None:
        """Fail if it is time: ``DeliberateFailure``, or the end of this process."""
        path = Path(self.path)
        if self.at is None:
            due = _removed(path)
        else:
            due = position == self.at and any(_noted(path / f"failure-{n}", split_id) for n in range(self.times))
        if due:
            if self.kill:
                os._exit(KILLED_EXIT_CODE)
            raise DeliberateFailure(f"{split_id} fails at record {position}, as its test wants")


def _removed(file: Path) -> bool:
    """Whether it existed and this call removed it."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True


def _noted(file: Path, text: str) -> bool:
    """Whether it did not exist and this call made it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        return False
    return True
