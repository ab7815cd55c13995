"""A leadership that tests take away, and a storage in memory that they damage."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

from millstream.core.checkpoint.storage import Part
from millstream.core.errors import FencedError


class Led:
    """``Leadership``: until ``lose``."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.lost = ""

    def check(self) -> None:
        if self.lost:
            raise FencedError(self.lost)

    def lose(self, reason: str) -> None:
        self.lost = reason

    async def wait_until_lost(self) -> str:
        raise AssertionError("nobody waits here")


class MemoryStorage:
    """``Storage`` whose files are the values of a dict, which several may share."""

    def __init__(self, files: dict[str, bytes] | None = None, location: str = "/store") -> None:
        self.location = location
        self.files = {} if files is None else files

    def write(self, path: str, parts: Iterable[Part]) -> None:
        self.files[posixpath.normpath(path)] = b"".join(parts)

    def create(self, path: str, data: bytes) -> bool:
        if posixpath.normpath(path) in self.files:
            return False
        self.write(path, [data])
        return True

    def take(self, source: Path, path: str) -> None:
        self.write(path, [source.read_bytes()])

    def fetch(self, path: str, target: Path) -> None:
        target.write_bytes(self.read(path))

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        try:
            data = self.files[posixpath.normpath(path)]
        except KeyError:
            raise FileNotFoundError(path) from None
        return data[offset:] if length is None else data[offset : offset + length]

    def size(self, path: str) -> int | None:
        data = self.files.get(posixpath.normpath(path))
        return None if data is None else len(data)

    def list(self, path: str = "") -> list[str]:
        below = f"{posixpath.normpath(path)}/" if path else ""
        return sorted({name[len(below) :].split("/")[0] for name in self.files if name.startswith(below)})

    def delete(self, path: str) -> None:
        self.files.pop(posixpath.normpath(path), None)

    def delete_tree(self, path: str = "") -> None:
        below = f"{posixpath.normpath(path)}/" if path else ""
        for name in [name for name in self.files if name.startswith(below)]:
            del self.files[name]
