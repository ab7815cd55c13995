"""The options of a table, ``WITH ('name' = 'value')``: declared by its connector, checked before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from millstream.core.config.configuration import nearest
from millstream.core.config.values import Kind, Text
from millstream.core.errors import ConfigError

_ALWAYS: Final = ("connector", "property-version")


@dataclass(frozen=True)
class TableOption:
    """What an option means, how its text reads, and its value where the table has none (None: not set)."""

    description: str
    kind: Kind[Any] = field(default_factory=Text)
    default: Any = None


class TableOptions:
    """The values by name. Raises ``ConfigError`` for unknown, missing and unreadable ones."""

    def __init__(
        self,
        place: str,
        given: Mapping[str, str],
        required: Mapping[str, TableOption],
        optional: Mapping[str, TableOption],
        columns: tuple[str, ...] = (),
    ) -> None:
        self.place = place
        self._declared = {**required, **optional}
        self._columns = columns
        self._values: dict[str, Any] = {}
        for name, raw in given.items():
            if name in _ALWAYS:
                continue
            option = self._find(name)
            if option is None:
                raise ConfigError(self._unknown(name))
            try:
                self._values[name] = option.kind.parse(raw)
            except ValueError as error:
                raise ConfigError(f"{place}: option {name!r} is {raw!r}: {error}.") from error
        missing = [name for name in required if name not in self._values]
        if missing:
            wanted = ", ".join(f"'{name}' ({required[name].description})" for name in missing)
            raise ConfigError(f"{place}: missing in WITH: {wanted}.")

    def get(self, name: str) -> Any:
        """The value of a declared option, or its default."""
        if name in self._values:
            return self._values[name]
        option = self._find(name)
        assert option is not None, f"{name} is not declared"
        return option.default

    def is_set(self, name: str) -> bool:
        """Whether the table names the option."""
        return name in self._values

    def given(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """The options that the table names and that begin with ``prefix``."""
        return ((name, value) for name, value in self._values.items() if name.startswith(prefix))

    def refuse(self, name: str, why: str) -> ConfigError:
        """The error for a value that reads but cannot be used; ``why`` says what is allowed."""
        return ConfigError(f"{self.place}: option {name!r} is {str(self.get(name))!r}: {why}")

    def _find(self, name: str) -> TableOption | None:
        option = self._declared.get(name)
        if option is not None:
            return option
        for pattern, candidate in self._declared.items():
            if ("#" in pattern or pattern.endswith("*")) and _matches(pattern, name):
                return candidate
        return None

    def _unknown(self, name: str) -> str:
        known = [
            spelled
            for pattern in self._declared
            for spelled in ([pattern.replace("#", column) for column in self._columns] if "#" in pattern else [pattern])
        ]
        near = nearest(name, known)
        hint = f"Did you mean {near!r}? " if near else ""
        return f"{self.place}: unknown option {name!r}. {hint}Known: {', '.join(sorted(self._declared)) or 'none'}."


def _matches(pattern: str, name: str) -> bool:
    expression = re.escape(pattern).replace(r"\#", "#").replace(r"\*", ".*").replace("#", ".+")
    return re.fullmatch(expression, name) is not None
