"""``TableConfig`` (``pyflink.table.TableConfig``): the settings of an environment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from millstream.core.config import options
from millstream.core.config.configuration import find_option
from millstream.sql.session.sql_session import SqlSession


class TableConfig:
    """Settings by key; changes count from the next statement on. The same as SET in SQL."""

    def __init__(self, session: SqlSession) -> None:
        self._session = session

    def set(self, key: str, value: Any) -> TableConfig:
        """Raises ``ConfigError`` for an unknown key, naming the nearest, or a value that does not fit."""
        self._session.set_option(key, _text(value))
        return self

    def get(self, key: str, default_value: str | None = None) -> str | None:
        """The value as text; ``default_value`` where none was set."""
        option = find_option(key, "TableConfig.get")
        configuration = self._session.configuration
        if default_value is not None and configuration.is_default(option):
            return default_value
        value = configuration[option]
        return None if value is None else _text(value)

    def set_local_timezone(self, timezone_id: str) -> None:
        """The zone in which TIMESTAMP_LTZ is shown and read."""
        self.set(options.TABLE_LOCAL_TIME_ZONE.key, timezone_id)

    def get_local_timezone(self) -> str:
        return str(self.get(options.TABLE_LOCAL_TIME_ZONE.key))

    def set_idle_state_retention(self, duration: timedelta) -> None:
        """How long state of a key that nothing changes is kept."""
        self.set("table.exec.state.ttl", f"{duration // timedelta(milliseconds=1)} ms")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return f"{value // timedelta(milliseconds=1)} ms"
    return str(value)
