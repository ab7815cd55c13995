"""Parts of files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FileSplit:
    """The part of ``path`` from ``start`` to ``stop``, read up to ``position``.

    For line formats the unit is a byte of the uncompressed content and the part holds the lines whose first byte lies
    in ``[start, stop)``; ``stop`` is None for "to the end". For Parquet the unit is a row group. ``position`` is
    where the next line (or row group) starts; ``skip_rows`` rows after it were emitted already.
    """

    path: str
    start: int
    stop: int | None
    position: int
    skip_rows: int = 0

    def __lt__(self, other: FileSplit) -> bool:
        """In the order of the files and of the places in them."""
        return (self.path, self.start) < (other.path, other.start)

    @property
    def split_id(self) -> str:
        return f"{self.path}:{self.start}"
