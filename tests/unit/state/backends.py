"""Backends for tests, and what a checkpoint does with them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from millstream.core.checkpoint.storage import LocalStorage
from millstream.core.clock import Clock, ManualClock
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.checkpointing.state_files import StateReader
from millstream.taskmanager.state.backend import BackendSettings, RestoredKeyed, StoredDatabase
from millstream.taskmanager.state.chunks import GroupFilter, RowChunk
from millstream.taskmanager.state.heap import HeapStateBackend
from millstream.taskmanager.state.rocksdb import RocksMemory, RocksStateBackend
from millstream.taskmanager.state.state_writer import StateWriter
from millstream.taskmanager.task.context import SubtaskInfo

MAX_PARALLELISM = 16
EVERYTHING = range(MAX_PARALLELISM)


def new_backend(
    kind: str = "memory",
    clock: Clock | None = None,
    groups: range = EVERYTHING,
    max_parallelism: int = MAX_PARALLELISM,
    memory_bytes: int = 1 << 22,
) -> HeapStateBackend:
    """``memory`` or ``rocksdb``; to be closed."""
    directory = Path(tempfile.gettempdir(), "millstream-test-state")
    settings = BackendSettings(max_parallelism, groups, clock or ManualClock(1000), directory)
    if kind == "rocksdb":
        return RocksStateBackend(settings, RocksMemory(memory_bytes))
    return HeapStateBackend(settings)


def everything(backend: HeapStateBackend, checkpoint_id: int = 1) -> list[RowChunk]:
    """All rows, by a full capture."""
    capture = backend.capture(checkpoint_id, True)
    while capture.advance():
        pass
    chunks = list(capture.rows())
    capture.ended()
    return chunks


def restored_from(chunks: list[RowChunk], groups: range = EVERYTHING) -> RestoredKeyed:
    chosen = GroupFilter(groups, MAX_PARALLELISM)
    return RestoredKeyed(chunks=[chosen.apply(chunk) for chunk in chunks])


class Checkpoints:
    """Captures of one backend, written to a directory and read again."""

    def __init__(self, directory: Path) -> None:
        self.storage = LocalStorage(directory)
        self.written: dict[int, int] = {}

    def store(self, backend: HeapStateBackend, checkpoint_id: int, full: bool = False) -> checkpoint_pb2.SubtaskState:
        capture = backend.capture(checkpoint_id, full)
        while capture.advance():
            pass
        writer = StateWriter(self.storage, f"chk-{checkpoint_id}", checkpoint_id, "op")
        state = checkpoint_pb2.SubtaskState()
        capture.store(writer, state.operators.add(operator_id="op"))
        capture.ended()
        state.files.extend(writer.files)
        self.written[checkpoint_id] = writer.written_bytes
        return state

    def read(self, state: checkpoint_pb2.SubtaskState, checkpoint_id: int, groups: range = EVERYTHING) -> RestoredKeyed:
        """What a new backend starts with; it may go on with the same files."""
        (saved,) = state.operators
        storage = LocalStorage(Path(self.storage.location, f"chk-{checkpoint_id}"))
        databases = []
        if saved.database.files:
            held = range(saved.database.first_group, saved.database.last_group + 1)
            files = [(file.name, state.files[file.file]) for file in saved.database.files]
            databases = [StoredDatabase(storage, files, held, own=True)]
        restored = checkpoint_pb2.RestoredState(own=groups == EVERYTHING)
        operator = restored.operators.add(operator_id="op")
        for run in saved.runs:
            operator.runs.add(file=state.files[run.file], run=run)
            operator.runs[-1].run.filter = groups != EVERYTHING
        info = SubtaskInfo("", "", "", "", 0, 0, 1, MAX_PARALLELISM)
        read = StateReader(storage, restored, info).operators(groups)["op"].backend or RestoredKeyed()
        return RestoredKeyed(read.chunks, None if databases else read.chain, databases)
