"""The rows of one state: a dict from key, or from (namespace, key), to what is stored for it.

A state comes back from a snapshot before anybody has declared it. Its rows then wait in the form in which they travel,
until a descriptor says what they are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from millstream.core.api.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    ValueStateDescriptor,
)
from millstream.core.errors import ConfigError, JobGraphError
from millstream.taskmanager.state.ttl import Ttl

KINDS: Final[dict[type[StateDescriptor], str]] = {
    ValueStateDescriptor: "value",
    ListStateDescriptor: "list",
    MapStateDescriptor: "map",
    ReducingStateDescriptor: "reducing",
    AggregatingStateDescriptor: "aggregating",
}

SavedRow = tuple[Any, Any, Any]
"""(namespace or None, key, stored)"""

SavedColumns = tuple[list[Any] | None, list[Any], list[Any]]
"""(namespaces, or None when no row has one; keys; what is stored)"""


class StateTable:
    """``plain`` holds rows by key, ``spaced`` by (namespace, key). With ``ttl`` both are ordered by expiry."""

    def __init__(self, name: str, kind: str, ttl: Ttl | None) -> None:
        self.name = name
        self.kind = kind
        self.ttl = ttl
        self.plain: dict[Any, Any] = {} if ttl is None else OrderedDict()
        self.spaced: dict[tuple[Any, Any], Any] = {} if ttl is None else OrderedDict()

    @property
    def with_ttl(self) -> bool:
        return self.ttl is not None

    def __len__(self) -> int:
        return len(self.plain) + len(self.spaced)

    def columns(self) -> SavedColumns:
        """Everything, as it is saved."""
        if self.ttl is None and not self.spaced:
            return None, list(self.plain), list(self.plain.values())
        return columns_of(list(self.rows()))

    def rows(self) -> Iterator[SavedRow]:
        """Everything, as it is saved."""
        pack = _as_it_is if self.ttl is None else self.ttl.form(self.kind).pack
        for key, stored in self.plain.items():
            yield None, key, pack(stored)
        for (namespace, key), stored in self.spaced.items():
            yield namespace, key, pack(stored)

    def load(self, rows: list[SavedRow], with_ttl: bool) -> None:
        """Take saved rows in. A time to live given or taken away since then applies from now on."""
        loaded: list[SavedRow] = rows
        if self.ttl is not None:
            form = self.ttl.form(self.kind)
            loaded = [(n, k, form.unpack(stored) if with_ttl else form.begin(stored)) for n, k, stored in rows]
            loaded.sort(key=lambda row: form.expires_ms(row[2]))
        elif with_ttl:
            loaded = [(n, k, without_times(self.kind, stored)) for n, k, stored in rows]
        for namespace, key, stored in loaded:
            if namespace is None:
                self.plain[key] = stored
            else:
                self.spaced[(namespace, key)] = stored


class SavedState:
    """Rows of a state that nobody has declared yet."""

    def __init__(self, kind: str, with_ttl: bool) -> None:
        self.kind = kind
        self.with_ttl = with_ttl
        self.saved: list[SavedRow] = []

    def __len__(self) -> int:
        return len(self.saved)

    def rows(self) -> Iterator[SavedRow]:
        return iter(self.saved)

    def columns(self) -> SavedColumns:
        return columns_of(self.saved)


def columns_of(rows: list[SavedRow]) -> SavedColumns:
    """The same as columns."""
    namespaces, keys, stored = ([row[i] for row in rows] for i in range(3))
    return (None if all(namespace is None for namespace in namespaces) else namespaces), keys, stored


def _as_it_is(stored: Any) -> Any:
    return stored


def without_times(kind: str, packed: Any) -> Any:
    """What ``Ttl`` packed, without the times of expiry."""
    if kind == "list":
        return [value for value, _ in packed]
    if kind == "map":
        return {key: value for key, (value, _) in packed.items()}
    return packed[0]


def kind_of(descriptor: StateDescriptor) -> str:
    """Raises ``ConfigError`` for what is no descriptor of keyed state."""
    kind = KINDS.get(type(descriptor))
    if kind is None:
        raise ConfigError(
            f"{type(descriptor).__name__} is no descriptor of keyed state. Use a ValueStateDescriptor, "
            "ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor or AggregatingStateDescriptor."
        )
    return kind


def check_kind(name: str, known: str, asked: str) -> None:
    """Raises ``JobGraphError`` when one name stands for two kinds of state."""
    if known != asked:
        raise JobGraphError(
            f"the state {name!r} is declared as {known} state and as {asked} state; give one of them another name."
        )
