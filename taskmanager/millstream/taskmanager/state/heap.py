"""Keyed state in dicts: one table a state, from key (or key and namespace) to what is stored.

Key groups are computed when a snapshot is taken, not on each access. A state with a time to live stores
pairs ``(value, expires_ms)``, of whole values or, for lists and maps, of elements; expired entries go when they are met
and, a few with each access, by a sweep over the table, so that a state nobody reads does not grow without bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from millstream.core.api.state import (
    AggregatingState,
    AggregatingStateDescriptor,
    ListState,
    ListStateDescriptor,
    MapState,
    MapStateDescriptor,
    ReducingState,
    ReducingStateDescriptor,
    State,
    StateDescriptor,
    ValueState,
    ValueStateDescriptor,
)
from millstream.core.clock import Clock
from millstream.core.errors import ConfigError, JobGraphError
from millstream.core.keys import key_group
from millstream.core.serde import decode_value, encode_value
from millstream.taskmanager.state.ttl import NoTtl, Ttl

_MISSING: Final = object()

Table = dict[Any, Any]


class HeapStateBackend:
    """Implements ``KeyedStateBackend``."""

    def __init__(self, max_parallelism: int, clock: Clock) -> None:
        self.current_key: Any = None
        self._max_parallelism = max_parallelism
        self._clock = clock
        self._tables: dict[str, Table] = {}
        self._kinds: dict[str, type] = {}
        self._states: dict[tuple[str, Any], State] = {}

    def table(self, name: str) -> Table:
        """The raw table of a state without namespace or time to live; for operators with tight loops."""
        return self._tables.setdefault(name, {})

    def state(self, descriptor: StateDescriptor, namespace: Any = None) -> State:
        known = self._states.get((descriptor.name, namespace)) if namespace is None else None
        if known is not None and self._kinds[descriptor.name] is type(descriptor):
            return known
        kind = self._kinds.setdefault(descriptor.name, type(descriptor))
        if kind is not type(descriptor):
            raise JobGraphError(
                f"the state {descriptor.name!r} is declared as {kind.__name__} and as {type(descriptor).__name__}; "
                f"give one of them another name"
            )
        table = self._tables.setdefault(descriptor.name, {})
        created = _create(descriptor, self, table, namespace, self._clock)
        if namespace is None:
            self._states[(descriptor.name, None)] = created
        return created

    def entries(self) -> int:
        return sum(map(len, self._tables.values()))

    def snapshot(self) -> dict[int, bytes]:
        groups: dict[int, dict[str, list[Any]]] = {}
        for name, table in self._tables.items():
            for stored_key, value in table.items():
                key = stored_key.key if isinstance(stored_key, NamespacedKey) else stored_key
                namespace = stored_key.namespace if isinstance(stored_key, NamespacedKey) else None
                group = groups.setdefault(key_group(key, self._max_parallelism), {})
                group.setdefault(name, []).append((key, namespace, value))
        return {group: encode_value(states) for group, states in groups.items()}

    def restore(self, groups: dict[int, bytes]) -> None:
        for data in groups.values():
            for name, rows in decode_value(data).items():
                table = self._tables.setdefault(name, {})
                for key, namespace, value in rows:
                    table[key if namespace is None else NamespacedKey(key, namespace)] = value


class NamespacedKey:
    """A key within a namespace (a window); a class of its own so that no user's key can equal it."""

    __slots__ = ("key", "namespace")

    def __init__(self, key: Any, namespace: Any) -> None:
        self.key = key
        self.namespace = namespace

    def __hash__(self) -> int:
        return hash((self.key, self.namespace))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamespacedKey) and (self.key, self.namespace) == (other.key, other.namespace)


class _HeapState(State):
    """What all kinds share: where the current key's entry is, and its time to live."""

    def __init__(self, owner: HeapStateBackend, table: Table, namespace: Any, ttl: Ttl | NoTtl) -> None:
        self._owner = owner
        self._table = table
        self._namespace = namespace
        self._ttl = ttl

    def _key(self) -> Any:
        key = self._owner.current_key
        return key if self._namespace is None else NamespacedKey(key, self._namespace)

    def clear(self) -> None:
        self._table.pop(self._key(), None)

    def _load(self) -> Any:
        """The whole stored value, ``_MISSING`` when there is none or it has expired."""
        self._ttl.sweep(self._table)
        key = self._key()
        stored = self._table.get(key, _MISSING)
        if stored is _MISSING:
            return _MISSING
        if not self._ttl.is_visible(stored):
            del self._table[key]
            return _MISSING
        renewed = self._ttl.read(stored)
        if renewed is not stored:
            self._table[key] = renewed
        return self._ttl.unwrap(stored)

    def _store(self, value: Any) -> None:
        self._ttl.sweep(self._table)
        self._table[self._key()] = self._ttl.wrap(value)


class _HeapValueState(_HeapState, ValueState[Any]):
    def value(self) -> Any:
        loaded = self._load()
        return None if loaded is _MISSING else loaded

    def update(self, value: Any) -> None:
        if value is None:
            self.clear()
        else:
            self._store(value)


class _HeapReducingState(_HeapState, ReducingState[Any]):
    def __init__(self, descriptor: ReducingStateDescriptor, *arguments: Any) -> None:
        super().__init__(*arguments)
        function = descriptor.reduce_function
        self._reduce = getattr(function, "reduce", function)

    def get(self) -> Any:
        loaded = self._load()
        return None if loaded is _MISSING else loaded

    def add(self, value: Any) -> None:
        loaded = self._load()
        self._store(value if loaded is _MISSING else self._reduce(loaded, value))


class _HeapAggregatingState(_HeapState, AggregatingState[Any, Any]):
    def __init__(self, descriptor: AggregatingStateDescriptor, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._function = descriptor.agg_function

    def get(self) -> Any:
        loaded = self._load()
        return None if loaded is _MISSING else self._function.get_result(loaded)

    def add(self, value: Any) -> None:
        loaded = self._load()
        accumulator = self._function.create_accumulator() if loaded is _MISSING else loaded
        self._store(self._function.add(value, accumulator))


class _HeapListState(_HeapState, ListState[Any]):
    """Stores a list of elements, each with its own time to live."""

    def get(self) -> Iterator[Any]:
        key, ttl = self._key(), self._ttl
        elements = self._table.get(key)
        if elements is None:
            return iter(())
        visible = [ttl.read(element) for element in elements if ttl.is_visible(element)]
        if ttl.enabled:
            if visible:
                self._table[key] = visible
            else:
                del self._table[key]
        return iter([ttl.unwrap(element) for element in visible])

    def add(self, value: Any) -> None:
        self._ttl.sweep(self._table, _all_expired)
        self._table.setdefault(self._key(), []).append(self._ttl.wrap(value))

    def add_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.add(value)

    def update(self, values: Iterable[Any]) -> None:
        elements = [self._ttl.wrap(value) for value in values]
        if elements:
            self._table[self._key()] = elements
        else:
            self.clear()


class _HeapMapState(_HeapState, MapState[Any, Any]):
    """Stores a dict of entries, each with its own time to live."""

    def _entries(self) -> dict[Any, Any]:
        """The visible entries as stored; never changed by the caller."""
        ttl, key = self._ttl, self._key()
        stored: dict[Any, Any] = self._table.get(key) or {}
        if not ttl.enabled:
            return stored
        visible = {k: ttl.read(entry) for k, entry in stored.items() if ttl.is_visible(entry)}
        if visible:
            self._table[key] = visible
        else:
            self._table.pop(key, None)
        return visible

    def get(self, key: Any) -> Any:
        entry = self._entries().get(key, _MISSING)
        return None if entry is _MISSING else self._ttl.unwrap(entry)

    def put(self, key: Any, value: Any) -> None:
        self._ttl.sweep(self._table, _all_entries_expired)
        self._table.setdefault(self._key(), {})[key] = self._ttl.wrap(value)

    def put_all(self, values: dict[Any, Any]) -> None:
        for key, value in values.items():
            self.put(key, value)

    def remove(self, key: Any) -> None:
        own = self._key()
        entries = self._table.get(own)
        if entries is not None:
            entries.pop(key, None)
            if not entries:
                del self._table[own]

    def contains(self, key: Any) -> bool:
        return key in self._entries()

    def items(self) -> Iterator[tuple[Any, Any]]:
        return iter([(key, self._ttl.unwrap(entry)) for key, entry in self._entries().items()])

    def keys(self) -> Iterator[Any]:
        return iter(list(self._entries()))

    def values(self) -> Iterator[Any]:
        return iter([self._ttl.unwrap(entry) for entry in self._entries().values()])

    def is_empty(self) -> bool:
        return not self._entries()


def _all_expired(ttl: Ttl, elements: list[Any]) -> bool:
    return all(ttl.has_expired(element) for element in elements)


def _all_entries_expired(ttl: Ttl, entries: dict[Any, Any]) -> bool:
    return all(ttl.has_expired(entry) for entry in entries.values())


def _create(descriptor: StateDescriptor, owner: HeapStateBackend, table: Table, namespace: Any, clock: Clock) -> State:
    ttl = NoTtl() if descriptor.ttl is None else Ttl(descriptor.ttl, clock)
    match descriptor:
        case ValueStateDescriptor():
            return _HeapValueState(owner, table, namespace, ttl)
        case ListStateDescriptor():
            return _HeapListState(owner, table, namespace, ttl)
        case MapStateDescriptor():
            return _HeapMapState(owner, table, namespace, ttl)
        case ReducingStateDescriptor():
            return _HeapReducingState(descriptor, owner, table, namespace, ttl)
        case AggregatingStateDescriptor():
            return _HeapAggregatingState(descriptor, owner, table, namespace, ttl)
    raise ConfigError(f"{type(descriptor).__name__} is not a descriptor of keyed state")
