"""What the planner takes from the session's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from millstream.core.errors import ConfigError

_ONLY: Final[dict[str, Any]] = {
    "table.sql-dialect": "default",
    "table.dynamic-table-options.enabled": True,
    "table.exec.source.cdc-events-duplicate": False,
    "table.exec.sink.type-length-enforcer": "IGNORE",
    "table.exec.sink.keyed-shuffle": "AUTO",
    "table.optimizer.non-deterministic-update.strategy": "IGNORE",
}
"""Settings that say what results mean, of which there is one value so far."""


@dataclass(frozen=True)
class PlannerSettings:
    """Settings of one statement, durations in milliseconds."""

    batch: bool = False
    """``execution.runtime-mode``."""
    state_ttl_ms: int = 0
    """``table.exec.state.ttl``; 0 for never."""
    idle_timeout_ms: int = 0
    """``table.exec.source.idle-timeout``."""
    drop_nulls: bool = False
    """``table.exec.sink.not-null-enforcer`` is DROP."""
    upsert_materialize: str = "AUTO"
    """``table.exec.sink.upsert-materialize``: AUTO, NONE or FORCE."""
    time_zone: str = "UTC"
    """``table.local-time-zone``."""

    reuse_sources: bool = True
    """``table.optimizer.reuse-source-enabled``."""
    local_parts: bool = True
    """``table.optimizer.agg-phase-strategy`` is not ONE_PHASE."""

    @staticmethod
    def of(settings: Mapping[str, Any]) -> PlannerSettings:
        """From settings by key, whose values are typed. Raises ``ConfigError`` for values that are not supported."""
        for key, only in _ONLY.items():
            value = settings.get(key, only)
            if str(value).lower() != str(only).lower():
                raise ConfigError(f"{key} = {value} is not supported. RESET '{key}' or SET it to '{only}'.")
        return PlannerSettings(
            batch=str(settings.get("execution.runtime-mode") or "streaming").lower() == "batch",
            state_ttl_ms=_ms(settings.get("table.exec.state.ttl")),
            idle_timeout_ms=_ms(settings.get("table.exec.source.idle-timeout")),
            drop_nulls=str(settings.get("table.exec.sink.not-null-enforcer") or "ERROR").upper() == "DROP",
            upsert_materialize=str(settings.get("table.exec.sink.upsert-materialize") or "AUTO").upper(),
            reuse_sources=bool(settings.get("table.optimizer.reuse-source-enabled", True)),
            local_parts=str(settings.get("table.optimizer.agg-phase-strategy") or "AUTO").upper() != "ONE_PHASE",
            time_zone=str(settings.get("table.local-time-zone") or "UTC"),
        )


def _ms(value: Any) -> int:
    if isinstance(value, timedelta):
        return value // timedelta(milliseconds=1)
    return int(value or 0)
