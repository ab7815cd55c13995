"""Writes the files of one subtask's part of one checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from millstream.core.checkpoint.files import crc32c, crc32c_of_file, crc32c_of_pieces
from millstream.core.checkpoint.manifest import SHARED
from millstream.core.checkpoint.storage import Storage
from millstream.proto.v1 import checkpoint_pb2


class StateWriter:
    """``owner`` tells the files of attempts and subtasks apart; ``directory`` is that of the checkpoint."""

    def __init__(self, storage: Storage, directory: str, checkpoint_id: int, owner: str) -> None:
        self.files: list[checkpoint_pb2.StateFile] = []
        self.written_bytes = 0
        self._storage = storage
        self._directory = directory
        self._checkpoint_id = checkpoint_id
        self._owner = owner

    def write(self, pieces: Sequence[bytes], *, shared: bool) -> int:
        """Write a file; its index in ``files``. Shared ones outlive this checkpoint while others refer to them."""
        path = self._new_path(shared, "state")
        self._storage.write(self._full(path), pieces)
        return self._add(path, sum(map(len, pieces)), crc32c_of_pieces(pieces))

    def write_named(self, path: str, content: bytes) -> int:
        """The same under a name of the caller's, which is its own."""
        self._storage.write(self._full(path), [content])
        return self._add(path, len(content), crc32c(content))

    def take(self, source: Path) -> int:
        """The same of a finished file of this machine, always shared."""
        path = self._new_path(True, source.suffix.removeprefix(".") or "file")
        checksum = crc32c_of_file(source)
        self._storage.take(source, self._full(path))
        return self._add(path, source.stat().st_size, checksum)

    def refer(self, file: checkpoint_pb2.StateFile) -> int:
        """To a file of an earlier checkpoint."""
        self.files.append(file)
        return len(self.files) - 1

    def _full(self, path: str) -> str:
        return f"{self._directory}/{path}" if self._directory else path

    def _new_path(self, shared: bool, suffix: str) -> str:
        # The attempt is in the owner's name: a subtask that was given up must not overwrite the file of the next one.
        name = f"{self._checkpoint_id}-{self._owner}-{len(self.files)}.{suffix}"
        return f"../{SHARED}/{name}" if shared else name

    def _add(self, path: str, length: int, checksum: int) -> int:
        self.files.append(checkpoint_pb2.StateFile(path=path, length=length, crc32c=checksum))
        self.written_bytes += length
        return len(self.files) - 1
