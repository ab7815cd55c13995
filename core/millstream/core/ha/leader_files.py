"""The records of a file lease: ``leader-<epoch>`` in a directory of this machine, the highest epoch is the leader.

A record appears whole, never changes, and its owner holds a lock of the file (``flock``) as long as it lives. The
file's time of modification is the last sign of life.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from millstream.core.ha.leader_finder import LeaderRecord

_NAME: Final = re.compile(r"leader-(\d+)")


def leader_file(directory: Path, epoch: int) -> Path:
    return directory / f"leader-{epoch}"


def epochs_in(directory: Path) -> list[int]:
    """Of all records that are kept, ascending; none when there is no such directory."""
    try:
        names = [entry.name for entry in os.scandir(directory)]
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


class LeaderFiles:
    """Finds the leader by the records; implements ``LeaderFinder``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self) -> LeaderRecord | None:
        try:
            epochs = epochs_in(self._directory)
            return LeaderRecord.decode(leader_file(self._directory, epochs[-1]).read_bytes()) if epochs else None
        except OSError:
            return None

    def close(self) -> None:
        return
