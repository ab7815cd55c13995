"""Durations given to windows and watermark strategies, checked where the user gives them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from millstream.core.errors import ConfigError

if TYPE_CHECKING:
    from millstream.core.api.time import Duration, Time

    DurationLike = Duration | Time | timedelta | str | int


def duration_ms(value: DurationLike, what: str, least_ms: int | None = 1) -> int:
    """Milliseconds of a ``Duration``, ``Time``, ``timedelta``, text such as ``"10s"`` or plain milliseconds.

    Raises ``ConfigError`` naming ``what`` when it is below ``least_ms`` (None: no bound).
    """
    if type(value) is int:
        milliseconds = value
    else:
        from millstream.core.api.time import parse_duration_ms

        milliseconds = parse_duration_ms(value)
    if least_ms is not None and milliseconds < least_ms:
        raise ConfigError(f"{what} is {milliseconds} ms; it must be at least {least_ms} ms.")
    return milliseconds
