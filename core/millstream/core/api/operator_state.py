"""State of a function as a whole, not of a key; names are Flink's.

Each subtask has a state of its own. At another parallelism the items of a list state are dealt out evenly, those of a
union list state go to every subtask, and broadcast state, which is the same everywhere, is copied.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from millstream.core.api.state import ListState, ListStateDescriptor, MapState, MapStateDescriptor

K = TypeVar("K")
V = TypeVar("V")


class ReadOnlyBroadcastState(ABC, Generic[K, V]):
    """Broadcast state, where a function may look but not change."""

    @abstractmethod
    def get(self, key: K) -> V | None: ...

    @abstractmethod
    def contains(self, key: K) -> bool: ...

    @abstractmethod
    def items(self) -> Iterator[tuple[K, V]]: ...

    @abstractmethod
    def keys(self) -> Iterator[K]: ...

    @abstractmethod
    def values(self) -> Iterator[V]: ...

    @abstractmethod
    def is_empty(self) -> bool: ...

    def __contains__(self, key: K) -> bool:
        return self.contains(key)

    def __getitem__(self, key: K) -> V | None:
        return self.get(key)

    def __iter__(self) -> Iterator[K]:
        return self.keys()


class BroadcastState(ReadOnlyBroadcastState[K, V], MapState[K, V]):
    """A map that every subtask has the same copy of, as long as each changes it in the same way."""


class OperatorStateStore(ABC):
    """Gives access to operator state by descriptor. A name stands for one state, however often it is asked for."""

    @abstractmethod
    def get_list_state(self, state_descriptor: ListStateDescriptor) -> ListState[Any]:
        """A list; at another parallelism its items are dealt out evenly."""

    @abstractmethod
    def get_union_list_state(self, state_descriptor: ListStateDescriptor) -> ListState[Any]:
        """A list; after a restore every subtask has the items of all."""

    @abstractmethod
    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> BroadcastState[Any, Any]:
        """A map; after a restore every subtask has the same copy."""


class FunctionInitializationContext(ABC):
    """The ``context`` of ``initialize_state``."""

    @abstractmethod
    def is_restored(self) -> bool:
        """True when the function goes on from a checkpoint or savepoint that has state of it."""

    @abstractmethod
    def get_restored_checkpoint_id(self) -> int | None:
        """That of the checkpoint; None when nothing was restored."""

    @abstractmethod
    def get_operator_state_store(self) -> OperatorStateStore: ...


@dataclass(frozen=True)
class FunctionSnapshotContext:
    """The ``context`` of ``snapshot_state``."""

    checkpoint_id: int

    def get_checkpoint_id(self) -> int:
        return self.checkpoint_id


class CheckpointedFunction(ABC):
    """For functions with state of their own: inherit it beside MapFunction, ProcessFunction and the like."""

    @abstractmethod
    def initialize_state(self, context: FunctionInitializationContext) -> None:
        """Before ``open``: ask for the states, and take up what was restored."""

    @abstractmethod
    def snapshot_state(self, context: FunctionSnapshotContext) -> None:
        """At each checkpoint, just before the states are copied: bring them up to date."""
