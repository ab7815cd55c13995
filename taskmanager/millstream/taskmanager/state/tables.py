"""The rows of one state: a dict from key, or from (namespace, key), to what is stored for it.

A state comes back from a snapshot before anybody has declared it. Its rows then wait in the form in which they travel,
until a descriptor says what they are.
"""

from __future__ import annotations

from collections import OrderedDict
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

    def rows(self, spaced: bool) -> dict[Any, Any]:
        return self.spaced if spaced else self.plain

    def pack(self, stored: list[Any]) -> list[Any]:
        """What is stored, as it is saved."""
        return stored if self.ttl is None else list(map(self.ttl.form(self.kind).pack, stored))

    def unpack(self, saved: Any, with_ttl: bool) -> Any:
        """The inverse for one row. A time to live given or taken away since then applies from now on."""
        if self.ttl is not None:
            form = self.ttl.form(self.kind)
            return form.unpack(saved) if with_ttl else form.begin(saved)
        return without_times(self.kind, saved) if with_ttl else saved

    def load(self, saved: SavedTable) -> None:
        """Take over the rows of ``saved``, which nobody needs any more; before the first access."""
        if self.ttl is None and not saved.with_ttl:
            self.plain, self.spaced = saved.plain, saved.spaced  # not copied: there may be gigabytes
            return
        for rows, loaded in ((self.plain, saved.plain), (self.spaced, saved.spaced)):
            unpacked = [(key, self.unpack(stored, saved.with_ttl)) for key, stored in loaded.items()]
            if self.ttl is not None:
                expires_ms = self.ttl.form(self.kind).expires_ms
                unpacked.sort(key=lambda row: expires_ms(row[1]))
            rows.update(unpacked)


class SavedTable:
    """Rows of a state that nobody has declared yet, as they are saved."""

    def __init__(self, name: str, kind: str, with_ttl: bool) -> None:
        self.name = name
        self.kind = kind
        self.with_ttl = with_ttl
        self.plain: dict[Any, Any] = {}
        self.spaced: dict[tuple[Any, Any], Any] = {}

    def __len__(self) -> int:
        return len(self.plain) + len(self.spaced)

    def rows(self, spaced: bool) -> dict[Any, Any]:
        return self.spaced if spaced else self.plain

    def pack(self, stored: list[Any]) -> list[Any]:
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
