"""Keyed state, as user functions see it. Names are PyFlink's.

A state belongs to one operator and is looked up by the name in its descriptor. What it holds is that of the key of the
record (or timer) at hand.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from millstream.core.api.time import DurationLike, Time, parse_duration_ms
from millstream.core.errors import ConfigError

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class State(ABC):
    """Base of all kinds of state."""

    @abstractmethod
    def clear(self) -> None:
        """Forget what this key has."""


class ValueState(State, Generic[T]):
    """One value a key."""

    @abstractmethod
    def value(self) -> T | None:
        """The value, or None when there is none."""

    @abstractmethod
    def update(self, value: T | None) -> None:
        """Set the value; None is like ``clear``."""


class AppendingState(State, Generic[T, V]):
    """Values are added; what ``get`` returns is made of them."""

    @abstractmethod
    def get(self) -> V | None: ...

    @abstractmethod
    def add(self, value: T) -> None: ...


class ListState(State, Generic[T]):
    """A list a key."""

    @abstractmethod
    def get(self) -> Iterator[T]:
        """The elements in order; nothing when there are none."""

    @abstractmethod
    def add(self, value: T) -> None: ...

    @abstractmethod
    def add_all(self, values: Iterable[T]) -> None: ...

    @abstractmethod
    def update(self, values: Iterable[T]) -> None:
        """Replace all elements."""

    def __iter__(self) -> Iterator[T]:
        return self.get()


class MapState(State, Generic[K, V]):
    """A map a key."""

    @abstractmethod
    def get(self, key: K) -> V | None: ...

    @abstractmethod
    def put(self, key: K, value: V) -> None: ...

    @abstractmethod
    def put_all(self, values: dict[K, V]) -> None: ...

    @abstractmethod
    def remove(self, key: K) -> None: ...

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

    def __setitem__(self, key: K, value: V) -> None:
        self.put(key, value)

    def __delitem__(self, key: K) -> None:
        self.remove(key)

    def __iter__(self) -> Iterator[K]:
        return self.keys()


class ReducingState(AppendingState[T, T]):
    """Values reduced to one."""


class AggregatingState(AppendingState[T, V]):
    """Values aggregated by an AggregateFunction."""


class StateTtlConfig:
    """How long a value lives after it was written (or read). Processing time."""

    class UpdateType(enum.Enum):
        """What renews the life of a value."""

        Disabled = 0
        OnCreateAndWrite = 1
        OnReadAndWrite = 2

    class StateVisibility(enum.Enum):
        """Whether an expired value that was not removed yet can be seen."""

        ReturnExpiredIfNotCleanedUp = 0
        NeverReturnExpired = 1

    def __init__(self, ttl_ms: int, update_type: UpdateType, visibility: StateVisibility) -> None:
        if ttl_ms <= 0:
            raise ConfigError(f"a time to live must be positive, not {ttl_ms} ms")
        self.ttl_ms = ttl_ms
        self.update_type = update_type
        self.visibility = visibility

    @staticmethod
    def new_builder(ttl: DurationLike) -> StateTtlConfig.Builder:
        return StateTtlConfig.Builder(ttl)

    def get_ttl_ms(self) -> int:
        return self.ttl_ms

    def get_ttl(self) -> Time:
        return Time.milliseconds(self.ttl_ms)

    def get_update_type(self) -> UpdateType:
        return self.update_type

    def get_state_visibility(self) -> StateVisibility:
        return self.visibility

    def is_enabled(self) -> bool:
        return self.update_type is not StateTtlConfig.UpdateType.Disabled

    class Builder:
        """Collects the parts of a ``StateTtlConfig``."""

        def __init__(self, ttl: DurationLike) -> None:
            self._ttl_ms = parse_duration_ms(ttl)
            self._update_type = StateTtlConfig.UpdateType.OnCreateAndWrite
            self._visibility = StateTtlConfig.StateVisibility.NeverReturnExpired

        def set_ttl(self, ttl: DurationLike) -> StateTtlConfig.Builder:
            self._ttl_ms = parse_duration_ms(ttl)
            return self

        def set_update_type(self, update_type: StateTtlConfig.UpdateType) -> StateTtlConfig.Builder:
            self._update_type = update_type
            return self

        def update_ttl_on_create_and_write(self) -> StateTtlConfig.Builder:
            return self.set_update_type(StateTtlConfig.UpdateType.OnCreateAndWrite)

        def update_ttl_on_read_and_write(self) -> StateTtlConfig.Builder:
            return self.set_update_type(StateTtlConfig.UpdateType.OnReadAndWrite)

        def set_state_visibility(self, visibility: StateTtlConfig.StateVisibility) -> StateTtlConfig.Builder:
            self._visibility = visibility
            return self

        def return_expired_if_not_cleaned_up(self) -> StateTtlConfig.Builder:
            return self.set_state_visibility(StateTtlConfig.StateVisibility.ReturnExpiredIfNotCleanedUp)

        def never_return_expired(self) -> StateTtlConfig.Builder:
            return self.set_state_visibility(StateTtlConfig.StateVisibility.NeverReturnExpired)

        def cleanup_full_snapshot(self) -> StateTtlConfig.Builder:
            """For programs of PyFlink: expired values are always removed along the way, a few with each access."""
            return self

        def cleanup_incrementally(
            self, cleanup_size: int, run_cleanup_for_every_record: bool = False
        ) -> StateTtlConfig.Builder:
            """As ``cleanup_full_snapshot``: what this asks for is always done."""
            return self

        def build(self) -> StateTtlConfig:
            return StateTtlConfig(self._ttl_ms, self._update_type, self._visibility)


class StateDescriptor:
    """Name, type and time to live of a state."""

    def __init__(self, name: str, type_info: Any = None) -> None:
        if not isinstance(name, str) or not name:
            raise ConfigError(f"a state needs a name, not {name!r}")
        self.name = name
        self.type_info = type_info
        self.ttl: StateTtlConfig | None = None

    def get_name(self) -> str:
        return self.name

    def enable_time_to_live(self, ttl_config: StateTtlConfig) -> None:
        self.ttl = ttl_config if ttl_config.is_enabled() else None


class ValueStateDescriptor(StateDescriptor):
    """Of a ``ValueState``."""


class ListStateDescriptor(StateDescriptor):
    """Of a ``ListState``."""


class MapStateDescriptor(StateDescriptor):
    """Of a ``MapState``."""

    def __init__(self, name: str, key_type_info: Any = None, value_type_info: Any = None) -> None:
        super().__init__(name, (key_type_info, value_type_info))


class ReducingStateDescriptor(StateDescriptor):
    """Of a ``ReducingState``; ``reduce_function`` is a ReduceFunction or ``(value, value) -> value``."""

    def __init__(self, name: str, reduce_function: Any, type_info: Any = None) -> None:
        super().__init__(name, type_info)
        self.reduce_function = reduce_function


class AggregatingStateDescriptor(StateDescriptor):
    """Of an ``AggregatingState``."""

    def __init__(self, name: str, agg_function: Any, state_type_info: Any = None) -> None:
        super().__init__(name, state_type_info)
        self.agg_function = agg_function
