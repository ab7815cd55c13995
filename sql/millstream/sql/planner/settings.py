"""What the planner takes from the session's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


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

    @staticmethod
    def of(settings: Mapping[str, Any]) -> PlannerSettings:
        """From settings by key, whose values are typed."""
        return PlannerSettings(
            batch=str(settings.get("execution.runtime-mode") or "streaming").lower() == "batch",
            state_ttl_ms=_ms(settings.get("table.exec.state.ttl")),
            idle_timeout_ms=_ms(settings.get("table.exec.source.idle-timeout")),
            drop_nulls=str(settings.get("table.exec.sink.not-null-enforcer") or "ERROR").upper() == "DROP",
            upsert_materialize=str(settings.get("table.exec.sink.upsert-materialize") or "AUTO").upper(),
            time_zone=str(settings.get("table.local-time-zone") or "UTC"),
        )


def _ms(value: Any) -> int:
    if isinstance(value, timedelta):
        return value // timedelta(milliseconds=1)
    return int(value or 0)
