"""A checkpoint of a RocksDB database: the rows it lacks, then its files, of which only the new ones are copied."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from millstream.core.errors import ExternalError
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.state.capture import RowCapture
from millstream.taskmanager.state.chunks import RowChunk
from millstream.taskmanager.state.rocksdb_files import rows_in_directory
from millstream.taskmanager.state.state_writer import StateWriter


class UploadedFiles:
    """Which files of the database the storage has, for the last confirmed checkpoint and those after it."""

    def __init__(self) -> None:
        self._base: dict[str, checkpoint_pb2.StateFile] = {}
        self._unconfirmed: dict[int, dict[str, checkpoint_pb2.StateFile]] = {}

    @property
    def base(self) -> dict[str, checkpoint_pb2.StateFile]:
        return self._base

    def start_from(self, files: list[tuple[str, checkpoint_pb2.StateFile]]) -> None:
        self._base = {name: file for name, file in files if name.endswith(".sst")}

    def add(self, checkpoint_id: int, files: dict[str, checkpoint_pb2.StateFile]) -> None:
        self._unconfirmed[checkpoint_id] = files

    def confirm(self, checkpoint_id: int) -> None:
        files = self._unconfirmed.get(checkpoint_id)
        if files is not None:
            self._base = files
        self._unconfirmed = {known: files for known, files in self._unconfirmed.items() if known > checkpoint_id}


class DatabaseCapture:
    """Implements ``KeyedCapture``."""

    def __init__(
        self,
        checkpoint_id: int,
        full: bool,
        groups: range,
        rows: RowCapture,
        write: Callable[[Path], None],
        directory: Path,
        uploads: UploadedFiles,
        on_taken: Callable[[], None],
        on_ended: Callable[[DatabaseCapture], None],
    ) -> None:
        self._checkpoint_id = checkpoint_id
        self._known = {} if full else dict(uploads.base)
        self._groups = groups
        self._rows = rows
        self._write = write
        self._directory = directory
        self._uploads = uploads
        self._on_taken = on_taken
        self._on_ended = on_ended
        self._lock = threading.Lock()
        self._failure: Exception | None = None
        self.is_written = False
        """The database has the rows, and its files are linked."""
        self._stored: dict[str, checkpoint_pb2.StateFile] | None = None

    def advance(self) -> bool:
        if self._rows.advance():
            return True
        self._on_taken()
        return False

    def complete(self) -> None:
        """Another snapshot comes before this one is in the database: write it now."""
        while self.advance():
            pass
        self._write_once()
        self._on_ended(self)

    def store(self, writer: StateWriter, state: checkpoint_pb2.OperatorState) -> None:
        self._write_once()
        database = state.database
        database.first_group, database.last_group = self._groups.start, self._groups.stop - 1
        stored: dict[str, checkpoint_pb2.StateFile] = {}
        for path in sorted(self._directory.iterdir()):
            if path.suffix == ".sst":
                known = self._known.get(path.name)
                index = writer.take(path) if known is None else writer.refer(known)
                stored[path.name] = writer.files[index]
            elif path.suffix == ".log":
                continue  # nothing is written ahead
            else:
                index = writer.write([path.read_bytes()], shared=False)
            database.files.add(name=path.name, file=index)
        self._stored = stored
        shutil.rmtree(self._directory, ignore_errors=True)

    def ended(self) -> None:
        self._on_taken()
        if self._stored:
            self._uploads.add(self._checkpoint_id, self._stored)
        elif self._stored is None and self._failure is None:  # given up, but what was taken exists nowhere else
            while self._rows.advance():
                pass
            self._write_once()
            shutil.rmtree(self._directory, ignore_errors=True)
        self._on_ended(self)
        if self._failure is not None:
            raise ExternalError(f"RocksDB cannot write to {self._directory.parent}: {self._failure}")

    def rows(self) -> Iterator[RowChunk]:
        self._write_once()
        self._stored = {}
        try:
            yield from rows_in_directory(self._directory, self._groups)
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _write_once(self) -> None:
        with self._lock:
            if self.is_written:
                return
            try:
                self._write(self._directory)
            except Exception as error:
                self._failure = error
                raise ExternalError(f"RocksDB cannot write to {self._directory.parent}: {error}") from error
            self.is_written = True
