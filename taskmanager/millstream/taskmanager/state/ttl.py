"""The time to live of stored values: how they are wrapped, when they are visible, and how old ones are swept out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from millstream.core.api.state import StateTtlConfig
from millstream.core.clock import Clock

_SWEPT_PER_ACCESS: Final = 2


class NoTtl:
    """Values are stored as they are."""

    enabled = False

    def wrap(self, value: Any) -> Any:
        return value

    def unwrap(self, stored: Any) -> Any:
        return stored

    def read(self, stored: Any) -> Any:
        return stored

    def is_visible(self, stored: Any) -> bool:
        return True

    def has_expired(self, stored: Any) -> bool:
        return False

    def sweep(self, table: dict[Any, Any], expired: Any = None) -> None:
        """Nothing expires."""


class Ttl:
    """Values are stored as ``(value, expires_ms)``."""

    enabled = True

    def __init__(self, config: StateTtlConfig, clock: Clock) -> None:
        self._ttl_ms = config.ttl_ms
        self._renews_on_read = config.update_type is StateTtlConfig.UpdateType.OnReadAndWrite
        self._shows_expired = config.visibility is StateTtlConfig.StateVisibility.ReturnExpiredIfNotCleanedUp
        self._clock = clock
        self._sweep_keys: Iterator[Any] = iter(())

    def wrap(self, value: Any) -> Any:
        return (value, self._clock.wall_ms() + self._ttl_ms)

    def unwrap(self, stored: Any) -> Any:
        return stored[0]

    def read(self, stored: Any) -> Any:
        """``stored`` with its life renewed where reading does that."""
        return self.wrap(stored[0]) if self._renews_on_read and not self.has_expired(stored) else stored

    def is_visible(self, stored: Any) -> bool:
        return self._shows_expired or not self.has_expired(stored)

    def has_expired(self, stored: Any) -> bool:
        expires_ms: int = stored[1]
        return expires_ms <= self._clock.wall_ms()

    def sweep(self, table: dict[Any, Any], expired: Callable[[Ttl, Any], bool] | None = None) -> None:
        """Look at the next few entries of ``table`` and drop those that have expired."""
        for _ in range(_SWEPT_PER_ACCESS):
            key = next(self._sweep_keys, _END)
            if key is _END:
                self._sweep_keys = iter(list(table))
                return
            stored = table.get(key, _END)
            if stored is not _END and (self.has_expired(stored) if expired is None else expired(self, stored)):
                del table[key]


_END: Final = object()
