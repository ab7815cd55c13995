"""Which backend a job's state lives in."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, Final, Protocol

from millstream.core.clock import Clock
from millstream.core.keys import key_group_range
from millstream.taskmanager.state.backend import BackendSettings
from millstream.taskmanager.state.heap import HeapStateBackend

if TYPE_CHECKING:
    from millstream.taskmanager.state.rocksdb import RocksMemory

STATE_BACKEND: Final = "state.backend.type"
SLOT_DIRECTORY: Final = "slot.directory"
"""Set by the slot: its directory for files that nobody needs after it."""
_MANAGED_BYTES: Final = 256 << 20


class SubtaskContext(Protocol):
    """What a backend asks of the operator's context."""

    configuration: dict[str, Any]
    """The slot's settings with the job's over them."""
    max_parallelism: int
    parallelism: int
    subtask_index: int
    clock: Clock


def settings_of(context: SubtaskContext) -> BackendSettings:
    """What the context says about its subtask."""
    configuration, max_parallelism = context.configuration, context.max_parallelism
    return BackendSettings(
        max_parallelism,
        key_group_range(context.subtask_index, max_parallelism, context.parallelism),
        context.clock,
        Path(configuration.get("state.backend.rocksdb.localdir") or configuration.get(SLOT_DIRECTORY) or gettempdir()),
    )


def takes_checkpoints(context: SubtaskContext) -> bool:
    """Whether there will be checkpoints, which may be incremental."""
    return context.configuration.get("execution.checkpointing.interval") is not None


def open_backend(context: SubtaskContext) -> HeapStateBackend:
    """A backend for one operator of one subtask, as the job's settings say."""
    settings, memory = settings_of(context), memory_of_databases(context)
    if memory is not None:
        from millstream.taskmanager.state.rocksdb import RocksStateBackend

        return RocksStateBackend(settings, memory)
    return HeapStateBackend(settings, tracks_changes=takes_checkpoints(context))


def memory_of_databases(context: SubtaskContext) -> RocksMemory | None:
    """What RocksDB may use in this slot; None when the job keeps its state in memory."""
    configuration = context.configuration
    if configuration.get(STATE_BACKEND, "memory") != "rocksdb":
        return None
    fixed = configuration.get("state.backend.rocksdb.memory.fixed-per-slot")
    return _memory_of_slot(int(fixed or configuration.get("taskmanager.memory.managed.size") or _MANAGED_BYTES))


@cache
def _memory_of_slot(size: int) -> RocksMemory:
    """What all databases of this process share."""
    from millstream.taskmanager.state.rocksdb import RocksMemory

    return RocksMemory(size)
