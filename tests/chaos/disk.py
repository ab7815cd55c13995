"""A small file system for checkpoints that can be filled up, and made read-only, for a while."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SIZE: Final = "256m"
CHUNK: Final = b"\0" * 2**20
ATTEMPTS: Final = 40
PAUSE_S: Final = 0.05


class SmallDisk:
    """Mounted at ``path``; see ``small_disk``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Nothing more can be written until ``recover``; others may write while this does, so it goes on to the end."""
        with self._filler.open("ab", buffering=0) as stream:
            for piece in (CHUNK, CHUNK[:4096], CHUNK[:1]):
                with suppress(_Full):
                    while True:
                        _write(stream.fileno(), piece)

    def forbid(self) -> bool:
        """Read-only until ``recover``; False if files are open for writing all the time."""
        return any(_succeeds(["mount", "-o", "remount,ro", str(self.path)]) for _ in _attempts())

    def recover(self) -> None:
        """As before. Idempotent."""
        subprocess.run(["mount", "-o", f"remount,rw,size={SIZE}", str(self.path)], check=True)
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk]:
    """``OSError`` if this machine does not let us; unmounted at the end."""
    path.mkdir()
    _mount(path)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=False)


def why_not() -> str:
    """Why there can be no such file system here; empty if there can."""
    with tempfile.TemporaryDirectory(prefix="chaos-disk-") as directory:
        try:
            with small_disk(Path(directory, "disk")) as disk:
                disk.fill()
                disk.recover()
                return "" if disk.forbid() else "a file system cannot be made read-only"
        except OSError as error:
            return str(error)


class _Full(Exception):
    """No space left."""


def _write(descriptor: int, piece: bytes) -> None:
    try:
        os.write(descriptor, piece)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _Full from None


def _mount(path: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "millstream-chaos", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise OSError("there is no mount command") from None
    if done.returncode:
        raise OSError(f"a file system in memory cannot be mounted: {done.stderr.strip()}")


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _attempts() -> Iterator[int]:
    pause = threading.Event()
    for attempt in range(ATTEMPTS):
        yield attempt
        pause.wait(PAUSE_S)
