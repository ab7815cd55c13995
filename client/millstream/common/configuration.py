"""Settings that a program gives its environment (``pyflink.common.configuration``)."""

from __future__ import annotations

from typing import Any

from millstream.core.config.options import OPTIONS
from millstream.core.errors import ConfigError


class Configuration:
    """Key-value settings; unknown keys are refused with the nearest name when they are set."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self._values: dict[str, Any] = {}
        for key, value in (values or {}).items():
            self.set(key, value)

    def set(self, key: str, value: Any) -> Configuration:
        """Set ``key``; the value may be text, or the Python value it stands for."""
        if key not in OPTIONS:
            import difflib

            near = difflib.get_close_matches(key, OPTIONS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else " `millstream config` lists all settings."
            raise ConfigError(f"there is no setting {key!r}.{hint}")
        self._values[key] = value
        return self

    set_string = set_integer = set_float = set_boolean = set

    def get(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)

    get_string = get_integer = get_float = get_boolean = get

    def contains_key(self, key: str) -> bool:
        return key in self._values

    def to_dict(self) -> dict[str, Any]:
        return dict(self._values)
