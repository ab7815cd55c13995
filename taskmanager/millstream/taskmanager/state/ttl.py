"""Time to live: what is stored beside a value, and how expired values leave.

All values of a state live equally long, so a table ordered by the last renewal is ordered by expiry. Each access looks
at the first rows of that order and drops those that have expired: what one access adds, later ones remove, and a state
stays as small as what is alive. No scan, no timer a value.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

from millstream.core.api.state import StateTtlConfig
from millstream.core.clock import Clock

SWEPT_PER_ACCESS_MAX: Final = 3


class StoredForm(NamedTuple):
    """How one kind of state keeps times of expiry in what it stores."""

    expires_ms: Callable[[Any], int]
    """When the last part of a stored row expires."""
    pack: Callable[[Any], Any]
    """As it is saved: plain tuples, lists and dicts."""
    unpack: Callable[[Any], Any]
    begin: Callable[[Any], Any]
    """From what was stored without a time to live; it starts now."""


class Ttl:
    """The time to live of one state. Values are stored as ``(value, expires_ms)``; lists and maps hold such pairs."""

    def __init__(self, config: StateTtlConfig, clock: Clock) -> None:
        self._ttl_ms = config.ttl_ms
        self.renews_on_read = config.update_type is StateTtlConfig.UpdateType.OnReadAndWrite
        self.shows_expired = config.visibility is StateTtlConfig.StateVisibility.ReturnExpiredIfNotCleanedUp
        self._clock = clock

    def now_ms(self) -> int:
        return self._clock.wall_ms()

    def wrap(self, value: Any) -> tuple[Any, int]:
        """``value`` with a life that begins now."""
        return value, self._clock.wall_ms() + self._ttl_ms

    def has_expired(self, pair: tuple[Any, int]) -> bool:
        return pair[1] <= self._clock.wall_ms()

    def is_gone(self, kind: str, stored: Any) -> bool:
        """Whether all of a stored row has expired and may not be seen any more."""
        return not self.shows_expired and self.form(kind).expires_ms(stored) <= self._clock.wall_ms()

    def sweep(self, rows: dict[Any, Any], expires_ms: Callable[[Any], int]) -> None:
        """Drop the first few rows if they have expired."""
        now_ms = self._clock.wall_ms()
        for _ in range(SWEPT_PER_ACCESS_MAX):
            first = next(iter(rows), _NONE)
            if first is _NONE or expires_ms(rows[first]) > now_ms:
                return
            del rows[first]

    def form(self, kind: str) -> StoredForm:
        """How ``kind`` ("value", "list", "map", ...) is stored."""
        wrap = self.wrap
        if kind == "list":
            return StoredForm(last_of_list, list, as_pairs, lambda values: [wrap(value) for value in values])
        if kind == "map":
            return StoredForm(
                last_of_map,
                dict,
                lambda packed: OrderedDict((key, tuple(pair)) for key, pair in packed.items()),
                lambda values: OrderedDict((key, wrap(value)) for key, value in values.items()),
            )
        return StoredForm(of_pair, tuple, tuple, wrap)


def of_pair(pair: tuple[Any, int]) -> int:
    return pair[1]


def last_of_list(pairs: list[tuple[Any, int]]) -> int:
    return pairs[-1][1]


def last_of_map(pairs: OrderedDict[Any, tuple[Any, int]]) -> int:
    return next(reversed(pairs.values()))[1]


def as_pairs(packed: list[Any]) -> list[tuple[Any, int]]:
    return [cast("tuple[Any, int]", tuple(pair)) for pair in packed]


_NONE: Final = object()
