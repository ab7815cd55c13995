"""The five kinds of keyed state without a time to live: each method is one or two dict operations.

``owner.current_key`` is the key of the rows: a user's key, or (namespace, key).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol

from millstream.core.api.state import AggregatingState, ListState, MapState, ReducingState, ValueState

MISSING: Final = object()
"""No row; None is not a value that state can hold, but an accumulator may be None."""


class KeyOwner(Protocol):
    """Knows the key at hand."""

    @property
    def current_key(self) -> Any: ...


class PlainValueState(ValueState[Any]):
    """Stores the value."""

    def __init__(self, owner: KeyOwner, rows: dict[Any, Any]) -> None:
        self._owner = owner
        self._rows = rows

    def value(self) -> Any:
        return self._rows.get(self._owner.current_key)

    def update(self, value: Any) -> None:
        if value is None:
            self._rows.pop(self._owner.current_key, None)
        else:
            self._rows[self._owner.current_key] = value

    def clear(self) -> None:
        self._rows.pop(self._owner.current_key, None)


class PlainReducingState(ReducingState[Any]):
    """Stores the reduced value."""

    def __init__(self, owner: KeyOwner, rows: dict[Any, Any], reduce_function: Any) -> None:
        self._owner = owner
        self._rows = rows
        self._reduce = getattr(reduce_function, "reduce", reduce_function)

    def get(self) -> Any:
        return self._rows.get(self._owner.current_key)

    def add(self, value: Any) -> None:
        key = self._owner.current_key
        before = self._rows.get(key, MISSING)
        self._rows[key] = value if before is MISSING else self._reduce(before, value)

    def clear(self) -> None:
        self._rows.pop(self._owner.current_key, None)


class PlainAggregatingState(AggregatingState[Any, Any]):
    """Stores the accumulator."""

    def __init__(self, owner: KeyOwner, rows: dict[Any, Any], function: Any) -> None:
        self._owner = owner
        self._rows = rows
        self._function = function

    def get(self) -> Any:
        accumulator = self._rows.get(self._owner.current_key, MISSING)
        return None if accumulator is MISSING else self._function.get_result(accumulator)

    def add(self, value: Any) -> None:
        key = self._owner.current_key
        before = self._rows.get(key, MISSING)
        accumulator = self._function.create_accumulator() if before is MISSING else before
        self._rows[key] = self._function.add(value, accumulator)

    def clear(self) -> None:
        self._rows.pop(self._owner.current_key, None)


class PlainListState(ListState[Any]):
    """Stores a list that is never empty."""

    def __init__(self, owner: KeyOwner, rows: dict[Any, list[Any]]) -> None:
        self._owner = owner
        self._rows = rows

    def get(self) -> Iterator[Any]:
        # A copy: the user may change the state while going through it.
        return iter(list(self._rows.get(self._owner.current_key, ())))

    def add(self, value: Any) -> None:
        elements = self._rows.get(self._owner.current_key)
        if elements is None:
            self._rows[self._owner.current_key] = [value]
        else:
            elements.append(value)

    def add_all(self, values: Iterable[Any]) -> None:
        added = list(values)
        if added:
            self._rows.setdefault(self._owner.current_key, []).extend(added)

    def update(self, values: Iterable[Any]) -> None:
        elements = list(values)
        if elements:
            self._rows[self._owner.current_key] = elements
        else:
            self.clear()

    def clear(self) -> None:
        self._rows.pop(self._owner.current_key, None)


class PlainMapState(MapState[Any, Any]):
    """Stores a dict that is never empty."""

    def __init__(self, owner: KeyOwner, rows: dict[Any, dict[Any, Any]]) -> None:
        self._owner = owner
        self._rows = rows

    def _entries(self) -> dict[Any, Any]:
        return self._rows.get(self._owner.current_key) or {}

    def get(self, key: Any) -> Any:
        return self._entries().get(key)

    def put(self, key: Any, value: Any) -> None:
        entries = self._rows.get(self._owner.current_key)
        if entries is None:
            self._rows[self._owner.current_key] = {key: value}
        else:
            entries[key] = value

    def put_all(self, values: dict[Any, Any]) -> None:
        if values:
            self._rows.setdefault(self._owner.current_key, {}).update(values)

    def remove(self, key: Any) -> None:
        entries = self._rows.get(self._owner.current_key)
        if entries is not None:
            entries.pop(key, None)
            if not entries:
                self.clear()

    def contains(self, key: Any) -> bool:
        return key in self._entries()

    def items(self) -> Iterator[tuple[Any, Any]]:
        return iter(list(self._entries().items()))

    def keys(self) -> Iterator[Any]:
        return iter(list(self._entries()))

    def values(self) -> Iterator[Any]:
        return iter(list(self._entries().values()))

    def is_empty(self) -> bool:
        return not self._entries()

    def clear(self) -> None:
        self._rows.pop(self._owner.current_key, None)
