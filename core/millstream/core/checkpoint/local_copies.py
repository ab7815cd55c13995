"""Copies of state files on the TaskManager's own disk, so that a restart there need not fetch them.

A copy is never the only one: it is read only if it is whole, else the storage is asked. Copies are kept for the last
two checkpoints of each subtask.
"""

from __future__ import annotations

import json
import posixpath
import shutil
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from millstream.core.checkpoint.files import crc32c_of_file
from millstream.core.checkpoint.storage import Part, Storage, location_of

_KEPT: Final = 2
_TOLD: Final = ".json"


class LocalCopies:
    """The copies of one job below ``directory``; ``root`` is the location of the job's checkpoints."""

    def __init__(self, directory: Path, root: str) -> None:
        self._directory = directory
        self._root = root.rstrip("/")
        self._verified: set[Path] = set()
        self._kept: dict[str, deque[frozenset[Path]]] = {}

    def path_of(self, location: str) -> Path | None:
        """Where the copy of a file of the job would be; None for a file of something else."""
        name = posixpath.normpath(location) if "://" not in location else _normal_url(location)
        if not name.startswith(f"{self._root}/"):
            return None
        return self._directory / name.removeprefix(f"{self._root}/").replace("/", "+")

    def put(self, target: Path, source: Path) -> None:
        """Keep a finished file; it is not worth an error when that fails."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            self._describe(target)
        except OSError:
            target.unlink(missing_ok=True)

    def put_parts(self, target: Path, parts: Iterable[Part]) -> None:
        """The same of bytes."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as stream:
                for part in parts:
                    stream.write(part)
            self._describe(target)
        except OSError:
            target.unlink(missing_ok=True)

    def whole(self, target: Path) -> bool:
        """Whether the copy is there, and is what was written."""
        if target in self._verified:
            return True
        try:
            told = json.loads(_description(target).read_bytes())
            fits = target.stat().st_size == told["length"] and crc32c_of_file(target) == told["crc32c"]
        except (OSError, ValueError, KeyError):
            return False
        if fits:
            self._verified.add(target)
        return bool(fits)

    def keep(self, owner: str, locations: Iterable[str]) -> None:
        """A checkpoint of the subtask whose files have ``owner`` in their names consists of these; older ones go."""
        kept = self._kept.setdefault(owner, deque(maxlen=_KEPT))
        kept.append(frozenset(path for location in locations if (path := self.path_of(location)) is not None))
        wanted = frozenset().union(*kept)
        for path in self._directory.glob(f"*{owner}*") if self._directory.is_dir() else ():
            if path.suffix != _TOLD and path not in wanted:
                path.unlink(missing_ok=True)
                _description(path).unlink(missing_ok=True)
                self._verified.discard(path)

    def _describe(self, target: Path) -> None:
        told = {"length": target.stat().st_size, "crc32c": crc32c_of_file(target)}
        _description(target).write_text(json.dumps(told))


class CopyingStorage:
    """``Storage`` that keeps copies of what is written, and reads them where it can."""

    def __init__(self, storage: Storage, copies: LocalCopies) -> None:
        self.location = storage.location
        self._storage = storage
        self._copies = copies

    def write(self, path: str, parts: Iterable[Part]) -> None:
        content = list(parts)
        self._storage.write(path, content)
        target = self._target(path)
        if target is not None:
            self._copies.put_parts(target, content)

    def create(self, path: str, data: bytes) -> bool:
        return self._storage.create(path, data)

    def take(self, source: Path, path: str) -> None:
        self._storage.take(source, path)
        target = self._target(path)
        if target is not None:
            self._copies.put(target, source)

    def fetch(self, path: str, target: Path) -> None:
        copy = self._copy(path)
        if copy is None:
            self._storage.fetch(path, target)
        else:
            shutil.copyfile(copy, target)

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        copy = self._copy(path)
        if copy is None:
            return self._storage.read(path, offset, length)
        with copy.open("rb") as stream:
            stream.seek(offset)
            return stream.read() if length is None else stream.read(length)

    def size(self, path: str) -> int | None:
        return self._storage.size(path)

    def list(self, path: str = "") -> list[str]:
        return self._storage.list(path)

    def delete(self, path: str) -> None:
        self._storage.delete(path)

    def delete_tree(self, path: str = "") -> None:
        self._storage.delete_tree(path)

    def _target(self, path: str) -> Path | None:
        return self._copies.path_of(location_of(self.location, path))

    def _copy(self, path: str) -> Path | None:
        target = self._target(path)
        return target if target is not None and self._copies.whole(target) else None


def _description(target: Path) -> Path:
    return target.with_name(f"{target.name}{_TOLD}")


def _normal_url(location: str) -> str:
    scheme, path = location.split("://", 1)
    return f"{scheme}://{posixpath.normpath(path)}"
