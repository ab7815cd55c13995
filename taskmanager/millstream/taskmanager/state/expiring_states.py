"""The five kinds of keyed state with a time to live. Elements of a list and entries of a map live each on their own.

Every write, and every read that renews, moves the row to the end of its table, which keeps tables ordered by expiry.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from millstream.core.api.state import AggregatingState, ListState, MapState, ReducingState, State, ValueState
from millstream.taskmanager.state.plain_states import MISSING, KeyOwner
from millstream.taskmanager.state.ttl import Ttl, last_of_list, last_of_map, of_pair

Pair = tuple[Any, int]


class _ExpiringState(State):
    """Rows ordered by expiry."""

    def __init__(
        self, owner: KeyOwner, rows: OrderedDict[Any, Any], ttl: Ttl, expires_ms: Callable[[Any], int]
    ) -> None:
        self._owner = owner
        self._rows = rows
        self._ttl = ttl
        self._expires_ms = expires_ms

    def clear(self) -> None:
        self._rows.pop(self._owner.current_key, None)

    def _store(self, key: Any, stored: Any) -> None:
        """Write a row that was renewed just now."""
        self._rows[key] = stored
        self._rows.move_to_end(key)
        self._ttl.sweep(self._rows, self._expires_ms)

    def _is_visible(self, pair: Pair) -> bool:
        return self._ttl.shows_expired or not self._ttl.has_expired(pair)


class _ExpiringCell(_ExpiringState):
    """One value a key, stored as a pair."""

    def __init__(self, owner: KeyOwner, rows: OrderedDict[Any, Any], ttl: Ttl) -> None:
        super().__init__(owner, rows, ttl, of_pair)

    def _load(self) -> Any:
        """The value as far as it may be seen; renewed where reading does that."""
        key = self._owner.current_key
        pair = self._rows.get(key)
        value = MISSING
        if pair is not None and self._is_visible(pair):
            value = pair[0]
            if self._ttl.renews_on_read and not self._ttl.has_expired(pair):
                self._rows[key] = self._ttl.wrap(value)
                self._rows.move_to_end(key)
        self._ttl.sweep(self._rows, self._expires_ms)
        return value

    def _write(self, value: Any) -> None:
        self._store(self._owner.current_key, self._ttl.wrap(value))


class ExpiringValueState(_ExpiringCell, ValueState[Any]):
    def value(self) -> Any:
        loaded = self._load()
        return None if loaded is MISSING else loaded

    def update(self, value: Any) -> None:
        if value is None:
            self.clear()
        else:
            self._write(value)


class ExpiringReducingState(_ExpiringCell, ReducingState[Any]):
    def __init__(self, owner: KeyOwner, rows: OrderedDict[Any, Any], ttl: Ttl, reduce_function: Any) -> None:
        super().__init__(owner, rows, ttl)
        self._reduce = getattr(reduce_function, "reduce", reduce_function)

    def get(self) -> Any:
        loaded = self._load()
        return None if loaded is MISSING else loaded

    def add(self, value: Any) -> None:
        loaded = self._load()
        self._write(value if loaded is MISSING else self._reduce(loaded, value))


class ExpiringAggregatingState(_ExpiringCell, AggregatingState[Any, Any]):
    def __init__(self, owner: KeyOwner, rows: OrderedDict[Any, Any], ttl: Ttl, function: Any) -> None:
        super().__init__(owner, rows, ttl)
        self._function = function

    def get(self) -> Any:
        loaded = self._load()
        return None if loaded is MISSING else self._function.get_result(loaded)

    def add(self, value: Any) -> None:
        loaded = self._load()
        accumulator = self._function.create_accumulator() if loaded is MISSING else loaded
        self._write(self._function.add(value, accumulator))


class ExpiringListState(_ExpiringState, ListState[Any]):
    """A list of pairs in order of arrival, which is also their order of expiry."""

    def __init__(self, owner: KeyOwner, rows: OrderedDict[Any, Any], ttl: Ttl) -> None:
        super().__init__(owner, rows, ttl, last_of_list)

    def get(self) -> Iterator[Any]:
        key, ttl = self._owner.current_key, self._ttl
        pairs: list[Pair] = self._rows.get(key, [])
        seen = [pair for pair in pairs if self._is_visible(pair)]
        if ttl.renews_on_read and pairs:
            alive = [ttl.wrap(pair[0]) for pair in pairs if not ttl.has_expired(pair)]
            if alive:
                self._rows[key] = alive
                self._rows.move_to_end(key)
        ttl.sweep(self._rows, self._expires_ms)
        return iter([pair[0] for pair in seen])

    def add(self, value: Any) -> None:
        self.add_all((value,))

    def add_all(self, values: Iterable[Any]) -> None:
        added = [self._ttl.wrap(value) for value in values]
        if not added:
            return
        key = self._owner.current_key
        pairs: list[Pair] = self._rows.get(key, [])
        if pairs and self._ttl.has_expired(pairs[0]):
            pairs = [pair for pair in pairs if not self._ttl.has_expired(pair)]
        pairs.extend(added)
        self._store(key, pairs)

    def update(self, values: Iterable[Any]) -> None:
        pairs = [self._ttl.wrap(value) for value in values]
        if pairs:
            self._store(self._owner.current_key, pairs)
        else:
            self.clear()


class ExpiringMapState(_ExpiringState, MapState[Any, Any]):
    """A dict of pairs, itself ordered by expiry."""

    def __init__(self, owner: KeyOwner, rows: OrderedDict[Any, Any], ttl: Ttl) -> None:
        super().__init__(owner, rows, ttl, last_of_map)

    def get(self, key: Any) -> Any:
        own = self._owner.current_key
        entries: OrderedDict[Any, Pair] | None = self._rows.get(own)
        pair = None if entries is None else entries.get(key)
        value = None
        if entries is not None and pair is not None and self._is_visible(pair):
            value = pair[0]
            if self._ttl.renews_on_read and not self._ttl.has_expired(pair):
                entries[key] = self._ttl.wrap(value)
                entries.move_to_end(key)
                self._rows.move_to_end(own)
        self._ttl.sweep(self._rows, self._expires_ms)
        return value

    def put(self, key: Any, value: Any) -> None:
        own = self._owner.current_key
        entries: OrderedDict[Any, Pair] | None = self._rows.get(own)
        if entries is None:
            entries = OrderedDict()
        entries[key] = self._ttl.wrap(value)
        entries.move_to_end(key)
        self._ttl.sweep(entries, of_pair)
        self._store(own, entries)

    def put_all(self, values: dict[Any, Any]) -> None:
        for key, value in values.items():
            self.put(key, value)

    def remove(self, key: Any) -> None:
        # A row whose newest entry is removed keeps its place in the order: it is swept later than it could be.
        entries = self._rows.get(self._owner.current_key)
        if entries is not None:
            entries.pop(key, None)
            if not entries:
                self.clear()

    def contains(self, key: Any) -> bool:
        pair = self._rows.get(self._owner.current_key, {}).get(key)
        return pair is not None and self._is_visible(pair)

    def items(self) -> Iterator[tuple[Any, Any]]:
        entries: OrderedDict[Any, Pair] = self._rows.get(self._owner.current_key) or OrderedDict()
        seen = [(key, pair[0]) for key, pair in entries.items() if self._is_visible(pair)]
        if self._ttl.renews_on_read:
            for key, _ in seen:
                self.get(key)
        return iter(seen)

    def keys(self) -> Iterator[Any]:
        return iter([key for key, _ in self.items()])

    def values(self) -> Iterator[Any]:
        return iter([value for _, value in self.items()])

    def is_empty(self) -> bool:
        entries: OrderedDict[Any, Pair] = self._rows.get(self._owner.current_key) or OrderedDict()
        return not any(self._is_visible(pair) for pair in entries.values())
