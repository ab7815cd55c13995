"""``SET`` and ``RESET``: the settings of a session on top of those it began with."""

from __future__ import annotations

from collections.abc import Callable

from millstream.core.config import Configuration
from millstream.core.config.configuration import find_option
from millstream.sql.parser.statements import Reset, Set
from millstream.sql.session.results import Done, Rows, StatementResult, text_rows

ORIGIN = "SET"


class SessionSettings:
    """``initial`` gives the settings below those of the session; they may be others each time, as for a session beside
    the streams of a program, which the program goes on to configure."""

    def __init__(self, initial: Callable[[], Configuration]) -> None:
        self._initial = initial
        self._below = initial()
        self._set: dict[str, str] = {}
        self._configuration = self._below

    @property
    def configuration(self) -> Configuration:
        """What holds now."""
        below = self._initial()
        if below is not self._below:
            self._below = below
            self._configuration = below.with_values(self._set, ORIGIN)
        return self._configuration

    def set(self, statement: Set) -> StatementResult:
        """Raises ``ConfigError`` for an unknown setting (naming the nearest) or a value it cannot have."""
        if not statement.key:
            return self._listed()
        self.put(statement.key, statement.value)
        return Done()

    def put(self, key: str, value: str) -> None:
        """What SET does. Raises ``ConfigError`` likewise."""
        self._apply({**self._set, key: value})

    def reset(self, statement: Reset) -> StatementResult:
        if not statement.key:
            self._apply({})
        else:
            find_option(statement.key, "RESET")
            self._apply({key: value for key, value in self._set.items() if key != statement.key})
        return Done()

    def _apply(self, values: dict[str, str]) -> None:
        self._configuration = self._below.with_values(values, ORIGIN)
        self._set = values

    def _listed(self) -> Rows:
        return text_rows(["key", "value"], sorted(self.configuration.changed().items()))
