"""What operators ask of a keyed state backend, and what a checkpoint asks of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from millstream.core.api.state import State, StateDescriptor
from millstream.core.checkpoint.storage import Storage
from millstream.core.clock import Clock
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.state.chunks import Chunk, EncodedChunk
from millstream.taskmanager.state.runs import Chain
from millstream.taskmanager.state.state_writer import StateWriter


class KeyedCapture(Protocol):
    """The keyed state of an operator as it was at a barrier."""

    def advance(self) -> bool:
        """Between two steps of the task: take the next slice; False when everything is taken.

        Raises ``CheckpointError`` for a value that cannot be saved.
        """
        ...

    def store(self, writer: StateWriter, state: checkpoint_pb2.OperatorState) -> None:
        """Beside the task, when everything is taken: write files and describe them in ``state``. ``OSError``."""
        ...

    def ended(self) -> None:
        """On the task's thread: stored, or given up."""
        ...

    def rows(self) -> Iterator[Chunk]:
        """Beside the task, when everything of a full capture is taken: all rows, instead of ``store``."""
        ...


class StoredDatabase(NamedTuple):
    """A RocksDB database in the storage."""

    storage: Storage
    files: list[tuple[str, checkpoint_pb2.StateFile]]
    """``(name in the database, file)``."""
    groups: range
    """Of the rows it holds."""
    own: bool
    """Later checkpoints may refer to its files."""


@dataclass
class RestoredKeyed:
    """What a backend starts with: rows of the subtask's key groups in chunks, and databases that hold them too."""

    chunks: Iterable[Chunk | EncodedChunk] = ()
    chain: Chain | None = None
    """The files of ``chunks``, when later checkpoints may refer to them."""
    databases: list[StoredDatabase] = field(default_factory=list)


class KeyedStateBackend(Protocol):
    """The state of one operator of one subtask, by key and, for windows, by namespace."""

    current_key: Any
    """The key that states refer to. Set before user code runs."""

    def touch(self, keys: Sequence[Any]) -> None:
        """The rows of these keys are about to be read and changed; before each batch, and for each timer."""
        ...

    def focus(self, key: Any) -> None:
        """``touch`` one key and make it the current one."""
        ...

    def state(self, descriptor: StateDescriptor, namespace: Any = None) -> State:
        """The state of ``descriptor``. With the same name and namespace it is the same state.

        Raises ``JobGraphError`` when the name is already that of another kind of state.
        """
        ...

    def table(self, name: str, *, whole: bool = False) -> dict[Any, Any]:
        """The raw rows, by key, of a state without namespace or time to live; for operators with tight loops.

        Holds at least the rows of the keys touched last; all rows if the backend is ``in_memory`` and ``whole`` asked.
        """
        ...

    def keys_of(self, descriptor: StateDescriptor) -> list[Any]:
        """The keys that have the state of ``descriptor``, outside of windows."""
        ...

    def entries(self) -> int:
        """Keys over all states."""
        ...

    def estimated_bytes(self) -> int:
        """A guess of the encoded size of everything, from samples."""
        ...

    def capture(self, checkpoint_id: int, full: bool) -> KeyedCapture:
        """Everything as it is now, or what changed since the last checkpoint known to be complete."""
        ...

    def confirm(self, checkpoint_id: int) -> None:
        """That checkpoint is complete: later ones may build upon it."""
        ...

    def restore(self, restored: RestoredKeyed) -> None:
        """Take in the state of former subtasks; before the first ``state``."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class BackendSettings(NamedTuple):
    """What a backend needs to know of its subtask."""

    max_parallelism: int
    groups: range
    """The key groups of the subtask."""
    clock: Clock
    work_directory: Path
    """For files of the slot; may not exist yet."""
