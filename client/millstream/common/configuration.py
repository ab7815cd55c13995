"""Settings that a program gives its environment (``pyflink.common.configuration``)."""

from __future__ import annotations

from collections.abc import KeysView, Mapping
from typing import Any

from millstream.core.config.configuration import find_option, parse_setting

_ORIGIN = "the program"


class Configuration:
    """Settings by key. Unknown keys and values that do not fit are refused when they are set (``ConfigError``)."""

    def __init__(self, other: Configuration | None = None) -> None:
        self._values: dict[str, Any] = dict(other._values) if other is not None else {}

    @staticmethod
    def of(values: Mapping[str, Any]) -> Configuration:
        """From a mapping, which may be nested like ``millstream.toml``."""
        from millstream.core.config.loading import flatten_tables

        made = Configuration()
        for key, value in flatten_tables(values).items():
            made.set(key, value)
        return made

    def set(self, key: str, value: Any) -> Configuration:
        """Set ``key``; the value may be text, or the Python value it stands for."""
        parse_setting(key, value, _ORIGIN)
        self._values[key] = value
        return self

    def set_string(self, key: str, value: str) -> Configuration:
        return self.set(key, value)

    def set_integer(self, key: str, value: int) -> Configuration:
        return self.set(key, value)

    def set_float(self, key: str, value: float) -> Configuration:
        return self.set(key, value)

    def set_boolean(self, key: str, value: bool) -> Configuration:
        return self.set(key, value)

    def get(self, key: str, default_value: Any = None) -> Any:
        """What was set here, as it was set."""
        find_option(key, _ORIGIN)
        return self._values.get(key, default_value)

    def get_string(self, key: str, default_value: str | None = None) -> str | None:
        value = self.get(key, default_value)
        return None if value is None else str(value)

    def get_integer(self, key: str, default_value: int | None = None) -> int | None:
        value = self.get(key, default_value)
        return None if value is None else int(value)

    def get_float(self, key: str, default_value: float | None = None) -> float | None:
        value = self.get(key, default_value)
        return None if value is None else float(value)

    def get_boolean(self, key: str, default_value: bool | None = None) -> bool | None:
        value = self.get(key, default_value)
        return value.lower() == "true" if isinstance(value, str) else value

    def contains_key(self, key: str) -> bool:
        return key in self._values

    def key_set(self) -> KeysView[str]:
        return self._values.keys()

    def remove_config(self, key: str) -> bool:
        """Forget ``key``; whether it was set."""
        return self._values.pop(key, None) is not None

    def add_all(self, other: Configuration, prefix: str | None = None) -> None:
        """Take over all settings of ``other``, with ``prefix`` before their keys."""
        for key, value in other._values.items():
            self.set(f"{prefix or ''}{key}", value)

    def to_dict(self) -> dict[str, Any]:
        return dict(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Configuration) and other._values == self._values

    def __hash__(self) -> int:
        return hash(frozenset(self._values))

    def __repr__(self) -> str:
        return f"Configuration({self._values})"
