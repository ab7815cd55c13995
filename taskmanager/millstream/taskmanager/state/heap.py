"""Keyed state in dicts.

Key groups are computed when a snapshot is taken, not on each access. An access is one or two dict operations; a time to
live adds an ordered dict (``ttl.py``). Values are held by reference: changing a value in place changes the state.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Final, cast

import numpy as np

from millstream.core.api.state import State, StateDescriptor
from millstream.core.clock import Clock
from millstream.core.elements.batch import ObjectBatch
from millstream.core.keys import KeyGroupCache, key_groups
from millstream.core.serde import decode_batch, decode_value, encode_batch, encode_value
from millstream.taskmanager.state import expiring_states, plain_states
from millstream.taskmanager.state.plain_states import KeyOwner
from millstream.taskmanager.state.tables import SavedState, StateTable, check_kind, kind_of
from millstream.taskmanager.state.ttl import Ttl

_SAMPLE_ROWS: Final = 16


class HeapStateBackend:
    """Implements ``KeyedStateBackend``."""

    def __init__(self, max_parallelism: int, clock: Clock) -> None:
        self.current_key: Any = None
        self._max_parallelism = max_parallelism
        self._clock = clock
        self._tables: dict[str, StateTable] = {}
        self._saved: dict[str, SavedState] = {}  # restored, not declared yet
        self._states: dict[str, State] = {}  # those without namespace

    def table(self, name: str) -> dict[Any, Any]:
        """The raw rows, by key, of a state without namespace or time to live; for operators with tight loops."""
        return self._declare(name, "value", None).plain

    def state(self, descriptor: StateDescriptor, namespace: Any = None) -> State:
        kind = kind_of(descriptor)
        ttl = None if descriptor.ttl is None else Ttl(descriptor.ttl, self._clock)
        table = self._declare(descriptor.name, kind, ttl)
        if namespace is not None:
            return _handle(descriptor, kind, _Namespaced(self, namespace), table, table.spaced)
        state = self._states.get(descriptor.name)
        if state is None:
            state = self._states[descriptor.name] = _handle(descriptor, kind, self, table, table.plain)
        return state

    def entries(self) -> int:
        return sum(map(len, self._all_rows().values()))

    def estimated_bytes(self) -> int:
        total = 0
        for table in self._all_rows().values():
            sample = ObjectBatch(list(islice(table.rows(), _SAMPLE_ROWS)))
            if sample.values:
                total += sample.estimated_bytes() * len(table) // len(sample.values)
        return total

    def snapshot(self) -> dict[int, bytes]:
        """For each key group the encoded ``{state name: [kind, with time to live, namespaces, keys, stored]}``.

        The last three are encoded batches: state is written by columns, as records are sent.
        """
        groups: dict[int, dict[str, Any]] = {}
        cache = KeyGroupCache(self._max_parallelism)
        for name, table in self._all_rows().items():
            namespaces, keys, stored = table.columns()
            if not keys:
                continue
            of_rows = key_groups(keys, self._max_parallelism, cache)
            order = np.argsort(of_rows, kind="stable")
            present, starts = np.unique(of_rows[order], return_index=True)
            for group, rows in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
                chosen = rows.tolist()
                groups.setdefault(group, {})[name] = [
                    table.kind,
                    table.with_ttl,
                    None if namespaces is None else _encoded([namespaces[i] for i in chosen]),
                    _encoded([keys[i] for i in chosen]),
                    _encoded([stored[i] for i in chosen]),
                ]
        return {group: encode_value(states) for group, states in groups.items()}

    def restore(self, groups: dict[int, bytes]) -> None:
        for data in groups.values():
            for name, (kind, with_ttl, namespaces, keys, stored) in decode_value(data).items():
                saved = self._saved.setdefault(name, SavedState(kind, with_ttl))
                of_keys = _decoded(keys)
                of_rows = [None] * len(of_keys) if namespaces is None else _decoded(namespaces)
                saved.saved.extend(zip(of_rows, of_keys, _decoded(stored), strict=True))

    def _all_rows(self) -> dict[str, StateTable | SavedState]:
        return {**self._tables, **self._saved}

    def _declare(self, name: str, kind: str, ttl: Ttl | None) -> StateTable:
        table = self._tables.get(name)
        if table is None:
            saved = self._saved.get(name)
            if saved is not None:
                check_kind(name, saved.kind, kind)
            table = self._tables[name] = StateTable(name, kind, ttl)
            if saved is not None:
                table.load(saved.saved, saved.with_ttl)
                del self._saved[name]
        check_kind(name, table.kind, kind)
        return table


def _encoded(values: list[Any]) -> bytes:
    return b"".join(encode_batch(ObjectBatch(values)))


def _decoded(data: bytes) -> list[Any]:
    batch = decode_batch(data)
    assert isinstance(batch, ObjectBatch)
    return batch.values


class _Namespaced:
    """Makes the rows of one namespace look like those of a backend without any."""

    __slots__ = ("_backend", "_namespace")

    def __init__(self, backend: HeapStateBackend, namespace: Any) -> None:
        self._backend = backend
        self._namespace = namespace

    @property
    def current_key(self) -> tuple[Any, Any]:
        return self._namespace, self._backend.current_key


def _handle(descriptor: StateDescriptor, kind: str, owner: KeyOwner, table: StateTable, rows: dict[Any, Any]) -> State:
    extra: list[Any] = []
    if kind == "reducing":
        extra = [cast("Any", descriptor).reduce_function]
    elif kind == "aggregating":
        extra = [cast("Any", descriptor).agg_function]
    created: State
    if table.ttl is None:
        created = _PLAIN[kind](owner, rows, *extra)
    else:
        created = _EXPIRING[kind](owner, rows, table.ttl, *extra)
    return created


_PLAIN: Final[dict[str, Any]] = {
    "value": plain_states.PlainValueState,
    "list": plain_states.PlainListState,
    "map": plain_states.PlainMapState,
    "reducing": plain_states.PlainReducingState,
    "aggregating": plain_states.PlainAggregatingState,
}
_EXPIRING: Final[dict[str, Any]] = {
    "value": expiring_states.ExpiringValueState,
    "list": expiring_states.ExpiringListState,
    "map": expiring_states.ExpiringMapState,
    "reducing": expiring_states.ExpiringReducingState,
    "aggregating": expiring_states.ExpiringAggregatingState,
}
