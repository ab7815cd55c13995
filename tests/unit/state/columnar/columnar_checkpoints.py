"""Columnar backends for tests, and what checkpoints and savepoints do with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from millstream.core.checkpoint.storage import LocalStorage
from millstream.core.clock import ManualClock
from millstream.core.keys import key_group_range
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.state.backend import RestoredKeyed
from millstream.taskmanager.state.chunks import Chunk, GroupFilter, decode_chunk
from millstream.taskmanager.state.column_chunks import ColumnChunk
from millstream.taskmanager.state.columnar.backend import ColumnarBackend
from millstream.taskmanager.state.columnar.snapshots import ColumnarCapture
from millstream.taskmanager.state.state_writer import StateWriter

MAX_PARALLELISM = 16


@dataclass
class Context:
    """Implements ``SubtaskContext``."""

    subtask_index: int = 0
    parallelism: int = 1
    max_parallelism: int = MAX_PARALLELISM
    clock: ManualClock = field(default_factory=lambda: ManualClock(1000))
    configuration: dict[str, Any] = field(default_factory=lambda: {"execution.checkpointing.interval": 1})

    @property
    def groups(self) -> range:
        return key_group_range(self.subtask_index, self.max_parallelism, self.parallelism)


def spilling(directory: Path, index: int = 0, parallelism: int = 1, clock: ManualClock | None = None) -> Context:
    """The context of a subtask with hardly any memory for rows."""
    configuration = {
        "execution.checkpointing.interval": 1,
        "state.backend.type": "rocksdb",
        "state.backend.rocksdb.localdir": str(directory),
        "taskmanager.memory.managed.size": 4096,
    }
    return Context(index, parallelism, clock=clock or ManualClock(1000), configuration=configuration)


def taken(capture: ColumnarCapture) -> list[ColumnChunk]:
    """All rows of a capture."""
    while capture.advance():
        pass
    chunks = list(capture.rows())
    capture.ended()
    return chunks


class Stored:
    """Captures written to a directory and read again."""

    def __init__(self, directory: Path) -> None:
        self.storage = LocalStorage(directory)
        self.written_bytes: dict[int, int] = {}

    def store(self, backend: ColumnarBackend, checkpoint_id: int, full: bool = False) -> checkpoint_pb2.SubtaskState:
        return self.finish(backend.capture(checkpoint_id, full), checkpoint_id)

    def finish(self, capture: ColumnarCapture, checkpoint_id: int) -> checkpoint_pb2.SubtaskState:
        while capture.advance():
            pass
        writer = StateWriter(self.storage, f"chk-{checkpoint_id}", checkpoint_id, "op")
        state = checkpoint_pb2.SubtaskState()
        capture.store(writer, state.operators.add(operator_id="op"))
        capture.ended()
        state.files.extend(writer.files)
        self.written_bytes[checkpoint_id] = writer.written_bytes
        return state

    def read(self, states: list[checkpoint_pb2.SubtaskState], checkpoint_id: int, context: Context) -> RestoredKeyed:
        """What a subtask starts with; with the one state of its own it goes on with the same files."""
        storage = LocalStorage(Path(self.storage.location, f"chk-{checkpoint_id}"))
        chosen = GroupFilter(context.groups, context.max_parallelism)
        chunks: list[Chunk] = []
        for state in states:
            for run in state.operators[0].runs:
                content = storage.read(state.files[run.file].path)
                for offset, length in zip(run.offsets, run.lengths, strict=True):
                    chunks.append(chosen.apply(decode_chunk(content[offset : offset + length])))
        chain = None
        if len(states) == 1:
            chain = [(states[0].files[run.file], run) for run in states[0].operators[0].runs]
        return RestoredKeyed(chunks, chain)


def listed(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """The rows of a batch."""
    return list(zip(*[column.to_pylist() for column in batch.columns], strict=True))
