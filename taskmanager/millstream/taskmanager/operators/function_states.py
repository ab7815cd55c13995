"""Operator state of user functions: lists and broadcast maps, and their form in a snapshot.

A list is saved as items, a union list and a broadcast map as one union piece a subtask. What a restored function does
not ask for stays in later snapshots: a function of the next version of the program may.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, Final

from millstream.core.api.operator_state import BroadcastState, OperatorStateStore
from millstream.core.api.state import ListState, ListStateDescriptor, MapStateDescriptor, StateDescriptor
from millstream.core.errors import (
    ConfigError,
    ErrorPlace,
    JobGraphError,
    RecordTypeError,
    UnsavableStateError,
)
from millstream.core.serde import decode_value, encode_value
from millstream.taskmanager.operators.snapshots import OperatorSnapshot

PIECES_MAX: Final = 1024
"""A longer list is saved in runs of several items: each piece costs an entry in the manifest of the checkpoint."""

_CHECKPOINT: Final = "function-checkpoint"
_LIST: Final = "function-list:"
_UNION: Final = "function-union:"
_BROADCAST: Final = "function-broadcast:"
_SPOKEN: Final = {_LIST: "list state", _UNION: "union list state", _BROADCAST: "broadcast state"}


class OperatorListState(ListState[Any]):
    """A list of this subtask."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._values = list(values)

    def get(self) -> Iterator[Any]:
        return iter(list(self._values))  # a copy: the user may change the state while going through it

    def add(self, value: Any) -> None:
        self._values.append(value)

    def add_all(self, values: Iterable[Any]) -> None:
        self._values.extend(values)

    def update(self, values: Iterable[Any]) -> None:
        self._values = list(values)

    def clear(self) -> None:
        self._values = []


class OperatorBroadcastState(BroadcastState[Any, Any]):
    """This subtask's copy of a map."""

    def __init__(self, entries: dict[Any, Any] | None = None) -> None:
        self.entries: dict[Any, Any] = entries or {}

    def get(self, key: Any) -> Any:
        return self.entries.get(key)

    def put(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def put_all(self, values: dict[Any, Any]) -> None:
        self.entries.update(values)

    def remove(self, key: Any) -> None:
        self.entries.pop(key, None)

    def contains(self, key: Any) -> bool:
        return key in self.entries

    def items(self) -> Iterator[tuple[Any, Any]]:
        return iter(list(self.entries.items()))

    def keys(self) -> Iterator[Any]:
        return iter(list(self.entries))

    def values(self) -> Iterator[Any]:
        return iter(list(self.entries.values()))

    def is_empty(self) -> bool:
        return not self.entries

    def clear(self) -> None:
        self.entries.clear()


class FunctionStates(OperatorStateStore):
    """The states of the functions of one operator of one subtask."""

    def __init__(self, operator_name: str) -> None:
        self.restored_checkpoint_id: int | None = None
        self._operator_name = operator_name
        self._lists: dict[str, OperatorListState] = {}
        self._unions: dict[str, OperatorListState] = {}
        self._maps: dict[str, OperatorBroadcastState] = {}
        self._waiting: dict[str, list[bytes]] = {}
        """Restored, not asked for yet: pieces by the name they have in snapshots."""

    # -- access -------------------------------------------------------------------------------------------------

    def get_list_state(self, state_descriptor: ListStateDescriptor) -> OperatorListState:
        return self._list(self._lists, _LIST, state_descriptor)

    def get_union_list_state(self, state_descriptor: ListStateDescriptor) -> OperatorListState:
        return self._list(self._unions, _UNION, state_descriptor)

    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> OperatorBroadcastState:
        name = self._checked(state_descriptor, MapStateDescriptor, _BROADCAST)
        state = self._maps.get(name)
        if state is None:
            pieces = self._waiting.pop(_BROADCAST + name, [])
            state = self._maps[name] = OperatorBroadcastState(_entries(pieces[0]) if pieces else {})
        return state

    def _list(self, known: dict[str, OperatorListState], prefix: str, descriptor: Any) -> OperatorListState:
        name = self._checked(descriptor, ListStateDescriptor, prefix)
        state = known.get(name)
        if state is None:
            pieces = self._waiting.pop(prefix + name, [])
            state = known[name] = OperatorListState(chain.from_iterable(map(decode_value, pieces)))
        return state

    def _checked(self, descriptor: Any, wanted: type[StateDescriptor], prefix: str) -> str:
        """The name of the state. Raises ``ConfigError`` and ``JobGraphError`` for what cannot be operator state."""
        asked = _SPOKEN[prefix]
        if not isinstance(descriptor, wanted):
            raise ConfigError(f"{asked} is described by a {wanted.__name__}, not by a {type(descriptor).__name__}.")
        if descriptor.ttl is not None:
            raise ConfigError(
                f"the {asked} {descriptor.name!r} has a time to live, which only keyed state can have. Keep the times "
                f"in the values, and remove what is too old in snapshot_state."
            )
        declared: dict[str, Container[str]] = {_LIST: self._lists, _UNION: self._unions, _BROADCAST: self._maps}
        for other, states in declared.items():
            if other != prefix and (descriptor.name in states or other + descriptor.name in self._waiting):
                raise JobGraphError(
                    f"the operator {self._operator_name!r} asks for {descriptor.name!r} as {asked}, but it is "
                    f"{_SPOKEN[other]} already, in the program or in the checkpoint. Give one of them another name."
                )
        return descriptor.name

    # -- snapshots ----------------------------------------------------------------------------------------------

    def save(self, snapshot: OperatorSnapshot, checkpoint_id: int, subtask_index: int) -> None:
        """Add everything to ``snapshot``. Raises ``CheckpointError`` for a value that cannot be saved."""
        snapshot.union[_CHECKPOINT] = [encode_value(checkpoint_id)]
        for name, state in self._lists.items():
            values = list(state)
            size = max(1, -(-len(values) // PIECES_MAX))
            runs = [values[start : start + size] for start in range(0, len(values), size)]
            snapshot.items[_LIST + name] = [self._encoded(name, run) for run in runs]
        for name, state in self._unions.items():
            snapshot.union[_UNION + name] = [self._encoded(name, list(state))]
        for name, copy in self._maps.items():
            columns = [list(copy.entries), list(copy.entries.values())]
            snapshot.union[_BROADCAST + name] = [_numbered(subtask_index, self._encoded(name, columns))]
        self._save_waiting(snapshot, subtask_index)

    def _save_waiting(self, snapshot: OperatorSnapshot, subtask_index: int) -> None:
        for saved_name, pieces in self._waiting.items():
            if saved_name.startswith(_LIST):
                snapshot.items[saved_name] = pieces
            elif saved_name.startswith(_BROADCAST):
                snapshot.union[saved_name] = [_numbered(subtask_index, pieces[0][_NUMBER_BYTES:])]
            elif subtask_index == 0:  # all subtasks have the items of all: with each restore there would be more
                snapshot.union[saved_name] = pieces

    def restore(self, snapshot: OperatorSnapshot) -> OperatorSnapshot:
        """Take what is operator state out of ``snapshot``; the rest is the operator's."""
        rest = replace(snapshot, items=dict(snapshot.items), union=dict(snapshot.union))
        checkpoint_ids = map(decode_value, rest.union.pop(_CHECKPOINT, []))
        self.restored_checkpoint_id = max(checkpoint_ids, default=None)
        for pieces, prefixes in ((rest.items, (_LIST,)), (rest.union, (_UNION, _BROADCAST))):
            for saved_name in [name for name in pieces if name.startswith(prefixes)]:
                self._waiting[saved_name] = pieces.pop(saved_name)
        for saved_name, pieces_of_name in self._waiting.items():
            if saved_name.startswith(_BROADCAST):  # the same copy for everybody: that of the first subtask
                self._waiting[saved_name] = [min(pieces_of_name, key=lambda piece: piece[:_NUMBER_BYTES])]
        return rest

    def _encoded(self, name: str, value: Any) -> bytes:
        try:
            return encode_value(value)
        except RecordTypeError as error:
            raise UnsavableStateError(
                f"operator {self._operator_name!r}: the operator state {name!r} has a value that cannot be saved: "
                f"{error}",
                place=ErrorPlace(operator=self._operator_name),
            ) from error


_NUMBER_BYTES: Final = 4


def _numbered(subtask_index: int, encoded: bytes) -> bytes:
    return subtask_index.to_bytes(_NUMBER_BYTES, "big") + encoded


def _entries(piece: bytes) -> dict[Any, Any]:
    keys, values = decode_value(piece[_NUMBER_BYTES:])
    return dict(zip(keys, values, strict=True))
