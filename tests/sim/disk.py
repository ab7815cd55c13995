"""Storage that all machines see, in memory: slow, failing, and forgetful when the power goes.

A file appears whole or not at all, like behind ``LocalStorage``. What a write changed is visible at once and durable a
moment later, when the call returns; what a delete changed only after ``JOURNAL_S``, or with the next write beside it.
``lose_power`` takes back, by chance, what was not durable yet. A call whose process is killed may have changed
everything or nothing, and so may a call that fails.
"""

from __future__ import annotations

import errno
import posixpath
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.sim.loop import SimLoop
from tests.sim.worker import pause

JOURNAL_S: Final = 5.0
Folder = dict[str, Any]
"""Names to ``bytes`` or to folders."""
Observer = Callable[[str, bytes], None]


@dataclass
class _Unsynced:
    """``undo`` puts back what was there before, if nothing came over it."""

    folder: str
    durable_s: float
    undo: Callable[[], None]


@dataclass
class SimDisk:
    """``latency_s``: of a call. ``failing``: the share of calls that fail now."""

    loop: SimLoop
    random: random.Random
    latency_s: float = 0.002
    slowness: float = 1.0
    failing: float = 0.0
    on_write: list[Observer] = field(default_factory=list)
    failures: int = 0
    _root: Folder = field(default_factory=dict)
    _unsynced: list[_Unsynced] = field(default_factory=list)

    # -- faults ------------------------------------------------------------------------------------------------------

    def lose_power(self) -> int:
        """Take back what was not durable; returns how many changes were lost."""
        now_s, lost = self.loop.now_s, 0
        for change in reversed(self._unsynced):
            if change.durable_s > now_s and self.random.random() < 0.5:
                change.undo()
                lost += 1
        self._unsynced.clear()
        return lost

    def delay(self) -> None:
        pause(self.latency_s * self.slowness * self.random.uniform(0.2, 2.0))

    def trouble(self) -> None:
        """Raise, now and then, while the disk is ill."""
        if self.failing and self.random.random() < self.failing:
            self.failures += 1
            number = self.random.choice((errno.EIO, errno.ENOSPC))
            raise OSError(number, "the simulated disk fails")

    # -- files -------------------------------------------------------------------------------------------------------

    def find(self, path: str) -> Any:
        """``bytes``, a folder, or None."""
        node: Any = self._root
        for name in path.split("/"):
            if name:
                node = node.get(name) if isinstance(node, dict) else None
        return node

    def put(self, path: str, data: bytes) -> None:
        """Create or replace; visible at once, durable when ``synced``."""
        folder_path, name = posixpath.split(path)
        folder = self._folder(folder_path)
        before = folder.get(name)
        folder[name] = data

        def undo() -> None:
            if folder.get(name) is data:
                if before is None:
                    del folder[name]
                else:
                    folder[name] = before

        self._unsynced.append(_Unsynced(folder_path, self.loop.now_s + JOURNAL_S, undo))
        for observer in self.on_write:
            observer(path, data)

    def remove(self, path: str) -> None:
        """A file or a folder; it need not exist."""
        folder_path, name = posixpath.split(path)
        folder = self.find(folder_path)
        if not isinstance(folder, dict) or name not in folder:
            return
        before = folder.pop(name)
        self._unsynced.append(
            _Unsynced(folder_path, self.loop.now_s + JOURNAL_S, lambda: folder.setdefault(name, before) and None)
        )

    def synced(self, path: str) -> None:
        """The folder of a file is durable, and so is everything that was changed in it."""
        folder_path = posixpath.dirname(path)
        now_s = self.loop.now_s
        self._unsynced = [c for c in self._unsynced if c.folder != folder_path and c.durable_s > now_s]

    def _folder(self, path: str) -> Folder:
        node = self._root
        for name in path.split("/"):
            if name:
                node = node.setdefault(name, {})
        return node


class SimStorage:
    """A ``Storage`` on the simulated disk; takes the place of ``LocalStorage``."""

    disk: SimDisk
    """Of the run; set before anything opens a storage."""

    def __init__(self, root: Path) -> None:
        self.location = str(root)

    def write(self, path: str, parts: Iterable[bytes | memoryview]) -> None:
        data = b"".join(parts)
        disk, target = self._before(path)
        disk.put(target, data)
        self._after(target)

    def create(self, path: str, data: bytes) -> bool:
        disk, target = self._before(path)
        if disk.find(target) is not None:
            return False
        disk.put(target, data)
        self._after(target)
        return True

    def take(self, source: Path, path: str) -> None:
        self.write(path, [source.read_bytes()])

    def fetch(self, path: str, target: Path) -> None:
        target.write_bytes(self.read(path))

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        disk, target = self._before(path)
        found = disk.find(target)
        if not isinstance(found, bytes):
            raise FileNotFoundError(errno.ENOENT, "no such file", target)
        return found[offset:] if length is None else found[offset : offset + length]

    def size(self, path: str) -> int | None:
        disk, target = self._before(path)
        found = disk.find(target)
        return len(found) if isinstance(found, bytes) else None

    def list(self, path: str = "") -> list[str]:
        disk, target = self._before(path)
        found = disk.find(target)
        return sorted(found) if isinstance(found, dict) else []

    def delete(self, path: str) -> None:
        disk, target = self._before(path)
        disk.remove(target)

    def delete_tree(self, path: str = "") -> None:
        disk, target = self._before(path)
        disk.remove(target)

    def _before(self, path: str) -> tuple[SimDisk, str]:
        disk = self.disk
        disk.delay()
        disk.trouble()
        return disk, posixpath.normpath(posixpath.join(self.location, path))

    def _after(self, target: str) -> None:
        """Visible; now it becomes durable, or the caller never learns that."""
        self.disk.delay()
        self.disk.trouble()
        self.disk.synced(target)
